package libvirt

import (
	"context"
	"fmt"
	"path"

	golibvirt "github.com/digitalocean/go-libvirt"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/evaluate/probe"
	"github.com/dataverket/avstem/inventory"
)

const (
	pool    = probe.Prefix + "pool"
	network = probe.Prefix + "net"
	bridge  = "avprobe0" // a link's name has 15 bytes at most

	// The metadata of CONTRACTS.md §2.
	namespace = "urn:dataverket:maskin:placement:v1"

	live = golibvirt.DomainAffectLive | golibvirt.DomainAffectConfig
)

// Do implements [probe.Driver].
func (d *Driver) Do(ctx context.Context, step string, vm *probe.VM) (did string, err error) {
	if step == "restart-daemon" {
		return d.restart(ctx)
	}
	did, call := d.call(step, vm)
	return did, d.with(ctx, call)
}

func (d *Driver) restart(ctx context.Context) (string, error) {
	if d.Restart == nil {
		return "", fmt.Errorf("%w: nothing says how the daemon is restarted here", probe.ErrNotTried)
	}
	did, err := d.Restart(ctx)
	d.drop()
	return did, err
}

// call gives what virsh would be told, and the calls that this is.
func (d *Driver) call(step string, vm *probe.VM) (did string, call func(*golibvirt.Libvirt) error) {
	on := func(f func(*golibvirt.Libvirt, golibvirt.Domain) error) func(*golibvirt.Libvirt) error {
		return func(lv *golibvirt.Libvirt) error {
			dom, err := domain(lv, vm)
			if err != nil {
				return err
			}
			return f(lv, dom)
		}
	}
	switch step {
	case "create":
		return "virsh vol-create, net-create, define", func(lv *golibvirt.Libvirt) error { return d.create(lv, vm) }
	case "start":
		return "virsh start", on(func(lv *golibvirt.Libvirt, dom golibvirt.Domain) error { return lv.DomainCreate(dom) })
	case "stop": // no system in the guest would hear a shutdown
		return "virsh destroy", on(func(lv *golibvirt.Libvirt, dom golibvirt.Domain) error { return lv.DomainDestroy(dom) })
	case "reboot":
		return "virsh reset", on(func(lv *golibvirt.Libvirt, dom golibvirt.Domain) error { return lv.DomainReset(dom, 0) })
	case "attach-disk":
		return "virsh vol-create, attach-device --live --config", on(func(lv *golibvirt.Libvirt, dom golibvirt.Domain) error {
			if _, err := d.volume(lv, vm.ExtraSerial); err != nil {
				return err
			}
			return lv.DomainAttachDeviceFlags(dom, d.disk(vm.ExtraSerial, "sdb"), uint32(live))
		})
	case "detach-disk":
		return "virsh detach-device --live --config", on(func(lv *golibvirt.Libvirt, dom golibvirt.Domain) error {
			return lv.DomainDetachDeviceFlags(dom, d.disk(vm.ExtraSerial, "sdb"), uint32(live))
		})
	case "attach-nic":
		return "virsh attach-device --live --config", on(func(lv *golibvirt.Libvirt, dom golibvirt.Domain) error {
			return lv.DomainAttachDeviceFlags(dom, extraNIC(vm.ExtraMAC), uint32(live))
		})
	case "detach-nic":
		return "virsh detach-device --live --config", on(func(lv *golibvirt.Libvirt, dom golibvirt.Domain) error {
			return lv.DomainDetachDeviceFlags(dom, extraNIC(vm.ExtraMAC), uint32(live))
		})
	case "set-metadata":
		return "virsh metadata --live --config", on(func(lv *golibvirt.Libvirt, dom golibvirt.Domain) error {
			text := fmt.Sprintf("<placement tenant='%s' project='probe' environment='probe'/>", probe.Tenant)
			return lv.DomainSetMetadata(dom, int32(golibvirt.DomainMetadataElement), golibvirt.OptString{text}, golibvirt.OptString{"dv"},
				golibvirt.OptString{namespace}, live)
		})
	case "rename":
		return "virsh domrename", on(func(lv *golibvirt.Libvirt, dom golibvirt.Domain) error {
			name := vm.Name + "-renamed"
			if _, err := lv.DomainRename(dom, golibvirt.OptString{name}, 0); err != nil {
				return err
			}
			vm.Name = name
			return nil
		})
	case "snapshot":
		return "virsh snapshot-create-as", on(func(lv *golibvirt.Libvirt, dom golibvirt.Domain) error {
			_, err := lv.DomainSnapshotCreateXML(dom, "<domainsnapshot><name>"+probe.Prefix+"snapshot</name></domainsnapshot>", 0)
			return err
		})
	case "clone":
		return "virsh vol-clone, define", func(lv *golibvirt.Libvirt) error { return d.clone(lv, vm) }
	case "delete":
		return "virsh undefine --snapshots-metadata --nvram", on(func(lv *golibvirt.Libvirt, dom golibvirt.Domain) error {
			return lv.DomainUndefineFlags(dom, undefine)
		})
	}
	return "", func(*golibvirt.Libvirt) error { return fmt.Errorf("%s: %w", step, probe.ErrUnsupported) }
}

const undefine = golibvirt.DomainUndefineManagedSave | golibvirt.DomainUndefineSnapshotsMetadata | golibvirt.DomainUndefineNvram

func (d *Driver) create(lv *golibvirt.Libvirt, vm *probe.VM) error {
	p, err := lv.StoragePoolDefineXML(fmt.Sprintf("<pool type='dir'><name>%s</name><target><path>%s</path></target></pool>", pool, d.images()), 0)
	if err == nil {
		err = lv.StoragePoolBuild(p, 0)
	}
	if err == nil {
		err = lv.StoragePoolCreate(p, 0)
	}
	if err != nil {
		return fmt.Errorf("make storage pool %s: %w", pool, err)
	}
	if _, err := lv.NetworkCreateXML(fmt.Sprintf("<network><name>%s</name><bridge name='%s'/></network>", network, bridge)); err != nil {
		return fmt.Errorf("make network %s: %w", network, err)
	}
	if _, err := d.volume(lv, vm.Serial); err != nil {
		return err
	}
	dom, err := lv.DomainDefineXML(d.xml(vm.Name, vm.Serial, nic(vm.MAC)))
	if err != nil {
		return fmt.Errorf("define %s: %w", vm.Name, err)
	}
	vm.UUID = uuid.UUID(dom.UUID)
	return nil
}

func (d *Driver) images() string {
	if d.Images != "" {
		return path.Join(d.Images, pool)
	}
	return "/var/lib/libvirt/images/" + pool
}

func (d *Driver) volume(lv *golibvirt.Libvirt, name string) (golibvirt.StorageVol, error) {
	p, err := lv.StoragePoolLookupByName(pool)
	if err != nil {
		return golibvirt.StorageVol{}, err
	}
	v, err := lv.StorageVolCreateXML(p, volumeXML(name), 0)
	if err != nil {
		return v, fmt.Errorf("make volume %s: %w", name, err)
	}
	return v, nil
}

func volumeXML(name string) string {
	return fmt.Sprintf("<volume><name>%s</name><capacity unit='MiB'>16</capacity><target><format type='qcow2'/></target></volume>", name)
}

// clone copies the disk and defines a domain like the first, with an identity of
// its own: libvirt has no call for it.
func (d *Driver) clone(lv *golibvirt.Libvirt, vm *probe.VM) error {
	p, err := lv.StoragePoolLookupByName(pool)
	if err != nil {
		return err
	}
	from, err := lv.StorageVolLookupByName(p, vm.Serial)
	if err != nil {
		return err
	}
	serial := vm.Serial + "-clone"
	if _, err := lv.StorageVolCreateXMLFrom(p, volumeXML(serial), from, 0); err != nil {
		return fmt.Errorf("copy volume %s: %w", vm.Serial, err)
	}
	if _, err := lv.DomainDefineXML(d.xml(vm.Clone, serial, nic(inventory.MAC{}))); err != nil {
		return fmt.Errorf("define %s: %w", vm.Clone, err)
	}
	return nil
}

// xml describes the smallest guest that QEMU starts. Booting from its empty disk
// ends at once; a network boot ROM would spin.
func (d *Driver) xml(name, serial, nic string) string {
	kind := "qemu"
	if d.kvm {
		kind = "kvm"
	}
	return fmt.Sprintf(`<domain type='%s'><name>%s</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os><devices>
<controller type='scsi' model='virtio-scsi'/><controller type='usb' model='qemu-xhci'/>%s%s</devices></domain>`, kind, name, d.disk(serial, "sda"), nic)
}

func (d *Driver) disk(serial, target string) string {
	return fmt.Sprintf("<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='%s/%s'/><target dev='%s' bus='scsi'/><serial>%s</serial></disk>",
		d.images(), serial, target, serial)
}

// nic describes the NIC that the guest begins with; libvirt chooses the address
// where none is given.
func nic(mac inventory.MAC) string {
	address := ""
	if mac != (inventory.MAC{}) {
		address = "<mac address='" + mac.String() + "'/>"
	}
	return "<interface type='network'>" + address + "<source network='" + network + "'/><model type='virtio'/></interface>"
}

// extraNIC describes the one that comes and goes. libvirt 9.0 finds no port for a
// USB NIC by itself.
func extraNIC(mac inventory.MAC) string {
	return "<interface type='network'><mac address='" + mac.String() + "'/><source network='" + network + "'/><model type='usb-net'/><address type='usb' bus='0' port='2'/></interface>"
}
