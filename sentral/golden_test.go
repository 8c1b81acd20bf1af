package sentral_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

var update = flag.Bool("update", false, "write the golden files")

// TestJSON holds the JSON of every record: it is what files, the HTTP API and
// the KV bucket carry.
func TestJSON(t *testing.T) {
	vcpus, memory, size := 2, 4*inventory.GiB, 20*inventory.GiB
	mac := inventory.MAC{0x52, 0x54, 0, 0xaa, 0, 1}
	inv := sentral.Inventory{
		Sites:          []sentral.Site{{ID: "osl1", Name: "Oslo 1"}},
		FailureDomains: []sentral.FailureDomain{{ID: "osl1-rack07", Site: "osl1", Kind: "rack"}},
		Projects:       []sentral.Project{{Tenant: "acme", ID: "web", Environments: []string{"prod", "test"}, Quota: &sentral.Quota{VCPUs: &vcpus, Memory: &memory, Storage: &size}}},
		Images:         []sentral.Image{{ID: "debian-12", Version: "20261101", Digest: "sha256:00", Source: "/images/debian-12.qcow2"}},
		Networks:       []sentral.Network{{ID: "web-prod", Tenant: "acme", Project: "web", VLANs: map[string]inventory.VLAN{"trd1": 210, "osl1": 110}}},
		Hosts: []sentral.Host{{ID: "hv-osl1-01", HostID: uuid.MustParse("6f1c0000-0000-4000-8000-000000000001"), Name: "hv-osl1-01", Site: "osl1", FailureDomain: "osl1-rack07",
			Platform: "libvirt", State: sentral.HostActive, Serial: "ABC123", SystemUUID: uuid.MustParse("4c4c4544-0042-3510-8052-b4c04f4e3232"),
			Capacity: &sentral.Quota{VCPUs: &vcpus}, Links: []sentral.HostLink{{Name: "eno1", MAC: mac, VLANs: []inventory.VLAN{110}}},
			Disks: []sentral.HostDisk{{Serial: "S4EVNX0R", WWN: "naa.5002538e00000001", Size: &size}}}},
		VMs: []sentral.VM{{ID: "0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001", RuntimeID: uuid.MustParse("0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0002"), Name: "web-01",
			Tenant: "acme", Project: "web", Environment: "prod", Site: "osl1", FailureDomain: "osl1-rack07", Host: "hv-osl1-01", AntiAffinity: "web",
			State: sentral.VMRunning, VCPUs: &vcpus, Memory: &memory, Machine: "q35", Image: &sentral.ImageRef{ID: "debian-12", Version: "20261101"},
			NICs:  []sentral.NIC{{MAC: mac, Network: "web-prod", Model: "virtio"}},
			Disks: []sentral.Disk{{Name: "root", Size: &size, Serial: "web-01-root", WWN: "naa.1", Format: "qcow2", Source: "/d/root", Shared: true}}}},
	}
	got, err := json.MarshalIndent(inv, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/inventory.golden.json"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(bytes.TrimSpace(want)), string(got)); diff != "" {
		t.Errorf("inventory (-want +got):\n%s", diff)
	}
	var again sentral.Inventory
	if err := json.Unmarshal(want, &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(inv, again); diff != "" {
		t.Errorf("read again (-wrote +read):\n%s", diff)
	}
}
