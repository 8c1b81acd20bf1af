package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/files"
	"github.com/dataverket/avstem/test/rig"
)

// world starts the demo's host for a test.
func world(t *testing.T) *rig.Rig {
	t.Helper()
	r := rig.ForTestAs(t, Hostname)
	if err := Build(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return r
}

func run(t *testing.T) func(string, error) string {
	return func(out string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// What libvirtd and Open vSwitch say of the host is what guests.go says.
func TestHostIsAsDescribed(t *testing.T) {
	r := world(t)
	want := map[string]string{}
	got := map[string]string{}
	for i := range guests {
		g := &guests[i]
		want[g.Name] = g.UUID + " running"
		if g.Stopped {
			want[g.Name] = g.UUID + " shut off"
		}
		got[g.Name] = run(t)(r.Virsh("domuuid", g.Name)) + " " + run(t)(r.Virsh("domstate", g.Name))
		got[g.Name] = strings.Join(strings.Fields(got[g.Name]), " ")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("guests (-want +got):\n%s", diff)
	}
	if names := strings.Fields(run(t)(r.Virsh("list", "--all", "--name"))); len(names) != len(guests) {
		t.Errorf("the host has %d guests, want %d: %v", len(names), len(guests), names)
	}
	for i := range guests {
		if g := &guests[i]; !g.Stopped {
			checkPorts(t, r, g)
		}
	}
	checkGround(t, r)
}

// checkPorts reads where the guest's taps are plugged in.
func checkPorts(t *testing.T, r *rig.Rig, g *guest) {
	t.Helper()
	var taps []string
	for line := range strings.Lines(run(t)(r.Virsh("domiflist", g.Name))) {
		// Interface, type, source, model, MAC.
		if fields := strings.Fields(line); len(fields) == 5 {
			taps = append(taps, fields[0])
		}
	}
	if len(taps) != len(g.NICs) {
		t.Errorf("%s has taps %v, want %d", g.Name, taps, len(g.NICs))
		return
	}
	for i, n := range g.NICs {
		if n.VLAN != 0 {
			if tag := run(t)(r.VSCtl("get", "port", taps[i], "tag")); tag != fmt.Sprint(n.VLAN) {
				t.Errorf("%s of %s has tag %s, want %d", taps[i], g.Name, tag, n.VLAN)
			}
			continue
		}
		if link := run(t)(r.Run("ip", "-o", "link", "show", "dev", taps[i])); !strings.Contains(link, " master "+managementBridge+" ") {
			t.Errorf("%s of %s is not in %s: %s", taps[i], g.Name, managementBridge, link)
		}
	}
}

// checkGround reads from the disk itself what the guests' root disks stand on.
func checkGround(t *testing.T, r *rig.Rig) {
	t.Helper()
	for i := range guests {
		g := &guests[i]
		var info struct {
			Size    int64  `json:"virtual-size"`
			Backing string `json:"full-backing-filename"`
		}
		out := run(t)(r.Run("qemu-img", "info", "-U", "--output=json", g.disks()[0].Path))
		if err := json.Unmarshal([]byte(out), &info); err != nil {
			t.Fatal(err)
		}
		if want := rig.ImagePath(imageFile(g.Image)); info.Backing != want || info.Size != g.Root {
			t.Errorf("root disk of %s has %d bytes over %s, want %d over %s", g.Name, info.Size, info.Backing, g.Root, want)
		}
	}
}

// The inventory is one that breaks no rule, and names the host's guests and one
// more.
func TestInventoryIsSound(t *testing.T) {
	dir := t.TempDir() + "/inventory"
	if err := WriteInventory(dir); err != nil {
		t.Fatal(err)
	}
	inv := readInventory(t, dir)
	if len(inv.Problems) > 0 {
		t.Errorf("problems: %+v", inv.Problems)
	}
	if len(inv.Hosts) != 1 || inv.Hosts[0].Name != Hostname {
		t.Errorf("hosts are %+v, want %s alone", inv.Hosts, Hostname)
	}
	intended := map[string]bool{}
	for _, vm := range inv.VMs {
		intended[vm.Name] = true
	}
	var unknown []string
	for i := range guests {
		if !intended[guests[i].Name] {
			unknown = append(unknown, guests[i].Name)
		}
		delete(intended, guests[i].Name)
	}
	if diff := cmp.Diff([]string{"db-01-restore"}, unknown); diff != "" {
		t.Errorf("guests that Sentral hasn't (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]bool{missing: true}, intended); diff != "" {
		t.Errorf("VMs that the host hasn't (-want +got):\n%s", diff)
	}
}

func readInventory(t *testing.T, dir string) *sentral.Inventory {
	t.Helper()
	source, err := files.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	inv, err := source.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// No two guests share what tells VMs apart.
func TestGuestsAreDistinct(t *testing.T) {
	seen := map[string]string{}
	claim := func(what, owner string) {
		if other, taken := seen[what]; taken {
			t.Errorf("%s belongs to %s and %s", what, other, owner)
		}
		seen[what] = owner
	}
	for i := range guests {
		g := &guests[i]
		claim(g.Name, g.Name)
		if _, err := inventory.ParseUUID(g.UUID); err != nil {
			t.Errorf("%s: %v", g.Name, err)
		}
		claim(g.UUID, g.Name)
		for _, n := range g.NICs {
			mac, err := inventory.ParseMAC(n.MAC)
			if err != nil {
				t.Errorf("%s: %v", g.Name, err)
			}
			claim(mac.String(), g.Name)
		}
		for _, d := range g.disks() {
			claim(d.Path, g.Name)
		}
	}
}

func TestBuildStopsWithItsContext(t *testing.T) {
	r := rig.ForTest(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Build(ctx, r); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want %v", err, context.Canceled)
	}
	if err := Build(t.Context(), r); err == nil || !strings.Contains(err.Error(), "bridge named br0 already exists") {
		t.Errorf("build over a build: %v, want ovs-vsctl's refusal", err)
	}
}
