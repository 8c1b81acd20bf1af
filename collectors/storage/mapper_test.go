package storage

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/inventory"
)

const lvmIDs = "oNRCnhY6Ow1Sz8d9fKZ8cDq1o5ChbFqGCzq2JcXk7mQyT0p5vNfRjUeWaHsLiGdB"

func TestLayered(t *testing.T) {
	type named struct{ name, uuid string }
	tests := map[named]inventory.BlockDevice{
		{"vms-web--01", "LVM-" + lvmIDs}:                   {Layer: "lvm", VolumeGroup: "vms", LogicalVolume: "web-01"},
		{"v--g-a--b--c", "LVM-" + lvmIDs}:                  {Layer: "lvm", VolumeGroup: "v-g", LogicalVolume: "a-b-c"},
		{"vg-pool-tpool", "LVM-" + lvmIDs + "-tpool"}:      {Layer: "lvm-thin-pool", VolumeGroup: "vg", LogicalVolume: "pool"},
		{"vg-pool", "LVM-" + lvmIDs + "-pool"}:             {Layer: "lvm-thin-pool", VolumeGroup: "vg", LogicalVolume: "pool"},
		{"vg-pool_tmeta", "LVM-" + lvmIDs + "-tmeta"}:      {Layer: "lvm-internal", VolumeGroup: "vg", LogicalVolume: "pool_tmeta"},
		{"vg-root-real", "LVM-" + lvmIDs + "-real"}:        {Layer: "lvm-internal", VolumeGroup: "vg", LogicalVolume: "root"},
		{"vg-data_rimage_0", "LVM-" + lvmIDs}:              {Layer: "lvm-internal", VolumeGroup: "vg", LogicalVolume: "data_rimage_0"},
		{"renamed", "LVM-" + lvmIDs}:                       {Layer: "lvm"},
		{"mpatha", "mpath-3600c0ff0"}:                      {Layer: "mpath"},
		{"mpatha-part1", "part1-mpath-3600c0ff0"}:          {Layer: "mpath-part"},
		{"secrets", "CRYPT-LUKS2-0f9d1f6e2b3c4d5e-secret"}: {Layer: "crypt", Encryption: "luks2"},
		{"old", "CRYPT-LUKS1-0f9d1f6e2b3c4d5e-old"}:        {Layer: "crypt", Encryption: "luks1"},
		{"swap", "CRYPT-PLAIN-swap"}:                       {Layer: "crypt", Encryption: "plain"},
		{"root", "CRYPT-VERITY-0f9d1f6e-root"}:             {Layer: "verity"},
		{"own", ""}:                                        {Layer: "dm"},
		{"own", "part-time"}:                               {Layer: "dm"},
	}
	for n, want := range tests {
		got := inventory.BlockDevice{DMName: n.name, DMUUID: n.uuid}
		layered(&got)
		want.DMName, want.DMUUID = n.name, n.uuid
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", n.name, n.uuid, diff)
		}
	}
}

func TestNVMeHead(t *testing.T) {
	for name, want := range map[string]string{"nvme0c1n2": "nvme0n2", "nvme12c0n34": "nvme12n34", "nvme0n1": "", "nvme0c1": "", "nvmec1n1": "", "nvme0cxn1": "", "sdc1n1": "", "nvme0c1n": ""} {
		if got, isPath := nvmeHead(name); got != want || isPath != (want != "") {
			t.Errorf("%s leads to %q (%t), want %q", name, got, isPath, want)
		}
	}
}

// The names that LVM joins come apart again.
func FuzzSplitDashes(f *testing.F) {
	f.Add("vg-one", "root--1")
	f.Fuzz(func(t *testing.T, vg, lv string) {
		// LVM allows no name that begins with a dash, and none that is empty.
		vg, lv = "v"+vg, "l"+lv
		double := strings.NewReplacer("-", "--").Replace
		if diff := cmp.Diff([]string{vg, lv}, splitDashes(double(vg)+"-"+double(lv))); diff != "" {
			t.Errorf("%q and %q (-want +got):\n%s", vg, lv, diff)
		}
	})
}

func FuzzLayered(f *testing.F) {
	f.Add("vg-pool-tpool", "LVM-"+lvmIDs+"-tpool")
	f.Add("c2", "CRYPT-LUKS2-0f9d-c2")
	f.Fuzz(func(t *testing.T, name, uuid string) {
		dev := inventory.BlockDevice{DMName: name, DMUUID: uuid}
		layered(&dev)
		if dev.Layer == "" || (dev.Encryption != "") && dev.Layer != "crypt" || (dev.VolumeGroup+dev.LogicalVolume != "") && !strings.HasPrefix(dev.Layer, "lvm") {
			t.Errorf("%q %q is %+v", name, uuid, dev)
		}
	})
}

func FuzzNVMeHead(f *testing.F) {
	f.Add("nvme0c1n2")
	f.Fuzz(func(t *testing.T, name string) {
		if head, isPath := nvmeHead(name); isPath && !(strings.HasPrefix(head, "nvme") && strings.Contains(head, "n") && len(head) < len(name)) {
			t.Errorf("%q leads to %q", name, head)
		}
	})
}
