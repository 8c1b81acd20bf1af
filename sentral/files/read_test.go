package files

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

var update = flag.Bool("update", false, "write the golden files anew")

// write puts files under a directory.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func open(t *testing.T, dir string) *Source {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }
	return s
}

func read(t *testing.T, s *Source) *sentral.Inventory {
	t.Helper()
	inv, err := s.Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// problems gives an inventory's problems as lines, with paths under dir.
func problems(inv *sentral.Inventory, dir string) []string {
	var lines []string
	for _, p := range inv.Problems {
		lines = append(lines, strings.ReplaceAll(p.String(), dir+"/", ""))
	}
	return lines
}

func vmIDs(inv *sentral.Inventory) []string {
	var ids []string
	for _, vm := range inv.VMs {
		ids = append(ids, vm.ID)
	}
	return ids
}

func TestExampleLoadsWithoutProblems(t *testing.T) {
	inv := read(t, open(t, "../../docs/examples/inventory"))
	if got := problems(inv, ""); got != nil || inv.Incomplete || inv.LeftOut != nil {
		t.Errorf("problems: %q, incomplete: %v, left out: %v", got, inv.Incomplete, inv.LeftOut)
	}
	got := [...]int{len(inv.Sites), len(inv.FailureDomains), len(inv.Projects), len(inv.Images), len(inv.Networks), len(inv.Hosts), len(inv.VMs)}
	if want := [...]int{2, 3, 2, 2, 3, 3, 6}; got != want {
		t.Errorf("counts: got %v, want %v", got, want)
	}
	vcpus, memory, root, data := 2, 4*inventory.GiB, 20*inventory.GiB, 100*inventory.GiB
	want := sentral.VM{
		ID: "0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001", Name: "web-01", Tenant: "acme", Project: "web", Environment: "prod",
		Site: "osl1", FailureDomain: "osl1-rack07", Host: "hv-osl1-01", AntiAffinity: "web", State: sentral.VMRunning,
		VCPUs: &vcpus, Memory: &memory, Machine: "q35", Image: &sentral.ImageRef{ID: "debian-12", Version: "20261101"},
		NICs: []sentral.NIC{{MAC: inventory.MAC{0x52, 0x54, 0, 0xaa, 0, 1}, Network: "web-prod", Model: "virtio"}},
		Disks: []sentral.Disk{
			{Name: "root", Size: &root, Serial: "web-01-root", Format: "qcow2"},
			{Name: "data", Size: &data, Serial: "web-01-data"},
		},
	}
	if diff := cmp.Diff(want, inv.VMs[0]); diff != "" {
		t.Errorf("web-01 (-want +got):\n%s", diff)
	}
}
