package storage

import (
	"strings"

	"github.com/dataverket/avstem/collectors"
)

// sysRBD has the images of Ceph that the kernel has mapped, by the number that
// their block devices' names end with (Documentation/ABI/testing/sysfs-bus-rbd).
const sysRBD = "/sys/bus/rbd/devices"

// rbdImage names the image behind a device, as the rbd command does:
// pool/namespace/image@snapshot.
func (c *Collector) rbdImage(name string) string {
	number, isRBD := strings.CutPrefix(name, "rbd")
	if !isRBD || !isNumber(number) {
		return ""
	}
	read := func(attribute string) string {
		text, err := collectors.ReadText(c.Root, sysRBD+"/"+number+"/"+attribute)
		if err != nil {
			return ""
		}
		return text
	}
	pool, image := read("pool"), read("name")
	if pool == "" || image == "" {
		return ""
	}
	if namespace := read("pool_ns"); namespace != "" {
		pool += "/" + namespace
	}
	if snapshot := read("current_snap"); snapshot != "" && snapshot != "-" {
		image += "@" + snapshot
	}
	return "rbd:" + pool + "/" + image
}
