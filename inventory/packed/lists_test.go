package packed_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/inventory/packed"
)

// A list comes out as it went in, whole and value by value, and equal lists give one
// text.
func TestListsUnpackWhatWasPacked(t *testing.T) {
	lists := packed.NewLists[inventory.VM]()
	rapid.Check(t, func(t *rapid.T) {
		var vms []inventory.VM
		anything(t, reflect.ValueOf(&vms).Elem())
		text := lists.Pack(vms, "")
		back := lists.Unpack(text)
		if len(vms)+len(back) > 0 && !reflect.DeepEqual(vms, back) {
			t.Fatalf("(-packed +unpacked)\n%s", cmp.Diff(vms, back))
		}
		for i := range vms {
			if one := lists.At(text, i); !reflect.DeepEqual(&vms[i], one) {
				t.Fatalf("value %d (-packed +unpacked)\n%s", i, cmp.Diff(&vms[i], one))
			}
		}
		if again := lists.Pack(back, text); again != text {
			t.Fatalf("it packs into %q, and what that unpacks to into %q", text, again)
		}
	})
}

// With one base, values are alike where they are equal and only there.
func TestListsTellWhatIsAlike(t *testing.T) {
	lists := packed.NewLists[inventory.VM]()
	rapid.Check(t, func(t *rapid.T) {
		var a, b []inventory.VM
		anything(t, reflect.ValueOf(&a).Elem())
		anything(t, reflect.ValueOf(&b).Elem())
		if len(a) > 2 && len(b) > 1 {
			b[1] = a[2]
		}
		x := lists.Pack(a, "")
		y := lists.Pack(b, x)
		if len(a)*len(b) > 0 && !packed.HaveOneBase(x, y) {
			t.Fatal("a list that was written with another's base has another one")
		}
		if back := lists.Unpack(y); len(b)+len(back) > 0 && !reflect.DeepEqual(b, back) {
			t.Fatalf("(-packed +unpacked)\n%s", cmp.Diff(b, back))
		}
		for i := range a {
			for j := range b {
				if equal, alike := reflect.DeepEqual(a[i], b[j]), packed.Alike(x, i, y, j); equal != alike {
					t.Fatalf("values %d and %d: equal %v, alike %v:\n%s", i, j, equal, alike, cmp.Diff(a[i], b[j]))
				}
			}
		}
	})
}

func TestListsWithOtherBases(t *testing.T) {
	lists := packed.NewLists[string]()
	if packed.HaveOneBase(lists.Pack([]string{"a"}, ""), lists.Pack([]string{"b", "a"}, "")) {
		t.Error("lists that begin otherwise are said to have one base")
	}
	if text := lists.Pack(nil, ""); text != "" || lists.Unpack(text) != nil {
		t.Errorf("no list is written as %q", text)
	}
}

func host(vms int) (all []inventory.VM) {
	up, cpus, memory, size := true, 2, 4*inventory.GiB, 20*inventory.GiB
	for n := range vms {
		id, name := fmt.Sprintf("7c9e6679-7425-40de-944b-e07fc1f9%04x", n), fmt.Sprintf("web-%03d", n)
		vm := inventory.VM{Name: name, State: inventory.StateRunning, RawState: "running", Persistent: &up, VCPUs: &cpus, Memory: &memory,
			Machine: "q35", RawMachine: "pc-q35-7.2", Architecture: "x86_64", Firmware: "bios",
			Placement:    &inventory.Placement{VM: id, Tenant: "acme", Project: "web", Environment: "prod"},
			Image:        &inventory.Image{ID: "debian-12", Version: "20261101", Source: "/var/lib/images/debian-12-20261101.qcow2", Known: inventory.ImageByChain},
			NICs:         []inventory.NIC{{MAC: inventory.MAC{0x52, 0x54, 0, 0, 1, byte(n)}, Model: "virtio", Attachment: "ovs", Link: fmt.Sprintf("vnet%d", n), Bridge: "br0", LinkUp: &up, Address: "pci:0000:01:00.0"}},
			ConfigDigest: fmt.Sprintf("sha256:%064x", 0x0123456789abcdef*uint64(n+1)),
			Disks: []inventory.Disk{{Target: "vda", Bus: "virtio", Device: "disk", Serial: "root-" + name, SourceType: "file", Source: "/var/lib/libvirt/images/" + name + ".qcow2",
				Format: "qcow2", Capacity: &size, Number: "259:1", Backing: []inventory.BackingFile{{Source: "/var/lib/images/debian-12-20261101.qcow2", Format: "qcow2", VirtualSize: &size, Number: "259:1"}}}}}
		copy(vm.UUID[:], name+"0123456789")
		all = append(all, vm)
	}
	return all
}

func TestVMsOfAHostTakeLittle(t *testing.T) {
	const n = 50
	if size := len(packed.NewLists[inventory.VM]().Pack(host(n), "")); size > 150*n {
		t.Errorf("%d VMs take %d bytes, want at most 150 each", n, size)
	}
}

func BenchmarkVMsOfAHost(b *testing.B) {
	lists, vms := packed.NewLists[inventory.VM](), host(50)
	text := lists.Pack(vms, "")
	b.Run("pack", func(b *testing.B) {
		b.ReportMetric(float64(len(text))/float64(len(vms)), "B/VM")
		for b.Loop() {
			lists.Pack(vms, text)
		}
	})
	b.Run("unpack", func(b *testing.B) {
		for b.Loop() {
			lists.Unpack(text)
		}
	})
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			lists.At(text, 17)
		}
	})
}
