package fleet

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// Rows writes both books as the tables of sql/schema.sql, one CSV file each: what
// somebody would make of documents and inventory to load them into a database.
type Rows struct {
	dir   string
	files map[string]*bufio.Writer
	open  []*os.File
	vms   int
	line  []byte
}

// Tables are those that are loaded, in the schema's order.
var Tables = []string{"want_host", "want_link", "want_hostdisk", "want_vm", "want_nic", "want_disk", "project", "network", "network_vlan", "image",
	"got_doc", "got_host", "got_link", "got_port", "got_uplink", "got_blockdevice", "got_vm", "got_nic", "got_disk", "got_pending", "got_volume",
	"heard", "gap", "refused", "task"}

// WriteRows writes the whole fleet's tables into a directory. Converting is how long
// reading the documents' JSON and writing the rows took, on one core, without making
// the fleet up.
func (f *Fleet) WriteRows(dir string) (converting Used, err error) {
	r := &Rows{dir: dir, files: map[string]*bufio.Writer{}}
	for _, table := range Tables {
		file, err := os.Create(filepath.Join(dir, table+".csv"))
		if err != nil {
			return Used{}, err
		}
		r.open = append(r.open, file)
		r.files[table] = bufio.NewWriterSize(file, 1<<18)
	}
	inv := f.Inventory()
	watch := Start()
	r.inventory(inv)
	converting = watch.Used()
	for h := range f.Hosts {
		var documents [][]byte
		for _, o := range f.Documents(h, 1) {
			data, err := json.Marshal(o)
			if err != nil {
				return Used{}, err
			}
			documents = append(documents, data)
		}
		watch := Start()
		for _, data := range documents {
			var o inventory.Observation
			if err := json.Unmarshal(data, &o); err != nil {
				return Used{}, err
			}
			r.document(&o)
		}
		converting = converting.Add(watch.Used())
		f.sayHeard(r, h, len(documents) > 0)
	}
	for _, t := range f.Tasks("") {
		r.row("task", t.VM, string(t.Action), string(t.State))
	}
	for i, table := range Tables {
		if err := r.files[table].Flush(); err != nil {
			return Used{}, err
		}
		if err := r.open[i].Close(); err != nil {
			return Used{}, err
		}
	}
	return converting, nil
}

// sayHeard writes what a host's heartbeats said.
func (f *Fleet) sayHeard(r *Rows, host int, reported bool) {
	ago, ahead, id := 0, 0, HostID(host).String()
	if d := f.hostDrift(host); d != nil {
		if d.stale {
			ago = int(silentFor.Seconds())
		}
		if d.clock {
			ahead = int(aheadBy.Seconds())
		}
		if d.gap {
			r.row("gap", id, sourceNetwork)
		}
		if d.refused {
			r.row("refused", id, sourceImages)
		}
	}
	if reported {
		r.row("heard", id, ago, ahead)
	}
}

// row writes one row. Writers keep their first error for Flush.
func (r *Rows) row(table string, values ...any) {
	b := r.line[:0]
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		switch v := v.(type) {
		case string:
			if strings.ContainsAny(v, "\",\n") {
				v = `"` + strings.ReplaceAll(v, `"`, `""`) + `"`
			}
			b = append(b, v...)
		case int:
			b = strconv.AppendInt(b, int64(v), 10)
		case *int:
			b = appendOr(b, v == nil, func() uint64 { return uint64(*v) })
		case *inventory.Bytes:
			b = appendOr(b, v == nil, func() uint64 { return uint64(*v) })
		case *bool:
			b = appendOr(b, v == nil, func() uint64 { return map[bool]uint64{true: 1}[*v] })
		case bool:
			b = strconv.AppendUint(b, map[bool]uint64{true: 1}[v], 10)
		case uuid.UUID:
			if v != uuid.Nil {
				b = append(b, v.String()...)
			}
		case inventory.MAC:
			if v != (inventory.MAC{}) {
				b = append(b, v.String()...)
			}
		default:
			panic(fmt.Sprintf("a row of %s has a %T", table, v))
		}
	}
	b = append(b, '\n')
	r.line = b
	_, _ = r.files[table].Write(b) // Flush gives the error
}

// appendOr writes a number, and -1 for one that is not told.
func appendOr(b []byte, absent bool, n func() uint64) []byte {
	if absent {
		return append(b, "-1"...)
	}
	return strconv.AppendUint(b, n(), 10)
}

func (r *Rows) inventory(inv *sentral.Inventory) {
	for i := range inv.Projects {
		p, q := &inv.Projects[i], sentral.Quota{}
		if p.Quota != nil {
			q = *p.Quota
		}
		r.row("project", p.Tenant, p.ID, q.VCPUs, q.Memory, q.Storage)
	}
	for i := range inv.Networks {
		n := &inv.Networks[i]
		r.row("network", n.ID, n.Tenant, n.Project)
		for site, vlan := range n.VLANs {
			r.row("network_vlan", n.ID, site, int(vlan))
		}
	}
	for i := range inv.Images {
		m := &inv.Images[i]
		r.row("image", m.ID, m.Version, m.Digest, m.Source)
	}
	for i := range inv.Hosts {
		h, has := &inv.Hosts[i], sentral.Quota{}
		if h.Capacity != nil {
			has = *h.Capacity
		}
		r.row("want_host", h.ID, h.HostID, h.Site, h.FailureDomain, h.Platform, string(h.State), h.Serial, h.SystemUUID, has.VCPUs, has.Memory)
		for _, l := range h.Links {
			r.row("want_link", h.ID, l.Name, l.MAC)
		}
		for _, d := range h.Disks {
			r.row("want_hostdisk", h.ID, d.Serial, d.WWN, d.Size)
		}
	}
	for i := range inv.VMs {
		v, image := &inv.VMs[i], sentral.ImageRef{}
		if v.Image != nil {
			image = *v.Image
		}
		r.row("want_vm", v.ID, v.UUID(), v.Name, v.Tenant, v.Project, v.Environment, v.Site, v.Host, v.AntiAffinity, string(v.State), v.VCPUs, v.Memory, v.Machine, image.ID, image.Version)
		for pos, n := range v.NICs {
			r.row("want_nic", v.ID, pos, n.MAC, n.Network, n.Model)
		}
		for pos, d := range v.Disks {
			r.row("want_disk", v.ID, pos, d.Name, d.Serial, d.WWN, d.Size, d.Format, d.Source)
		}
	}
}

func (r *Rows) document(o *inventory.Observation) {
	host := o.Host.String()
	r.row("got_doc", host, o.Site, o.Source, string(o.Outcome), o.Complete)
	if h := o.Identity; h != nil {
		r.row("got_host", host, o.Site, h.Hostname, h.Serial, h.SystemUUID, h.CPUs, h.Memory)
	}
	for i := range o.BlockDevices {
		d := &o.BlockDevices[i]
		r.row("got_blockdevice", host, d.Serial, d.WWN, d.Size)
	}
	r.network(host, o)
	for i := range o.StoragePools {
		for _, v := range o.StoragePools[i].Volumes {
			r.row("got_volume", host, o.StoragePools[i].Name, v.Name, v.Path, v.Format, v.Capacity)
		}
	}
	for i := range o.VMs {
		r.vm(host, o.Source, &o.VMs[i])
	}
}

// network writes links, the access VLANs of ports and what uplinks carry.
func (r *Rows) network(host string, o *inventory.Observation) {
	uplinks := map[string]bool{}
	for i := range o.Links {
		l := &o.Links[i]
		mac := l.PermanentMAC
		if mac == (inventory.MAC{}) {
			mac = l.MAC
		}
		r.row("got_link", host, l.Name, l.Kind, mac, l.OperState, l.MTU, l.Master)
		uplinks[l.Name] = l.Kind == "bond" || l.Kind == "physical"
		for _, v := range l.PortVLANs {
			if uplinks[l.Name] {
				r.row("got_uplink", host, l.Name, int(v.ID), int(max(v.ID, v.Last)))
			} else if v.PVID {
				r.row("got_port", host, l.Name, int(v.ID))
			}
		}
	}
	for i := range o.OVSBridges {
		for _, p := range o.OVSBridges[i].Ports {
			switch {
			case uplinks[p.Name] && len(p.Trunks) == 0:
				r.row("got_uplink", host, p.Name, 1, 4094)
			case uplinks[p.Name]:
				for _, v := range p.Trunks {
					r.row("got_uplink", host, p.Name, int(v), int(v))
				}
			case p.Tag != nil:
				r.row("got_port", host, p.Name, int(*p.Tag))
			}
		}
	}
}

func (r *Rows) vm(host, source string, v *inventory.VM) {
	r.vms++
	placement, manager, image := inventory.Placement{}, inventory.Manager{}, inventory.Image{}
	if v.Placement != nil {
		placement = *v.Placement
	}
	if v.Manager != nil {
		manager = *v.Manager
	}
	if v.Image != nil {
		image = *v.Image
	}
	r.row("got_vm", r.vms, host, source, v.UUID, v.NativeID, v.Name, v.Type, string(v.State), v.Persistent, v.VCPUs, v.Memory,
		v.Machine, placement.VM, placement.Tenant, placement.Project, placement.Environment, manager.Name, image.ID, image.Version, image.Source, image.Digest)
	for pos, n := range v.NICs {
		r.row("got_nic", r.vms, pos, n.MAC, n.Model, n.Link, n.Network, n.LinkUp, n.MTU)
	}
	for pos := range v.Disks {
		d := &v.Disks[pos]
		fault := d.Fault
		if i := slices.IndexFunc(d.Backing, func(b inventory.BackingFile) bool { return b.Fault != "" }); fault == "" && i >= 0 {
			fault = d.Backing[i].Fault
		}
		r.row("got_disk", r.vms, pos, d.Target, d.Serial, d.WWN, d.Source, d.Format, d.Capacity, fault, d.Shareable)
	}
	for _, p := range v.Pending {
		r.row("got_pending", r.vms, p.Path)
	}
}
