package storage

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// nvmePaths gives the paths among the names of block devices by their
// namespaces: where the kernel does NVMe's multipathing, each namespace nvmeSnN
// of subsystem S has a hidden device nvmeScCnN for each controller C that leads
// to it (drivers/nvme/host/multipath.c).
func nvmePaths(names []string) map[string][]string {
	paths := map[string][]string{}
	for _, name := range names {
		if head, isPath := nvmeHead(name); isPath {
			paths[head] = append(paths[head], name)
		}
	}
	return paths
}

// nvmeHead says of nvme0c1n2 that it leads to nvme0n2.
func nvmeHead(name string) (head string, isPath bool) {
	rest, isNVMe := strings.CutPrefix(name, "nvme")
	subsystem, rest, hasController := strings.Cut(rest, "c")
	controller, namespace, hasNamespace := strings.Cut(rest, "n")
	if !isNVMe || !hasController || !hasNamespace || !isNumber(subsystem) || !isNumber(controller) || !isNumber(namespace) {
		return "", false
	}
	return "nvme" + subsystem + "n" + namespace, true
}

func isNumber(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

// namespace reads what an NVMe namespace has besides a disk's identity.
func (d *device) namespace(dev *inventory.BlockDevice, paths []string) {
	dev.NamespaceID = d.number("blockDevice.namespaceID", "nsid")
	for _, name := range paths {
		p := &device{root: d.root, path: sysBlock + "/" + name}
		path := inventory.DevicePath{Name: name, State: p.text("", "device/state"), Access: p.text("", "ana_state")}
		if target, err := os.Readlink(filepath.Join("/", d.root, p.path, "device")); err == nil {
			path.Controller = filepath.Base(target)
		}
		dev.Paths = append(dev.Paths, path)
	}
}
