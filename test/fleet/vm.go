package fleet

import (
	"crypto/sha256"
	"fmt"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// vm is one VM of the fleet, in both books.
type vm struct {
	n    int
	want *sentral.VM
	got  *inventory.VM // nil where it isn't on its host
	// on is the VLAN of its first NIC.
	on inventory.VLAN
	// beside are further VMs of the same host, away one on its host's partner.
	beside []vm
	away   *vm
	// project is one that only this VM has.
	project *sentral.Project
	// orphan is a volume of its host's pool that it left behind, task what Maskin
	// says of it.
	orphan bool
	task   *reconcile.Task
}

// spare is added to a VM's number for another VM that is made for it.
const spare = 1 << 27

// image is what VMs are made from; its versions were there before.
const image = "debian-12"

func imagePath(version string) string {
	return "/var/lib/images/" + image + "-" + version + ".qcow2"
}

func digest(version string) string { return fmt.Sprintf("sha256:%064s", version) }

// plain makes a VM of a host as it should be.
func (f *Fleet) plain(n, host int, o owner) vm {
	id, name := numbered('v', n), fmt.Sprintf("vm-%06d", n)
	v := vm{n: n, on: o.vlan}
	v.want = &sentral.VM{
		ID: id.String(), Name: name, Tenant: o.tenant, Project: o.project, Environment: "prod", Site: f.Site(host), Host: HostKey(host),
		State: sentral.VMRunning, VCPUs: &vcpus, Memory: &memory, Image: &sentral.ImageRef{ID: image, Version: "20261101"},
		NICs:  []sentral.NIC{{MAC: mac(n), Network: o.network()}},
		Disks: []sentral.Disk{{Name: "root", Size: &root}},
	}
	v.got = &inventory.VM{
		UUID: id, Name: name, State: inventory.StateRunning, RawState: "running", Persistent: &yes, VCPUs: &vcpus, Memory: &memory,
		Machine: "q35", RawMachine: "pc-q35-7.2", Architecture: "x86_64", Firmware: "bios",
		Placement: &inventory.Placement{VM: v.want.ID, Tenant: o.tenant, Project: o.project, Environment: "prod"},
		Image:     &inventory.Image{ID: image, Version: "20261101"},
		NICs:      []inventory.NIC{v.nic(0, mac(n))}, Disks: []inventory.Disk{v.disk("vda", "root")},
		ConfigDigest: fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(name))),
	}
	switch f.Platform(host) {
	case onIncus:
		v.onIncus()
	case onOpenStack:
		v.got.Manager = &inventory.Manager{Name: "openstack-nova", Version: "27.1.0", Project: o.project}
		fallthrough
	default:
		v.onLibvirt()
	}
	return v
}

// nic is a NIC of the VM. Its tap is named so that no other VM's is.
func (v *vm) nic(nth int, mac inventory.MAC) inventory.NIC {
	return inventory.NIC{MAC: mac, Model: "virtio", Link: fmt.Sprintf("tap%08x-%d", v.n, nth), LinkUp: &yes, Bridge: "br0", Attachment: "ovs",
		PortID: numbered('i'+byte(nth), v.n).String()}
}

func (v *vm) disk(target, name string) inventory.Disk {
	return inventory.Disk{Target: target, Bus: "virtio", Device: "disk", Serial: fmt.Sprintf("%s-%06d", name, v.n), SourceType: "file", Format: "qcow2",
		Source: fmt.Sprintf("%s/vm-%06d-%s.qcow2", pool, v.n, name), Capacity: &root, Number: "259:1"}
}

// onLibvirt gives the VM what QEMU and qemu-img tell: serials, formats, and the
// file at the ground of its chain.
func (v *vm) onLibvirt() {
	v.want.Disks[0].Serial = v.got.Disks[0].Serial
	v.got.NICs[0].Address = "pci:0000:01:00.0"
	v.made("20261101")
}

// made says which version of the image the VM's disk rests on.
func (v *vm) made(version string) {
	v.got.Image.Source, v.got.Image.Known = imagePath(version), inventory.ImageByChain
	v.got.Disks[0].Backing = []inventory.BackingFile{{Source: imagePath(version), Format: "qcow2", VirtualSize: &root, Number: "259:1"}}
}

// onIncus has Incus's names for things, and not what it doesn't tell.
func (v *vm) onIncus() {
	v.got.NativeID = "default/" + v.got.Name
	v.got.RawState, v.got.Firmware = "Running", "efi"
	v.got.Image.Digest, v.got.Image.Known = digest("20261101"), inventory.ImageByFingerprint
	nic := &v.got.NICs[0]
	nic.Attachment, nic.LinkUp, nic.PortID = "bridge", nil, ""
	d := &v.got.Disks[0]
	*d = inventory.Disk{Target: "root", Bus: "scsi", Device: "disk", SourceType: "volume", Source: "default/virtual-machine/" + v.got.Name, Capacity: d.Capacity}
}

// place makes the VM that is the nth of its host, with its drift.
func (f *Fleet) place(host, nth int) vm {
	n := host*f.VMs + nth
	v := f.plain(n, host, f.owner(n))
	if drift := f.drift(n); drift != nil {
		drift.plant(f, &v, host)
	}
	return v
}

// people are the VMs that a host shows.
func (f *Fleet) people(host int) (all []vm) {
	if d := f.hostDrift(host); d != nil && d.emptied {
		return nil
	}
	for nth := range f.VMs {
		v := f.place(host, nth)
		all = append(append(all, v), v.beside...)
	}
	if other, has := f.Partner(host); has {
		for nth := range f.VMs {
			if drift := f.drift(other*f.VMs + nth); drift != nil && drift.pair {
				if v := f.place(other, nth); v.away != nil {
					all = append(all, *v.away)
				}
			}
		}
	}
	return all
}
