package libvirt

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"

	golibvirt "github.com/digitalocean/go-libvirt"
	"github.com/google/uuid"
	"libvirt.org/go/libvirtxml"

	"github.com/dataverket/avstem/inventory"
)

// definitionCall is the call that gives what a running domain is started from next.
const definitionCall = domainCall + "(VIR_DOMAIN_XML_INACTIVE)"

// definitionTurn is every how many passes a definition is read although nothing
// speaks for a change: libvirt 9.0 tells of none that is made to the definition of
// a running domain's vCPUs, memory or devices. Reading all of them in each pass
// would double its calls.
const definitionTurn = 20

// definition is what a running domain is started from next.
type definition struct {
	xml     uint64 // sums: of it, and of the live XML that it was held against
	live    uint64
	pending []inventory.Pending
	problem *inventory.Problem // why it isn't known
}

// touch notes that an event told of a domain, whose definition may have changed.
func (c *Collector) touch(id uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.touched == nil {
		c.touched = map[uuid.UUID]bool{}
	}
	c.touched[id] = true
}

// takeTouched gives the domains that events told of since the last pass.
func (c *Collector) takeTouched() map[uuid.UUID]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	touched := c.touched
	c.touched = nil
	return touched
}

// due says whether a running domain's definition is to be read in this pass.
func (c *Collector) due(r *reading) bool {
	id := r.vm.UUID
	last := c.defined[id]
	turn := binary.BigEndian.Uint64(id[8:]) + c.passes
	return last == nil || last.problem != nil || len(last.pending) > 0 || last.live != r.xml.sum || c.changed[id] || turn%definitionTurn == 0
}

// readDefinition holds a running domain against what it is started from next.
func (c *Collector) readDefinition(ctx context.Context, cl *client, dom golibvirt.Domain, r *reading) {
	if r.xml == nil || !r.active || !c.persistent[r.vm.UUID] {
		return
	}
	last := c.defined[r.vm.UUID]
	if !c.due(r) {
		r.def = last
	} else {
		var raw string
		err := cl.call(ctx, definitionCall, func(lv *golibvirt.Libvirt) (err error) {
			raw, err = lv.DomainGetXMLDesc(dom, golibvirt.DomainXMLInactive)
			return err
		})
		if golibvirt.IsNotFound(err) || connectionLost(err) {
			r.failed(err, "vm.pending")
			return
		}
		r.def = c.compareDefinition(r, raw, err)
	}
	r.vm.Pending = r.def.pending
	if r.def.problem != nil {
		r.problems = append(r.problems, *r.def.problem)
	}
}

func (c *Collector) compareDefinition(r *reading, raw string, err error) *definition {
	entity := inventory.VMEntity(r.vm.UUID)
	if err != nil {
		p := problemOf(entity, "vm.pending", err)
		return &definition{live: r.xml.sum, problem: &p}
	}
	d := &definition{xml: maphash.String(c.seed, raw), live: r.xml.sum}
	if last := c.defined[r.vm.UUID]; last != nil && last.problem == nil && last.xml == d.xml && last.live == d.live {
		return last
	}
	next, _, err := parseDomain([]byte(raw)) // what is odd in it is odd in what runs, too
	if err != nil {
		d.problem = &inventory.Problem{Entity: entity, Field: "vm.pending", Call: definitionCall, Why: inventory.WhyBroken, Error: err.Error(), Remedy: remedyReport}
		return d
	}
	d.pending = pendingChanges(&r.xml.domain, &next)
	return d
}

// changes collects what differs.
type changes []inventory.Pending

func (c *changes) hold(path, live, defined string) {
	if live != defined {
		*c = append(*c, inventory.Pending{Path: path, Live: live, Defined: defined})
	}
}

// told holds what libvirt fills in by itself in one of both: only where both say it.
func (c *changes) told(path, live, defined string) {
	if live != "" && defined != "" {
		c.hold(path, live, defined)
	}
}

// pendingChanges holds a domain as it runs against its definition, in the model's
// canonical words. What libvirt adds while a domain runs (links, aliases, what a
// network resolved to, the CPU that host-model became) is in none of them, nor is
// what guests change themselves: balloon, ejected media.
func pendingChanges(live, defined *domain) []inventory.Pending {
	var c changes
	a, b := &live.vm, &defined.vm
	c.told("vcpus", number32(a.VCPUs), number32(b.VCPUs))
	c.told("memory", sizeText(a.Memory), sizeText(b.Memory))
	c.told("machine", a.RawMachine, b.RawMachine)
	c.told("firmware", a.Firmware, b.Firmware)
	c.hold("boot", live.boot, defined.boot)
	c.hold("placement", placementText(a.Placement), placementText(b.Placement))
	c.told("image", labelText(a.Image), labelText(b.Image))
	c.nics(a.NICs, b.NICs)
	c.disks(a.Disks, b.Disks)
	slices.SortFunc(c, func(x, y inventory.Pending) int { return cmp.Compare(x.Path, y.Path) })
	return c
}

// nics pairs NICs by MAC. One without a MAC can't be told from another.
func (c *changes) nics(live, defined []inventory.NIC) {
	find := func(all []inventory.NIC, m inventory.MAC) *inventory.NIC {
		if i := slices.IndexFunc(all, func(n inventory.NIC) bool { return n.MAC == m }); i >= 0 {
			return &all[i]
		}
		return nil
	}
	for i := range live {
		a := &live[i]
		if a.MAC == (inventory.MAC{}) {
			continue
		}
		path := "nics[" + a.MAC.String() + "]"
		b := find(defined, a.MAC)
		if b == nil {
			c.hold(path, nicWords(a), "")
			continue
		}
		c.told(path+".model", a.Model, b.Model)
		c.hold(path+".network", nicWords(a), nicWords(b))
		if a.Network == "" && b.Network == "" { // a network's VLAN is only known of what runs
			c.hold(path+".vlan", vlanText(a), vlanText(b))
		}
		c.hold(path+".linkUp", boolText(a.LinkUp), boolText(b.LinkUp))
	}
	for i := range defined {
		if b := &defined[i]; b.MAC != (inventory.MAC{}) && find(live, b.MAC) == nil {
			c.hold("nics["+b.MAC.String()+"]", "", nicWords(b))
		}
	}
}

// nicWords says what the NIC is connected to.
func nicWords(n *inventory.NIC) string {
	switch {
	case n.Network != "":
		return "network " + n.Network
	case n.Bridge != "":
		return "bridge " + n.Bridge
	}
	return n.Attachment
}

func vlanText(n *inventory.NIC) string {
	text := ""
	if n.VLAN != nil {
		text = strconv.Itoa(int(*n.VLAN))
	}
	if len(n.Trunks) > 0 {
		text += fmt.Sprintf(" of %v", n.Trunks)
	}
	return strings.TrimSpace(text)
}

// disks pairs the disks that hold data by target.
func (c *changes) disks(live, defined []inventory.Disk) {
	byTarget := func(all []inventory.Disk) map[string]*inventory.Disk {
		found := map[string]*inventory.Disk{}
		for i := range all {
			if all[i].IsStorage() && all[i].Target != "" {
				found[all[i].Target] = &all[i]
			}
		}
		return found
	}
	now, next := byTarget(live), byTarget(defined)
	for target, a := range now {
		path, b := "disks["+target+"]", next[target]
		if b == nil {
			c.hold(path, cmp.Or(a.Source, "empty"), "")
			continue
		}
		c.hold(path+".source", a.Source, b.Source)
		c.hold(path+".serial", a.Serial, b.Serial)
		c.hold(path+".bus", a.Bus, b.Bus)
	}
	for target, b := range next {
		if now[target] == nil {
			c.hold("disks["+target+"]", "", cmp.Or(b.Source, "empty"))
		}
	}
}

// bootOrder is what a domain starts from: devices with an order of their own, or
// else the kinds that the firmware tries.
func bootOrder(doc *domainDoc) string {
	type place struct {
		order uint
		name  string
	}
	var places []place
	note := func(boot *libvirtxml.DomainDeviceBoot, name string) {
		if boot != nil && boot.Order > 0 {
			places = append(places, place{boot.Order, name})
		}
	}
	for i := range doc.Devices.Disks {
		if d := &doc.Devices.Disks[i]; d.Target != nil {
			note(d.Boot, d.Target.Dev)
		}
	}
	for i := range doc.Devices.Interfaces {
		if n := &doc.Devices.Interfaces[i]; n.MAC != nil {
			note(n.Boot, strings.ToLower(n.MAC.Address))
		}
	}
	slices.SortStableFunc(places, func(x, y place) int { return cmp.Compare(x.order, y.order) })
	var names []string
	for _, p := range places {
		names = append(names, p.name)
	}
	if len(names) == 0 && doc.OS != nil {
		for _, boot := range doc.OS.BootDevices {
			names = append(names, boot.Dev)
		}
	}
	return strings.Join(names, ", ")
}

func number32(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}

func sizeText(b *inventory.Bytes) string {
	if b == nil {
		return ""
	}
	return strconv.FormatUint(uint64(*b), 10)
}

func boolText(b *bool) string {
	if b == nil {
		return ""
	}
	return strconv.FormatBool(*b)
}

func placementText(p *inventory.Placement) string {
	if p == nil {
		return ""
	}
	return fmt.Sprintf("%s/%s/%s %s", p.Tenant, p.Project, p.Environment, p.VM)
}

func labelText(i *inventory.Image) string {
	if i == nil {
		return ""
	}
	return strings.TrimSpace(i.ID + " " + i.Version)
}
