package reconcile_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// TestWhatReadsARecordFollowsIt changes one record of an inventory that isn't a VM's or
// host's, each kind in each way that something reads it: a book then finds what a
// pass does, and something else than before.
func TestWhatReadsARecordFollowsIt(t *testing.T) {
	for name, change := range map[string]func(inv *sentral.Inventory){
		"a network's VLAN":                   func(inv *sentral.Inventory) { inv.Networks[0].VLANs = map[string]inventory.VLAN{"lab": 120} },
		"whose a network is":                 func(inv *sentral.Inventory) { inv.Networks[0].Tenant = "umbrella" },
		"a network is gone":                  func(inv *sentral.Inventory) { inv.Networks = inv.Networks[1:] },
		"another network of a VLAN":          func(inv *sentral.Inventory) { inv.Networks[1].VLANs = map[string]inventory.VLAN{"lab": 130} },
		"a VLAN of two tenants":              func(inv *sentral.Inventory) { inv.Networks[1].VLANs = map[string]inventory.VLAN{"lab": 110} },
		"a VLAN of two tenants no more":      func(inv *sentral.Inventory) { inv.Networks[3].VLANs = nil },
		"a site's only VLANs":                func(inv *sentral.Inventory) { inv.Networks = nil },
		"a network names no project of ours": func(inv *sentral.Inventory) { inv.Networks[1].Project = "gone" },
		"an image's digest":                  func(inv *sentral.Inventory) { inv.Images[0].Digest = "sha256:bb" },
		"another image's digest":             func(inv *sentral.Inventory) { inv.Images[1].Digest = "sha256:cc" },
		"an image of a digest that a VM has": func(inv *sentral.Inventory) { inv.Images[2].Digest = "sha256:DD" },
		"a network that a NIC is on by name": func(inv *sentral.Inventory) {
			inv.Networks = append(inv.Networks, sentral.Network{ID: "q", Tenant: "acme", Project: "web"})
		},
		"an image's path":      func(inv *sentral.Inventory) { inv.Images[1].Source = "/images/other.qcow2" },
		"an image is a volume": func(inv *sentral.Inventory) { inv.Images[0].Source = "/pool/unused" },
		"a quota":              func(inv *sentral.Inventory) { inv.Projects[0].Quota = &sentral.Quota{VCPUs: new(int)} },
		"environments":         func(inv *sentral.Inventory) { inv.Projects[1].Environments = []string{"test"} },
		"a project is gone":    func(inv *sentral.Inventory) { inv.Projects = inv.Projects[:1] },
		"an unknown VM's record can't be used": func(inv *sentral.Inventory) {
			inv.LeftOut = []sentral.LeftOut{{Type: "vm", UUID: uuid.UUID{9, 6: 0x40}}}
		},
		"an unknown host's record can't be used": func(inv *sentral.Inventory) {
			inv.LeftOut = []sentral.LeftOut{{Type: "host", Name: "hv2"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := readingAll()
			book := reconcile.NewBook(in.Policy)
			for _, doc := range in.Observed {
				book.Observe(doc)
			}
			book.Intend(in.Intended)
			book.Settle(in.Now)
			before := encode(t, book.Findings())
			inv := *in.Intended
			inv.Networks, inv.Images, inv.Projects = slices.Clone(inv.Networks), slices.Clone(inv.Images), slices.Clone(inv.Projects)
			change(&inv)
			book.Intend(&inv)
			book.Settle(in.Now)
			in.Intended = &inv
			if diff := differs(t, reconcile.Reconcile(in).Findings, book.Findings()); diff != "" {
				t.Errorf("the book differs from a pass:\n%s", diff)
			}
			if encode(t, book.Findings()) == before {
				t.Errorf("nothing else is found:\n%s", before)
			}
		})
	}
}

// readingAll is an input of which findings read everything that an inventory has.
func readingAll() reconcile.Input {
	yes, vlan, size, two := true, inventory.VLAN(110), 2*inventory.GiB, 2
	other, stray := inventory.VLAN(130), inventory.VLAN(140)
	tap := func(name string, vlan *inventory.VLAN) inventory.OVSPort {
		return inventory.OVSPort{Name: name, Tag: vlan, Interfaces: []inventory.OVSInterface{{Name: name}}}
	}
	vm := func(id byte, tap, image, digest string, pl inventory.Placement) inventory.VM {
		return inventory.VM{UUID: uuid.UUID{id, 6: 0x40}, Name: "vm-" + tap, State: inventory.StateRunning, VCPUs: &two, Placement: &pl,
			NICs:  []inventory.NIC{{MAC: inventory.MAC{0x52, 0x54, 0, 0, 0, id}, Attachment: "ovs", Link: tap, LinkUp: &yes}},
			Disks: []inventory.Disk{{Target: "vda", Source: "/pool/" + tap, SourceType: "file"}},
			Image: &inventory.Image{Source: image, Digest: digest}}
	}
	fifth := vm(11, "e", "", "sha256:dd", inventory.Placement{Tenant: "acme", Project: "web"})
	fifth.NICs[0].Network = "q"
	record := func(id byte, tap, network, image string) sentral.VM {
		vm := uuid.UUID{id, 6: 0x40}
		return sentral.VM{ID: vm.String(), Name: "vm-" + tap, Tenant: "acme", Project: "web", Environment: "prod", Site: "lab", Host: "hv1", AntiAffinity: "apart", VCPUs: &two,
			NICs:  []sentral.NIC{{MAC: inventory.MAC{0x52, 0x54, 0, 0, 0, id}, Network: network}},
			Image: &sentral.ImageRef{ID: image, Version: "1"}}
	}
	hv1, hv2 := uuid.UUID{1, 6: 0x40}, uuid.UUID{2, 6: 0x40}
	document := func(host uuid.UUID, source string, body inventory.Body) reconcile.Document {
		return reconcile.Document{Received: epoch, Observation: &inventory.Observation{Host: host, Site: "lab", Source: source, Outcome: inventory.OutcomeComplete, Complete: true, Body: body}}
	}
	runtime := inventory.Body{
		Runtime: &inventory.Runtime{Name: "libvirt-qemu", Platform: "libvirt"},
		VMs: []inventory.VM{
			vm(7, "a", "/images/debian.qcow2", "", inventory.Placement{Tenant: "acme", Project: "web"}),
			vm(8, "b", "/images/alma.qcow2", "sha256:cc", inventory.Placement{Tenant: "acme", Project: "web"}),
			vm(9, "c", "", "", inventory.Placement{Tenant: "umbrella", Project: "db", Environment: "prod"}),
			vm(10, "d", "", "", inventory.Placement{Tenant: "umbrella", Project: "db"}),
			fifth,
		},
		StoragePools: []inventory.StoragePool{{Name: "pool", Type: "dir", State: "running", Target: "/pool", Volumes: []inventory.StorageVolume{{Name: "unused", Path: "/pool/unused", Format: "qcow2", Capacity: &size}}}},
	}
	return reconcile.Input{
		Policy: reconcile.DefaultPolicy(), Now: epoch,
		Intended: &sentral.Inventory{
			FailureDomains: []sentral.FailureDomain{{ID: "rack1", Site: "lab"}, {ID: "rack2", Site: "lab"}},
			Projects:       []sentral.Project{{Tenant: "acme", ID: "web"}, {Tenant: "umbrella", ID: "db", Environments: []string{"prod"}}},
			Networks: []sentral.Network{
				{ID: "n", Tenant: "acme", Project: "web", VLANs: map[string]inventory.VLAN{"lab": 110}},
				{ID: "m", Tenant: "umbrella", Project: "db", VLANs: map[string]inventory.VLAN{"lab": 120}},
				{ID: "o", Tenant: "acme", Project: "web", VLANs: map[string]inventory.VLAN{"lab": 150}},
				{ID: "p", Tenant: "umbrella", Project: "db", VLANs: map[string]inventory.VLAN{"lab": 150}}},
			Images: []sentral.Image{{ID: "debian", Version: "1", Digest: "sha256:aa", Source: "/images/debian.qcow2"}, {ID: "alma", Version: "1", Source: "/images/alma.qcow2"}, {ID: "rocky", Version: "1"}},
			Hosts:  []sentral.Host{{ID: "hv1", HostID: hv1, Site: "lab", FailureDomain: "rack1"}},
			VMs:    []sentral.VM{record(7, "a", "n", "debian"), record(8, "b", "n", "debian"), record(11, "e", "n", "debian")},
		},
		Observed: []reconcile.Document{
			document(hv1, "identity", inventory.Body{Identity: &inventory.Host{Hostname: "hv1"}}),
			document(hv2, "identity", inventory.Body{Identity: &inventory.Host{Hostname: "hv2"}}),
			document(hv1, "network", inventory.Body{OVSBridges: []inventory.OVSBridge{{Name: "br", Ports: []inventory.OVSPort{tap("a", &vlan), tap("b", &other), tap("c", &vlan), tap("d", &stray)}}}}),
			document(hv1, "storage", inventory.Body{
				FileSystems:  []inventory.FileSystem{{Mount: "/pool", Device: "/dev/sda", Type: "ext4", Number: "8:0", BlockDevice: "sda"}},
				BlockDevices: []inventory.BlockDevice{{Name: "sda", Kind: "disk", Size: &size, Serial: "S1"}},
				ImageFiles:   []inventory.ImageFile{{Path: "/images/debian.qcow2", Digest: "sha256:aa"}},
			}),
			document(hv1, "runtime-libvirt", runtime),
		},
	}
}
