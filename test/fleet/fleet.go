package fleet

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// Plan says what fleet to make up.
type Plan struct {
	Hosts, VMs int // VMs of each host
	Sites      int
	// DriftEvery is one VM of how many that drifts; 0 for none. The drifts of
	// [Drifts] take turns, and so do those of [HostDrifts], on one host of as many.
	DriftEvery int
}

// platforms are the hosts', in turn.
var platforms = []string{"libvirt", "openstack", "libvirt"}

// Platform is what runs a host's VMs.
func Platform(host int) string { return platforms[host%len(platforms)] }

// Fleet is a fleet that was made up. Its methods may be called at the same time.
type Fleet struct {
	Plan
	runtime, network []inventory.Capability
}

// tenants, with two projects each, own the VMs in turn.
const (
	tenants  = 25
	projects = 2
)

var (
	epoch   = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	vcpus   = 2
	memory  = 4 * inventory.GiB
	storage = 20 * inventory.GiB
	yes     = true
)

// SiteName is the ID of a site.
func (f *Fleet) SiteName(host int) string { return fmt.Sprintf("site%d", host%f.Sites+1) }

// HostKey is Sentral's key of a host.
func HostKey(host int) string { return fmt.Sprintf("hv-%05d", host) }

// HostID is the host ID of its agent.
func HostID(host int) uuid.UUID { return numbered('h', host) }

// numbered makes UUIDs that can be told apart and made again.
func numbered(what byte, n int) uuid.UUID {
	return uuid.UUID{what, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), 0, 0x40, 0, 0x80, 0, 0, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

func mac(n int) inventory.MAC {
	return inventory.MAC{0x52, 0x54, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

// owner is whose a VM is.
type owner struct{ tenant, project string }

func (f *Fleet) owner(vm int) owner {
	return owner{fmt.Sprintf("tenant%02d", vm%tenants), fmt.Sprintf("project%d", vm/tenants%projects)}
}

func (o owner) network() string { return o.tenant + "-" + o.project }

// vlan is the VLAN of an owner's network.
func (f *Fleet) vlan(vm int) inventory.VLAN {
	return inventory.VLAN(100 + vm%tenants*projects + vm/tenants%projects)
}

// Inventory is what Sentral says.
func (f *Fleet) Inventory() *sentral.Inventory {
	inv := &sentral.Inventory{Source: "a simulated fleet", Version: "1", ReadAt: epoch}
	vlans := func(vm int) map[string]inventory.VLAN {
		of := map[string]inventory.VLAN{}
		for s := range f.Sites {
			of[f.SiteName(s)] = f.vlan(vm)
		}
		return of
	}
	for s := range f.Sites {
		inv.Sites = append(inv.Sites, sentral.Site{ID: f.SiteName(s)})
	}
	for n := range tenants * projects {
		o := f.owner(n)
		inv.Projects = append(inv.Projects, sentral.Project{Tenant: o.tenant, ID: o.project, Environments: []string{"prod"}})
		inv.Networks = append(inv.Networks, sentral.Network{ID: o.network(), Tenant: o.tenant, Project: o.project, VLANs: vlans(n)})
	}
	for h := range f.Hosts {
		if drift := f.hostDrift(h); drift == nil || !drift.unknown {
			inv.Hosts = append(inv.Hosts, sentral.Host{ID: HostKey(h), HostID: HostID(h), Name: HostKey(h), Site: f.SiteName(h), Platform: Platform(h), State: sentral.HostActive})
		} else {
			continue
		}
		for v := range f.VMs {
			if vm := f.place(h, v); vm.want != nil {
				inv.VMs = append(inv.VMs, *vm.want)
			}
		}
	}
	return inv
}

// vm is one VM of the fleet, in both books.
type vm struct {
	n    int
	want *sentral.VM
	got  *inventory.VM // nil where it isn't on its host
	tag  inventory.VLAN
}

// place makes the VM that is the nth of its host.
func (f *Fleet) place(host, nth int) vm {
	n := host*f.VMs + nth
	o, id, name := f.owner(n), numbered('v', n), fmt.Sprintf("vm-%06d", n)
	serial := fmt.Sprintf("disk-%06d", n)
	v := vm{n: n, tag: f.vlan(n)}
	v.want = &sentral.VM{
		ID: id.String(), Name: name, Tenant: o.tenant, Project: o.project, Environment: "prod", Site: f.SiteName(host), Host: HostKey(host),
		State: sentral.VMRunning, VCPUs: &vcpus, Memory: &memory,
		NICs:  []sentral.NIC{{MAC: mac(n), Network: o.network()}},
		Disks: []sentral.Disk{{Name: "root", Serial: serial, Size: &storage}},
	}
	v.got = &inventory.VM{
		UUID: id, Name: name, State: inventory.StateRunning, RawState: "running", Persistent: &yes, VCPUs: &vcpus, Memory: &memory,
		Machine: "q35", RawMachine: "pc-q35-7.2", Architecture: "x86_64", Firmware: "bios",
		Placement: &inventory.Placement{VM: v.want.ID, Tenant: o.tenant, Project: o.project, Environment: "prod"},
		NICs: []inventory.NIC{{MAC: mac(n), Model: "virtio", Attachment: "ovs", Bridge: "br0", Link: fmt.Sprintf("vnet%d", nth),
			LinkUp: &yes, Address: "pci:0000:01:00.0"}},
		Disks: []inventory.Disk{{Target: "vda", Bus: "virtio", Serial: serial, SourceType: "file", Format: "qcow2",
			Source: "/var/lib/libvirt/images/" + serial + ".qcow2", Capacity: &storage}},
		ConfigDigest: fmt.Sprintf("sha256:%064x", n),
	}
	if Platform(host) == "openstack" {
		v.got.Manager = &inventory.Manager{Name: "openstack-nova", Version: "27.1.0", Project: o.project}
	}
	if drift := f.drift(n); drift != nil {
		drift.plant(f, &v)
	}
	return v
}
