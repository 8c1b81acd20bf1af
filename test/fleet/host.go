package fleet

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// The sources of hosts' documents.
const (
	sourceIdentity = "identity"
	sourceNetwork  = "network"
	sourceStorage  = "storage"
	sourceLibvirt  = "runtime-libvirt"
	sourceIncus    = "runtime-incus"
	sourceQEMU     = "runtime-qemu"
)

// pool is where hosts of libvirt keep disks.
const pool = "/var/lib/libvirt/images"

// host is a host of the fleet, in both books.
type host struct {
	n        int
	platform string
	want     *sentral.Host
	site     string // where its agent believes that it is
	identity inventory.Host
	uplink   inventory.Link // the bond below the bridge
	eno2     inventory.Link
	disks    []inventory.BlockDevice
	// trunks are the VLANs that its uplink carries; nil is all.
	trunks []inventory.VLAN
	// failed is why its runtime can't be seen, partly what of it can't.
	failed *inventory.Problem
	partly []inventory.Problem
	// doubled is a VM of which QEMU itself shows more memory than libvirt.
	doubled *inventory.VM
}

// host makes a host with its drift.
func (f *Fleet) host(n int) *host {
	h := &host{n: n, platform: f.Platform(n), site: f.Site(n)}
	nic := func(port byte) inventory.MAC {
		return inventory.MAC{0xb8, 0xce, port, byte(n >> 16), byte(n >> 8), byte(n)}
	}
	serial, size, cpus, ram := fmt.Sprintf("SRV%07d", n), 960*inventory.Bytes(1e9), 64, 512*inventory.GiB
	data := fmt.Sprintf("S4E%07d", n)
	threads := 32
	h.want = &sentral.Host{
		ID: HostKey(n), HostID: HostID(n), Name: HostKey(n), Site: h.site, FailureDomain: f.rack(n), Platform: h.platform, State: sentral.HostActive,
		Serial: serial, SystemUUID: numbered('s', n), Capacity: &sentral.Quota{VCPUs: &threads, Memory: &ram},
		Links: []sentral.HostLink{{Name: "eno1", MAC: nic(1)}, {Name: "eno2", MAC: nic(2)}},
		Disks: []sentral.HostDisk{{Serial: data, Size: &size}},
	}
	h.identity = inventory.Host{
		Hostname: HostKey(n), MachineID: numbered('m', n), SystemUUID: numbered('s', n), Serial: serial, Vendor: "Dell Inc.", Product: "PowerEdge R650",
		MACs: []inventory.MAC{nic(1), nic(2)}, Architecture: "x86_64", Kernel: "6.1.0-28-amd64", OS: "Debian GNU/Linux 12 (bookworm)", CPUs: &cpus, Memory: &ram,
	}
	h.uplink = link("bond0", "bond", nic(1), "")
	h.uplink.BondMode, h.uplink.ActiveMember = "802.3ad", "eno1"
	h.eno2 = physical("eno2", nic(2))
	h.disks = []inventory.BlockDevice{
		{Name: "sda", Kind: "disk", Size: &size, Serial: "SYS" + serial, Model: "BOSS-S2"},
		{Name: "sda1", Kind: "part", Size: &size, Parent: "sda", Content: "ext4"},
		{Name: "nvme0n1", Kind: "disk", Size: &size, Serial: data, Model: "Dell Ent NVMe", Content: "ext4"},
	}
	if drift := f.hostDrift(n); drift != nil && drift.plant != nil {
		drift.plant(f, h)
	}
	return h
}

var mtu = 1500

func link(name, kind string, mac inventory.MAC, master string) inventory.Link {
	return inventory.Link{Name: name, Kind: kind, MAC: mac, MTU: &mtu, Up: &yes, OperState: "up", Carrier: &yes, Master: master}
}

func physical(name string, mac inventory.MAC) inventory.Link {
	l, speed := link(name, "physical", mac, "bond0"), 25_000
	l.PermanentMAC, l.Driver, l.Speed = mac, "ice", &speed
	return l
}

// Documents are what a host shows: its identity, network, storage and runtime, the
// last of all. Their gen is the one given. One that never reported has none.
func (f *Fleet) Documents(n int, gen uint64) []*inventory.Observation {
	drift := f.hostDrift(n)
	if drift != nil && drift.silent {
		return nil
	}
	return f.documents(f.host(n), gen, f.people(n), drift)
}

func (f *Fleet) documents(h *host, gen uint64, people []vm, drift *HostDrift) []*inventory.Observation {
	all := []*inventory.Observation{
		f.document(h, gen, sourceIdentity, inventory.Body{Identity: &h.identity}),
		f.document(h, gen, sourceNetwork, h.network(people)),
		f.document(h, gen, sourceStorage, h.storage()),
	}
	if h.doubled != nil {
		runtime := &inventory.Runtime{Name: "qemu", Platform: "qemu", RunningOnly: true}
		all = append(all, f.document(h, gen, sourceQEMU, inventory.Body{Runtime: runtime, VMs: []inventory.VM{*h.doubled}}))
	}
	return append(all, f.runtime(h, gen, people))
}

// storage has the file system that VMs' disks lie on.
func (h *host) storage() inventory.Body {
	return inventory.Body{BlockDevices: h.disks, FileSystems: []inventory.FileSystem{
		{Mount: "/", Device: "/dev/sda1", Type: "ext4", Number: "8:1", BlockDevice: "sda1"},
		{Mount: "/var/lib", Device: "/dev/nvme0n1", Type: "ext4", Number: "259:1", BlockDevice: "nvme0n1"},
	}}
}

// network has a tap for each NIC on a switch with one uplink: Open vSwitch, or for
// Incus a bridge that filters VLANs.
func (h *host) network(people []vm) inventory.Body {
	uplink, eno1 := h.uplink, physical("eno1", h.uplink.MAC)
	incus := h.platform == onIncus
	body := inventory.Body{Links: []inventory.Link{eno1, h.eno2}}
	master, ports := "ovs-system", []inventory.OVSPort{{Name: "bond0", Trunks: h.trunks, Interfaces: []inventory.OVSInterface{{Name: "bond0"}}}}
	if incus {
		master = "br0"
		bridge := link("br0", "bridge", uplink.MAC, "")
		bridge.VLANFiltering = &yes
		body.Links = append(body.Links, bridge)
		uplink.PortVLANs = []inventory.PortVLAN{{ID: 2, Last: 4094}}
		if h.trunks != nil {
			uplink.PortVLANs = nil
			for _, v := range h.trunks {
				uplink.PortVLANs = append(uplink.PortVLANs, inventory.PortVLAN{ID: v})
			}
		}
	}
	uplink.Master = master
	body.Links = append(body.Links, uplink)
	for i := range people {
		v := &people[i]
		if v.got == nil {
			continue
		}
		for nth := range v.got.NICs {
			nic := &v.got.NICs[nth]
			if nic.Link == "" {
				continue
			}
			tag := v.on
			tap := link(nic.Link, "tun", inventory.MAC{0xfe, nic.MAC[1], nic.MAC[2], nic.MAC[3], nic.MAC[4], nic.MAC[5]}, master)
			if incus {
				tap.PortVLANs = []inventory.PortVLAN{{ID: tag, PVID: true, Untagged: true}}
			} else {
				ports = append(ports, inventory.OVSPort{Name: nic.Link, Tag: &tag, Interfaces: []inventory.OVSInterface{
					{Name: nic.Link, MAC: tap.MAC, LinkState: "up", ExternalIDs: h.portIDs(v.got, nic)}}})
			}
			body.Links = append(body.Links, tap)
		}
	}
	if !incus {
		body.OVSBridges = []inventory.OVSBridge{{Name: "br0", Datapath: "system", Ports: ports}}
	}
	return body
}

// portIDs are what libvirt, and Nova otherwise, write to a NIC's port.
func (h *host) portIDs(vm *inventory.VM, nic *inventory.NIC) map[string]string {
	owner := "vm-id"
	if h.platform == onOpenStack {
		owner = "vm-uuid"
	}
	return map[string]string{"attached-mac": nic.MAC.String(), "iface-id": nic.PortID, "iface-status": "active", owner: vm.UUID.String()}
}

// runtime is the document of the host's runtime.
func (f *Fleet) runtime(h *host, gen uint64, people []vm) *inventory.Observation {
	source, body := sourceLibvirt, inventory.Body{Runtime: &inventory.Runtime{Name: "libvirt-qemu", Platform: "libvirt", Version: "9.0.0", Hypervisor: "QEMU 7.2.22"}}
	if h.platform == onIncus {
		source, body.Runtime = sourceIncus, &inventory.Runtime{Name: "incus", Platform: "incus", Version: "6.0.4"}
	}
	var volumes []inventory.StorageVolume
	for i := range people {
		v := &people[i]
		if v.orphan {
			volumes = append(volumes, volume(fmt.Sprintf("%s/vm-%06d-old.qcow2", pool, v.n)))
		}
		if v.got == nil {
			continue
		}
		body.VMs = append(body.VMs, *v.got)
		for j := range v.got.Disks {
			volumes = append(volumes, volume(v.got.Disks[j].Source))
		}
	}
	if h.platform == onLibvirt {
		body.StoragePools = []inventory.StoragePool{{Name: "default", UUID: numbered('p', h.n), Type: "dir", State: "running", Target: pool, Volumes: volumes}}
	}
	if h.failed != nil {
		body = inventory.Body{}
	}
	o := f.document(h, gen, source, body)
	if h.failed != nil {
		o.Outcome, o.Complete, o.Problems = inventory.OutcomeFailed, false, []inventory.Problem{*h.failed}
		seal(o)
	}
	if h.partly != nil {
		o.Outcome, o.Problems = inventory.OutcomePartial, h.partly
		seal(o)
	}
	return o
}

func volume(path string) inventory.StorageVolume {
	return inventory.StorageVolume{Name: path[len(pool)+1:], Path: path, Type: "file", Format: "qcow2", Capacity: &root}
}

func (f *Fleet) document(h *host, gen uint64, source string, body inventory.Body) *inventory.Observation {
	o := &inventory.Observation{
		Schema: inventory.Schema, Host: HostID(h.n), Site: h.site, Source: source, Epoch: 1, Gen: gen,
		ObservedAt: epoch.Add(time.Duration(gen) * time.Second), Took: 40 * time.Millisecond, BootID: uuid.Nil.String(),
		Outcome: inventory.OutcomeComplete, Complete: true, Capabilities: f.known[source], Body: body,
	}
	seal(o)
	return o
}

func seal(o *inventory.Observation) {
	if err := o.Seal(); err != nil {
		panic(fmt.Sprintf("seal a document of simulated host %s: %v", o.Host, err)) // of our own values
	}
}
