package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// answers is what a monitor told of its VM.
type answers struct {
	version    string
	name       string
	uuid       uuid.UUID
	status     string
	running    bool
	arch       string
	machine    string
	vcpus      int
	memory     uint64
	generation string // "" for none
	blocks     []block
	nics       []qomNIC
	bridges    bridges
}

// block is an entry of query-block with the device that has it.
type block struct {
	Device   string     `json:"device"`
	QDev     string     `json:"qdev"`
	Inserted *blockNode `json:"inserted"`
	driver   string     // the device's model
	bus      string     // the controller's path
	serial   string
	wwn      uint64
}

type blockNode struct {
	NodeName string     `json:"node-name"`
	ReadOnly bool       `json:"ro"`
	Image    blockImage `json:"image"`
}

type blockImage struct {
	Filename string      `json:"filename"`
	Format   string      `json:"format"`
	Virtual  uint64      `json:"virtual-size"`
	Actual   *uint64     `json:"actual-size"`
	Backing  *blockImage `json:"backing-image"`
}

// qomNIC is a NIC by its object.
type qomNIC struct {
	path, driver string
	mac, netdev  string
	at           place
	known        bool // of at
}

// ask asks a monitor for everything, at most for as long as ctx allows. All of
// its commands are queries.
func ask(ctx context.Context, c *client) (*answers, error) {
	a := &answers{bridges: bridges{}}
	v := c.greeting.Version.QEMU
	a.version = fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Micro)
	for _, part := range []func(context.Context, *client) error{a.askSelf, a.askSize, a.askBlocks, a.askNICs} {
		if err := part(ctx, c); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *answers) askSelf(ctx context.Context, c *client) error {
	var name struct{ Name string }
	var id struct{ UUID uuid.UUID }
	var status struct {
		Status  string
		Running bool
	}
	var target struct{ Arch string }
	var generation struct{ GUID string }
	err := errors.Join(
		c.call(ctx, "query-status", nil, &status),
		c.call(ctx, "query-name", nil, &name),
		c.call(ctx, "query-uuid", nil, &id),
		c.call(ctx, "query-target", nil, &target),
		optional(c.call(ctx, "query-vm-generation-id", nil, &generation)),
	)
	a.name, a.uuid, a.status, a.running = name.Name, id.UUID, status.Status, status.Running
	a.arch, a.generation = target.Arch, generation.GUID
	return err
}

// optional forgives a command or property that this QEMU, machine or device
// doesn't have.
func optional(err error) error {
	if _, refused := errors.AsType[*qmpError](err); refused {
		return nil
	}
	return err
}

func (a *answers) askSize(ctx context.Context, c *client) error {
	var cpus []json.RawMessage
	var memory struct {
		Base    uint64 `json:"base-memory"`
		Plugged uint64 `json:"plugged-memory"`
	}
	err := errors.Join(
		c.call(ctx, "query-cpus-fast", nil, &cpus),
		c.call(ctx, "query-memory-size-summary", nil, &memory),
		qomGet(ctx, c, "/machine", "type", &a.machine),
	)
	a.vcpus, a.memory, a.machine = len(cpus), memory.Base+memory.Plugged, strings.TrimSuffix(a.machine, "-machine")
	return err
}

// qomGet reads a property of an object.
func qomGet(ctx context.Context, c *client, path, property string, v any) error {
	return c.call(ctx, "qom-get", map[string]string{"path": path, "property": property}, v)
}

// askBlocks reads the drives that a device has, and of the device what only its
// object tells.
func (a *answers) askBlocks(ctx context.Context, c *client) error {
	if err := c.call(ctx, "query-block", nil, &a.blocks); err != nil {
		return err
	}
	a.blocks = slices.DeleteFunc(a.blocks, func(b block) bool { return b.QDev == "" })
	for i := range a.blocks {
		b := &a.blocks[i]
		b.QDev = strings.TrimSuffix(b.QDev, "/virtio-backend")
		if !strings.HasPrefix(b.QDev, "/") { // an ID, where it was given one
			b.QDev = deviceRoots[0] + "/" + b.QDev
		}
		err := errors.Join(
			qomGet(ctx, c, b.QDev, "type", &b.driver),
			optional(qomGet(ctx, c, b.QDev, "parent_bus", &b.bus)),
			optional(qomGet(ctx, c, b.QDev, "serial", &b.serial)),
			optional(qomGet(ctx, c, b.QDev, "wwn", &b.wwn)),
		)
		if err != nil {
			return err
		}
	}
	slices.SortStableFunc(a.blocks, func(x, y block) int { return strings.Compare(x.QDev, y.QDev) })
	return nil
}

// The places in QEMU's tree of objects where devices are: those that were given
// an ID, those that weren't, and those on the board.
var deviceRoots = []string{"/machine/peripheral", "/machine/peripheral-anon", "/machine/unattached"}

// askNICs finds the NICs among the devices. QEMU lists them in no order, so they
// are sorted by where they are on PCI, or by their path.
func (a *answers) askNICs(ctx context.Context, c *client) error {
	for _, root := range deviceRoots {
		var objects []struct{ Name, Type string }
		if err := c.call(ctx, "qom-list", map[string]string{"path": root}, &objects); optional(err) != nil {
			return err
		}
		for _, object := range objects {
			driver, isDevice := strings.CutPrefix(object.Type, "child<")
			driver = strings.TrimSuffix(driver, ">")
			if !isDevice || !isNIC(driver) {
				continue
			}
			n := qomNIC{path: root + "/" + object.Name, driver: driver}
			if err := n.ask(ctx, c, a.bridges); err != nil {
				return err
			}
			a.nics = append(a.nics, n)
		}
	}
	slices.SortFunc(a.nics, func(x, y qomNIC) int { return strings.Compare(x.path, y.path) })
	return nil
}

func (n *qomNIC) ask(ctx context.Context, c *client, found bridges) error {
	err := errors.Join(
		optional(qomGet(ctx, c, n.path, "mac", &n.mac)),
		optional(qomGet(ctx, c, n.path, "netdev", &n.netdev)),
	)
	if err != nil {
		return err
	}
	n.at, n.known, err = askPlace(ctx, c, n.path)
	// A bus behind a bridge is an object below the bridge: where that is, is part
	// of the way to the NIC.
	for at := n.at; err == nil && n.known && strings.Contains(at.bus, "/peripheral") && len(found) < maxNodes; {
		if _, seen := found[at.bus]; seen {
			break
		}
		bridge := at.bus[:strings.LastIndexByte(at.bus, '/')]
		up, known, askErr := askPlace(ctx, c, bridge)
		if err = askErr; known {
			found[at.bus] = up
		}
		if !known {
			break
		}
		at = up
	}
	return err
}

// askPlace reads where a device is on PCI: its address there is 8 × slot +
// function, and the bus is an object's path.
func askPlace(ctx context.Context, c *client, path string) (place, bool, error) {
	var bus string
	addr := -1
	err := errors.Join(
		optional(qomGet(ctx, c, path, "addr", &addr)),
		optional(qomGet(ctx, c, path, "parent_bus", &bus)),
	)
	if err != nil || addr < 0 || addr > 255 {
		return place{}, false, err
	}
	return place{bus: bus, slot: uint(addr) >> 3, fn: uint(addr) & 7}, true, nil
}
