package incus

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/collectors/collectorstest"
	"github.com/dataverket/avstem/inventory"
)

// richly sets up what a container of a real daemon can show.
const richly = `
project create acme -c features.images=false -c features.profiles=false
storage volume create default logs size=64MiB
storage volume create default raw --type=block size=1MiB
profile create rich
profile set rich limits.memory 64MiB
profile set rich user.dataverket.tenant acme
profile device add rich eth0 nic nictype=bridged parent=br0 hwaddr=52:54:00:aa:00:01
network create lan0 ipv4.address=none ipv6.address=none
init tiny rich -p default -p rich -c limits.cpu=2 -c user.dataverket.vm=vm-1 -c user.dataverket.project=web -c user.dataverket.environment=prod -c user.dataverket.image=debian-12 -c user.dataverket.imageVersion=3 -c user.juju-model=4a1c
config device add rich lan nic network=lan0 name=eth1
config device add rich p2p nic nictype=p2p name=eth2 mtu=1400
config device add rich logs disk pool=default source=logs path=/logs
config device add rich share disk source=/usr/share path=/share readonly=true
snapshot rich before
start rich
`

var richDevices = []inventory.NIC{
	{MAC: mac("52:54:00:aa:00:01"), Attachment: "bridge", Bridge: "br0"},
	{Attachment: "bridge", Network: "lan0", Bridge: "lan0"},
	{Attachment: "ethernet", MTU: new(1400)},
}

// made leaves out what the daemon makes up.
var made = cmp.Options{
	cmpopts.IgnoreFields(inventory.VM{}, "UUID", "GenerationID", "ConfigDigest", "Image"),
	cmpopts.IgnoreFields(inventory.NIC{}, "Link"),
	cmpopts.IgnoreFields(inventory.Snapshot{}, "Created"),
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".MAC" }, cmp.Comparer(func(x, y inventory.MAC) bool {
		return x == y || x == inventory.MAC{} || y == inventory.MAC{}
	})),
}

// TestRealContainer follows one container through its life, and holds each field
// to what was asked for.
func TestRealContainer(t *testing.T) {
	var seen []*inventory.Observation
	forBoth(t, func(t *testing.T, r *runtime) {
		t.Cleanup(func() {
			r.remove(t, "rich")
			r.remove(t, "copy")
			r.do(t, "storage volume delete default logs\nstorage volume delete default raw\nprofile delete rich\nnetwork delete lan0\nproject delete acme")
		})
		r.do(t, richly)
		c := r.collector()
		first := len(seen)
		read := func(name string) inventory.VM {
			t.Helper()
			o := complete(t, c)
			seen = append(seen, o)
			return *vmOf(t, o, name)
		}
		yes := true
		want := inventory.VM{
			NativeID: "default/rich", Name: "rich", Type: "container", State: inventory.StateRunning, RawState: "Running", Persistent: &yes,
			VCPUs: new(2), Memory: new(64 * inventory.MiB), Architecture: "x86_64",
			Placement: &inventory.Placement{VM: "vm-1", Tenant: "acme", Project: "web", Environment: "prod"},
			Manager:   &inventory.Manager{Name: "juju", Project: "4a1c"},
			NICs:      richDevices,
			Disks: []inventory.Disk{
				{Target: "root", Device: "disk", SourceType: "volume", Source: "default/container/rich"},
				{Target: "logs", Device: "filesystem", SourceType: "volume", Source: "default/custom/logs"},
				{Target: "share", Device: "filesystem", Source: "/usr/share", ReadOnly: true},
			},
			Snapshots: []inventory.Snapshot{{Name: "before"}},
		}
		running := read("default/rich")
		if diff := cmp.Diff(want, running, made); diff != "" {
			t.Errorf("running (-want +got):\n%s", diff)
		}
		if image := running.Image; image == nil || image.ID != "debian-12" || image.Version != "3" || len(image.Digest) != len("sha256:")+64 ||
			image.Known != inventory.ImageByFingerprint {
			t.Errorf("image is %+v", image)
		}
		if running.UUID == uuid.Nil || (running.GenerationID == uuid.Nil) != (r.flavor.name == LXD.name) {
			t.Errorf("identity %s, generation %s", running.UUID, running.GenerationID)
		}
		if made := running.Snapshots[0].Created; time.Since(made) > time.Hour || time.Until(made) > time.Minute {
			t.Errorf("the snapshot was made at %s", made)
		}
		checkPool(t, r, seen[first])
		for _, nic := range running.NICs {
			if _, err := r.rig.Run("ip", "link", "show", "dev", nic.Link); err != nil || nic.MAC == (inventory.MAC{}) {
				t.Errorf("NIC %s is on link %q: %v", nic.MAC, nic.Link, err)
			}
		}

		r.do(t, "pause rich")
		if vm := read("default/rich"); vm.State != inventory.StatePaused || vm.RawState != "Frozen" || vm.ConfigDigest != running.ConfigDigest {
			t.Errorf("paused it is %s (%s)", vm.State, vm.RawState)
		}
		r.do(t, "stop --force rich")
		stopped := read("default/rich")
		if stopped.State != inventory.StateStopped || stopped.NICs[0].Link != "" || stopped.NICs[1].MAC != running.NICs[1].MAC {
			t.Errorf("stopped it is %+v", stopped)
		}
		r.do(t, "config device remove rich p2p\nconfig set rich limits.cpu=1,3-4\nrename rich risen")
		t.Cleanup(func() { r.remove(t, "risen") })
		renamed := read("default/risen")
		if renamed.UUID != running.UUID || renamed.ConfigDigest == running.ConfigDigest || *renamed.VCPUs != 3 || len(renamed.NICs) != 2 {
			t.Errorf("renamed it is %+v", renamed)
		}
		r.do(t, "snapshot-restore risen before")
		if vm := read("default/risen"); vm.UUID != running.UUID || r.flavor.name == Incus.name && vm.GenerationID == running.GenerationID {
			t.Errorf("restored it has identity %s, generation %s; before %s, %s", vm.UUID, vm.GenerationID, running.UUID, running.GenerationID)
		}
		r.do(t, "copy risen copy --instance-only")
		if vm := read("default/copy"); vm.UUID == running.UUID || vm.UUID == uuid.Nil || vm.NICs[1].MAC == running.NICs[1].MAC {
			t.Errorf("the copy has identity %s", vm.UUID)
		}
		r.do(t, "init tiny risen --project acme -e")
		if vm := read("acme/risen"); *vm.Persistent || vm.UUID == running.UUID || vm.Disks[0].Source != "default/container/acme_risen" {
			t.Errorf("the one of project acme is %+v", vm)
		}
		r.do(t, "delete --project acme risen")
	})
	collectorstest.Prove(t, collectorstest.ProofFile, "TestRealContainer", seen...)
}

func TestConformance(t *testing.T) {
	forBoth(t, func(t *testing.T, r *runtime) {
		r.launch(t, "one", "-n", "br0")
		at := func(sockets ...string) collectorstest.Make {
			return func(*testing.T) collectors.Collector { return &Collector{Flavor: r.flavor, Sockets: sockets} }
		}
		collectorstest.Run(t, at(r.socket),
			collectorstest.Absent(at("/nowhere/unix.socket", "/neither/here")),
			collectorstest.Down(at(deadSocket(t))),
			collectorstest.Hanging(at(silentSocket(t))))
	})
}

func mac(s string) inventory.MAC {
	m, err := inventory.ParseMAC(s)
	if err != nil {
		panic(err)
	}
	return m
}

// TestRuntime reads what the daemon says of itself.
func TestRuntime(t *testing.T) {
	forBoth(t, func(t *testing.T, r *runtime) {
		version, err := r.client("version")
		if err != nil {
			t.Fatal(err)
		}
		_, version, _ = strings.Cut(version, "Server version: ")
		want := &inventory.Runtime{Name: r.flavor.name, Platform: r.flavor.name, Version: strings.TrimSpace(version), Hypervisor: "LXC 5.0.2", Endpoint: r.socket}
		if diff := cmp.Diff(want, complete(t, r.collector()).Runtime); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// TestVLANs puts a container on a port of a real Open vSwitch: what the switch
// says of the port is what the NIC asked for.
func TestVLANs(t *testing.T) {
	forBoth(t, func(t *testing.T, r *runtime) {
		if _, err := r.rig.VSCtl("--may-exist", "add-br", "ovsbr0", "--", "set", "bridge", "ovsbr0", "datapath_type=netdev"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.remove(t, "tagged") })
		r.do(t, `
init tiny tagged
config device add tagged eth0 nic nictype=bridged parent=ovsbr0 vlan=120
config device add tagged eth1 nic nictype=bridged parent=ovsbr0 vlan=10 vlan.tagged=20,30-31
start tagged`)
		nics := vmOf(t, complete(t, r.collector()), "default/tagged").NICs
		for n, want := range []struct {
			vlan        inventory.VLAN
			trunks      []inventory.VLAN
			tag, tagged string
		}{{120, nil, "120", "[]"}, {10, []inventory.VLAN{20, 30, 31}, "10", "[20, 30, 31]"}} {
			nic := nics[n]
			if nic.VLAN == nil || *nic.VLAN != want.vlan || !cmp.Equal(nic.Trunks, want.trunks) || nic.Bridge != "ovsbr0" {
				t.Errorf("NIC %d is %+v", n, nic)
			}
			said, err := r.rig.VSCtl("get", "port", nic.Link, "tag", "trunks")
			if err != nil || strings.ReplaceAll(said, "\n", " ") != want.tag+" "+want.tagged {
				t.Errorf("port %s says %q: %v", nic.Link, said, err)
			}
		}
	})
}

// checkPool holds the pool to what is in its directory.
func checkPool(t *testing.T, r *runtime, o *inventory.Observation) {
	t.Helper()
	if len(o.StoragePools) != 1 {
		t.Fatalf("%d pools", len(o.StoragePools))
	}
	pool := o.StoragePools[0]
	want := inventory.StoragePool{Name: "default", Type: "dir", State: "running", Target: "/var/lib/" + r.flavor.name + "/storage-pools/default",
		Volumes: []inventory.StorageVolume{
			{Name: "container/rich", Type: "dir"},
			{Name: "custom/logs", Type: "dir", Capacity: new(64 * inventory.MiB)},
			{Name: "custom/raw", Type: "file", Format: "raw", Capacity: new(inventory.MiB)},
		}}
	if diff := cmp.Diff(want, pool, cmpopts.IgnoreFields(inventory.StoragePool{}, "Capacity", "Available"),
		cmpopts.IgnoreFields(inventory.StorageVolume{}, "Path")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if pool.Capacity == nil || pool.Available == nil || *pool.Available > *pool.Capacity {
		t.Errorf("%s of %s is available", pool.Available, pool.Capacity)
	}
	for _, v := range pool.Volumes {
		if _, err := os.Stat(r.rig.Outside(v.Path)); err != nil {
			t.Errorf("volume %s: %v", v.Name, err)
		}
	}
}
