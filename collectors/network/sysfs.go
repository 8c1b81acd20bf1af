package network

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// sysfs adds what only sysfs knows of a physical link. Virtual links have no
// driver, and their speed is a constant of their code (a tap's is 10 Mbit/s).
func (c *Collector) sysfs(l *rawLink, b *collectors.Builder) {
	if l.Kind != kindPhysical {
		return
	}
	dir := "/sys/class/net/" + l.kernelName
	if err := c.sameLink(dir, l.index); err != nil {
		for _, field := range []inventory.Field{"link.driver", "link.physicalFunction", "link.speed"} {
			b.Problem(problem(linkEntity(l.Name), field, dir, err,
				"mount the sysfs of the network namespace that is read, and let the agent read it"))
		}
		return
	}
	note := func(field inventory.Field, file string, err error) {
		if err != nil {
			b.Problem(problem(linkEntity(l.Name), field, file, err, "let the agent read "+file))
		}
	}
	var err error
	if l.Device == "" { // before Linux 5.14 netlink doesn't have it
		l.Device, err = c.device(dir + "/device")
		note("link.device", dir+"/device", err)
	}
	l.Driver, err = c.linkBase(dir + "/device/driver")
	note("link.driver", dir+"/device/driver", err)
	l.Speed, err = c.speed(dir + "/speed")
	note("link.speed", dir+"/speed", err)
	l.physical, err = c.device(dir + "/device/physfn")
	note("link.physicalFunction", dir+"/device/physfn", err)
	for i := range l.VFs {
		function := fmt.Sprintf("%s/device/virtfn%d", dir, l.VFs[i].Index)
		l.VFs[i].Device, err = c.device(function)
		note("link.vfs", function, err)
	}
}

// sameLink says whether sysfs means the link with this index. A mounted sysfs
// shows the network namespace that it was mounted in for good, which may not be
// the one that netlink reads, and eth0 is in both.
func (c *Collector) sameLink(dir string, index int) error {
	n, err := c.readInt(dir + "/ifindex")
	if err == nil && n != index {
		err = fmt.Errorf("read %s/ifindex: %d and not %d, so this is a link of another network namespace: %w", dir, n, index, fs.ErrNotExist)
	}
	return err
}

// device names a link's parent device by its bus and address.
func (c *Collector) device(dir string) (string, error) {
	address, err := c.linkBase(dir)
	if err != nil || address == "" {
		return "", err
	}
	bus, err := c.linkBase(dir + "/subsystem")
	if err != nil || bus == "" {
		return "", err
	}
	return bus + ":" + address, nil
}

// linkBase reads where a symbolic link points, its last part only; "" where
// there is none.
func (c *Collector) linkBase(file string) (string, error) {
	target, err := os.Readlink(filepath.Join("/", c.Root, file))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("read symbolic link %s: %w", file, errors.Unwrap(err))
	}
	return path.Base(target), nil
}

// speed reads a link's speed in Mbit/s. A link that is down has none (EINVAL),
// nor has one whose driver doesn't say (-1, or no such operation).
func (c *Collector) speed(file string) (*int, error) {
	n, err := c.readInt(file)
	switch {
	case err != nil && collectors.WhyOf(err) == inventory.WhyAbsent:
		return nil, nil
	case err != nil:
		return nil, err
	case n <= 0:
		return nil, nil
	}
	return &n, nil
}

func (c *Collector) readInt(file string) (int, error) {
	text, err := collectors.ReadText(c.Root, file)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("read %s: %q is not a number", file, text)
	}
	return n, nil
}
