package incus

import (
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/collectors/collectorstest"
	"github.com/dataverket/avstem/inventory"
)

var update = flag.Bool("update", false, "write the golden files anew")

// testdata/lxd-5.0.2 holds what a real LXD 5.0.2 answered about VMs that it had
// made and could not start, as the machine had no vhost_vsock. What a started one
// adds is made up here, in the daemons' shape: these VMs are fake ones.

// recorded answers a call as LXD did.
func recorded(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata/lxd-5.0.2", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// recordedInstances are LXD's instances after edit has been at each of them.
func recordedInstances(t testing.TB, edit func(i map[string]any)) string {
	t.Helper()
	var all []map[string]any
	if err := json.Unmarshal([]byte(recorded(t, "instances.json")), &all); err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if edit != nil {
			edit(i)
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// started makes web-01 a VM that runs, as a fake.
func started(i map[string]any) {
	if i["name"] != "web-01" {
		return
	}
	i["status"], i["status_code"] = "Running", 103
	config := i["expanded_config"].(map[string]any)
	for key, value := range map[string]string{
		"volatile.eth0.host_name": "tap2f0c9d11", "volatile.mgmt.host_name": "tap5ab3e7f0", "volatile.trunk.host_name": "tapc93bd02e",
		"volatile.direct.host_name": "macae11b2c4", "volatile.last_state.power": "RUNNING",
		"volatile.vm.definition": "pc-q35-8.2", "volatile.uuid.generation": "7d4dcd5a-f0b4-4b13-a5be-3c4a7c0d3b11",
	} {
		config[key] = value
	}
}

// fakeVMs serves instances beside the other recorded answers.
func fakeVMs(t testing.TB, instances string) string {
	t.Helper()
	mux := http.NewServeMux()
	serve := func(path, metadata string) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { synced(w, metadata) })
	}
	serve("/1.0", recorded(t, "server.json"))
	serve("/1.0/instances", instances)
	serve("/1.0/instances/{name}/snapshots", "[]")
	serve("/1.0/instances/web-01/snapshots", recorded(t, "snapshots.json"))
	serve("/1.0/storage-pools", "["+recorded(t, "pool.json")+"]")
	serve("/1.0/storage-pools/default/volumes", recorded(t, "volumes.json"))
	serve("/1.0/storage-pools/default/resources", `{"space": {"used": 20807430144, "total": 270553174016}}`)
	serve("/1.0/storage-pools/default/volumes/custom/web-data", recorded(t, "volume.json"))
	serve("/1.0/networks/lxdbr0", recorded(t, "network.json"))
	return fakeDaemon(t, mux)
}

// webUUID is what LXD gave web-01.
var webUUID = uuid.MustParse("5b23646a-fdd5-4cbe-8cb0-2b37775d6b2c")

// stoppedVM is web-01 as LXD told of it.
func stoppedVM() inventory.VM {
	yes := true
	vlan := func(id inventory.VLAN) *inventory.VLAN { return &id }
	return inventory.VM{
		UUID: webUUID, NativeID: "default/web-01", Name: "web-01", Title: "Front end of the web shop",
		State: inventory.StateStopped, RawState: "Stopped", Persistent: &yes,
		VCPUs: new(2), Memory: new(inventory.GiB), Architecture: "x86_64", Firmware: "efi",
		Placement: &inventory.Placement{VM: "0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001", Tenant: "acme", Project: "web", Environment: "prod"},
		Image: &inventory.Image{ID: "debian-12", Version: "20261101",
			Digest: "sha256:0aa7a2e9277ddb23d32f48e4d54b8a42b9953e84dbfd63b299b1507b58aedd40", Known: inventory.ImageByFingerprint},
		NICs: []inventory.NIC{
			{MAC: mac("00:16:3e:28:e4:14"), Model: "virtio", Attachment: "direct"},
			{MAC: mac("00:16:3e:df:a4:f7"), Model: "virtio", Attachment: "bridge", Bridge: "br0", VLAN: vlan(110)},
			{MAC: mac("00:16:3e:e9:58:e4"), Model: "virtio", Attachment: "bridge", Bridge: "lxdbr0", Network: "lxdbr0"},
			{MAC: mac("00:16:3e:15:0f:78"), Model: "virtio", Attachment: "bridge", Bridge: "br0", VLAN: vlan(10), Trunks: []inventory.VLAN{20, 30, 31, 32}},
		},
		Disks: []inventory.Disk{
			{Target: "root", Bus: "scsi", Device: "disk", SourceType: "volume", Source: "default/virtual-machine/web-01", Capacity: new(20 * inventory.GiB)},
			{Target: "cd", Device: "cdrom", SourceType: "file", Source: "/srv/iso/debian.iso", ReadOnly: true},
			{Target: "data", Bus: "scsi", Device: "disk", SourceType: "volume", Source: "default/custom/web-data", Capacity: new(inventory.GiB)},
		},
		Snapshots: []inventory.Snapshot{{Name: "before-upgrade"}},
	}
}

var digests = cmp.Options{cmpopts.IgnoreFields(inventory.VM{}, "ConfigDigest"), cmpopts.IgnoreFields(inventory.Snapshot{}, "Created")}

// TestStoppedVM reads the VMs that a real LXD told of.
func TestStoppedVM(t *testing.T) {
	o := complete(t, &Collector{Flavor: LXD, Sockets: []string{fakeVMs(t, recordedInstances(t, nil))}})
	if diff := cmp.Diff(stoppedVM(), *vmOf(t, o, "default/web-01"), digests); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	collectorstest.Prove(t, collectorstest.ProofFile, "TestStoppedVM", o)
	// The copy has an identity and MACs of its own, and no label tells so.
	other := vmOf(t, o, "default/web-03")
	if other.UUID == webUUID || other.NICs[0].MAC == stoppedVM().NICs[0].MAC || other.Placement.VM != stoppedVM().Placement.VM {
		t.Errorf("the copy is %+v", other)
	}
	if o.Runtime.Hypervisor != "LXC 5.0.2, QEMU 7.2.22" {
		t.Errorf("hypervisor is %q", o.Runtime.Hypervisor)
	}
}

// TestFakeRunningVM reads what a VM that runs adds.
func TestFakeRunningVM(t *testing.T) {
	o := complete(t, &Collector{Flavor: LXD, Sockets: []string{fakeVMs(t, recordedInstances(t, started))}})
	want := stoppedVM()
	want.State, want.RawState = inventory.StateRunning, "Running"
	want.RawMachine, want.Machine = "pc-q35-8.2", "q35"
	want.GenerationID = uuid.MustParse("7d4dcd5a-f0b4-4b13-a5be-3c4a7c0d3b11")
	for n, link := range []string{"macae11b2c4", "tap2f0c9d11", "tap5ab3e7f0", "tapc93bd02e"} {
		want.NICs[n].Link = link
	}
	if diff := cmp.Diff(want, *vmOf(t, o, "default/web-01"), digests); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	golden(t, "observed.json", o)
}

// golden holds the body of an observation to a file: it is what a scenario of the
// reconciler takes as this collector's word.
func golden(t *testing.T, name string, o *inventory.Observation) {
	t.Helper()
	got, err := json.MarshalIndent(o.VMs, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSpace(string(want)), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// odd are fake instances with what the recorded ones haven't.
const odd = `[
 {"name": "sriov", "project": "acme", "type": "virtual-machine", "status": "Running", "status_code": 103, "architecture": "aarch64",
  "expanded_config": {"volatile.uuid": "11111111-2222-4333-8444-555555555501", "security.csm": "true", "limits.memory": "25%",
    "volatile.vf.host_name": "enp65s0f0v3", "volatile.vf.hwaddr": "00:16:3e:00:00:01", "volatile.vf.last_state.pci.slot.name": "0000:41:00.3"},
  "expanded_devices": {
    "vf": {"type": "nic", "nictype": "sriov", "parent": "enp65s0f0", "vlan": "130", "connected": "false"},
    "gpu": {"type": "gpu"},
    "root": {"type": "disk", "path": "/", "pool": "default"},
    "rbd": {"type": "disk", "source": "ceph:vms/data", "io.bus": "nvme"},
    "dev": {"type": "disk", "source": "/dev/disk/by-id/wwn-0x5000c500a0000001", "io.bus": "virtio-blk"},
    "img": {"type": "disk", "source": "/srv/img/extra.img"},
    "seed": {"type": "disk", "source": "cloud-init:config"},
    "home": {"type": "disk", "source": "/home", "path": "/home"},
    "shared": {"type": "disk", "pool": "default", "source": "shared"}}},
 {"name": "bad", "type": "virtual-machine", "status": "Stopped", "status_code": 102,
  "expanded_config": {"volatile.uuid": "no-uuid", "limits.cpu": "many", "limits.memory": "lots", "volatile.eth0.hwaddr": "nothing"},
  "expanded_devices": {"eth0": {"type": "nic", "nictype": "bridged", "parent": "br0", "vlan": "4095", "vlan.tagged": "a-b", "mtu": "-1"},
    "root": {"type": "disk", "path": "/", "pool": "default", "size": "big"}}}
]`

// TestFakeOddities reads devices of every other kind, and values that make no
// sense: each is a problem on its own field.
func TestFakeOddities(t *testing.T) {
	mux := http.NewServeMux()
	for path, metadata := range map[string]string{
		"/1.0": recorded(t, "server.json"), "/1.0/instances": odd, "/1.0/instances/{name}/snapshots": "[]",
		"/1.0/storage-pools":                 `[{"name": "default", "config": {"volume.size": "15GiB"}}]`,
		"/1.0/storage-pools/default/volumes": "[]", "/1.0/storage-pools/default/resources": "{}",
		"/1.0/storage-pools/default/volumes/custom/shared": `{"name": "shared", "project": "acme", "content_type": "block",
			"config": {"size": "2GiB", "security.shared": "true"}}`,
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { synced(w, metadata) })
	}
	o := pass(&Collector{Flavor: LXD, Sockets: []string{fakeDaemon(t, mux)}})
	down := false
	vlan := inventory.VLAN(130)
	want := []inventory.NIC{{MAC: mac("00:16:3e:00:00:01"), Attachment: "hostdev", Link: "enp65s0f0v3", VLAN: &vlan, LinkUp: &down, Address: "pci:0000:41:00.3"}}
	vm := vmOf(t, o, "acme/sriov")
	if diff := cmp.Diff(want, vm.NICs); diff != "" {
		t.Errorf("NICs (-want +got):\n%s", diff)
	}
	disks := []inventory.Disk{
		{Target: "root", Bus: "scsi", Device: "disk", SourceType: "volume", Source: "default/virtual-machine/acme_sriov", Capacity: new(15 * inventory.GiB)},
		{Target: "dev", Bus: "virtio", Device: "disk", SourceType: "block", Source: "/dev/disk/by-id/wwn-0x5000c500a0000001"},
		{Target: "img", Bus: "scsi", Device: "disk", SourceType: "file", Source: "/srv/img/extra.img"},
		{Target: "rbd", Bus: "nvme", Device: "disk", SourceType: "network", Source: "rbd:vms/data"},
		{Target: "seed", Device: "cdrom", Source: "cloud-init:config", ReadOnly: true},
		{Target: "shared", Bus: "scsi", Device: "disk", SourceType: "volume", Source: "default/custom/acme_shared", Capacity: new(2 * inventory.GiB), Shareable: true},
		{Target: "home", Device: "filesystem", Source: "/home"},
	}
	if diff := cmp.Diff(disks, vm.Disks); diff != "" {
		t.Errorf("disks (-want +got):\n%s", diff)
	}
	if vm.Firmware != "bios" || vm.Memory != nil || *vm.VCPUs != 1 {
		t.Errorf("firmware %s, memory %v, vCPUs %d", vm.Firmware, vm.Memory, *vm.VCPUs)
	}
	if !o.Complete || vmOf(t, o, "default/bad").Name != "bad" {
		t.Errorf("values that make no sense broke the pass: %+v", o.Problems)
	}
	for _, field := range []inventory.Field{"vm.uuid", "vm.vcpus", "vm.memory", "nic.mac", "nic.vlan", "nic.trunks", "nic.mtu", "disk.capacity"} {
		if p, found := o.ProblemOf("vm:default/bad", field); !found || p.Why != inventory.WhyBroken || p.Remedy == "" {
			t.Errorf("%s: %+v", field, p)
		}
	}
}

// TestEveryCapabilityIsShown holds the table to what containers of both daemons,
// recorded VMs and fake ones show.
func TestEveryCapabilityIsShown(t *testing.T) {
	var seen []*inventory.Observation
	for _, instances := range []string{recordedInstances(t, started), odd} {
		mux := http.NewServeMux()
		for path, metadata := range map[string]string{
			"/1.0":                            `{"environment": {"server": "lxd", "server_version": "5.0.2", "server_name": "m1", "server_clustered": true, "driver": "qemu", "driver_version": "7.2"}}`,
			"/1.0/instances":                  strings.ReplaceAll(strings.ReplaceAll(instances, `"none"`, `"m1"`), `"type": "virtual-machine", "status"`, `"location": "m1", "ephemeral": true, "type": "virtual-machine", "status"`),
			"/1.0/instances/{name}/snapshots": `[{"name": "s", "created_at": "2026-11-01T00:00:00Z", "stateful": true}]`,
			"/1.0/networks/lxdbr0":            `{"type": "bridge"}`,
			"/1.0/storage-pools":              `[{"name": "default", "driver": "zfs", "status": "Created", "config": {"zfs.pool_name": "tank/lxd"}}]`,
			"/1.0/storage-pools/default/volumes/custom/{name}": `{"content_type": "block", "config": {"security.shared": "true"}}`,
		} {
			mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { synced(w, metadata) })
		}
		seen = append(seen, pass(&Collector{Flavor: LXD, Sockets: []string{fakeDaemon(t, mux)}}))
	}
	r := real(t, Incus)
	r.launch(t, "shown", "-n", "br0", "-c", "user.juju-model=4a1c")
	r.do(t, "config device add shown p2p nic nictype=p2p name=eth7 mtu=1400\nstorage volume create default shown --type=block size=1MiB")
	t.Cleanup(func() { r.do(t, "storage volume delete default shown") })
	seen = append(seen, complete(t, r.collector()))
	if unshown := collectorstest.Unshown(seen...); len(unshown) > 0 {
		t.Errorf("declared and never shown: %v", unshown)
	}
}
