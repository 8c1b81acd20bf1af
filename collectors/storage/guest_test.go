package storage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/collectors/collectorstest"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/test/guest"
)

// labModules are for a host with SCSI disks, LVM, RAID, multipath, encryption and
// overlays.
var labModules = []string{
	"loop", "overlay", "dm-mod", "dm-thin-pool", "dm-snapshot", "dm-multipath", "dm-round-robin", "raid1",
	"cbc", "hmac", "sha256_generic", "xts", "essiv", "dm-crypt", "af_alg", "algif_skcipher", "algif_hash",
	"sd_mod", "scsi_debug max_luns=1 dev_size_mb=24 add_host=1 per_host_store=1 vpd_use_hostno=0",
}

// secret is what the lab's disks are encrypted by.
const secret = "correct-horse-battery-staple"

// labScript makes the host with the tools that people use, udev beside them. sda
// and sdb are two paths to one disk, a store behind two adapters that give it one
// WWN; sdc, sdd and sde are disks of their own. $C keeps LVM from the machine's own /etc.
const labScript = `set -e
mkdir -p /run/lock/lvm /run/lvm /tmp/thin /tmp/btrfs /tmp/img /tmp/over
mount -t tmpfs lvm /etc/lvm
C='--config devices{use_devicesfile=0}backup{backup=0archive=0}'
A=/sys/bus/pseudo/drivers/scsi_debug
appears() { until [ -b /dev/$1 ]; do sleep 0.1; done; }
appears sda
echo 0 >$A/per_host_store; echo 1 >$A/add_host
appears sdb
echo 1 >$A/per_host_store; echo 1 >$A/vpd_use_hostno; echo 3 >$A/add_host
appears sdc; appears sdd; appears sde
/lib/systemd/systemd-udevd --daemon
udevadm trigger; udevadm settle
printf ',14M\n,6M\n' | sfdisk -q --label gpt /dev/sdc
printf ',14M\n,6M\n' | sfdisk -q --label gpt /dev/sdd
udevadm settle
echo y | mdadm --create /dev/md0 --level=1 --raid-devices=2 --metadata=1.2 --assume-clean --run /dev/sdc1 /dev/sdd1
pvcreate -q $C /dev/md0
vgcreate -q $C -s 64k vg-one /dev/md0
lvcreate -y $C -n root--1 -L 2M vg-one
lvcreate -y $C -T -L 3M vg-one/pool
lvcreate -y $C -V 8M -T vg-one/pool -n thin1
lvcreate -y $C -s -n snap1 -L 256k vg-one/root--1
udevadm settle
printf %s "$SECRET" >/tmp/key
cryptsetup -q luksFormat --type luks2 --luks2-metadata-size 16k --luks2-keyslots-size 256k --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /dev/sdc2 /tmp/key
cryptsetup open --key-file /tmp/key /dev/sdc2 secret2
cryptsetup -q luksFormat --type luks1 --pbkdf-force-iterations 1000 /dev/sdd2 /tmp/key
cryptsetup open --key-file /tmp/key /dev/sdd2 secret1
printf '%s\n' "$SECRET" | cryptsetup open --type plain --cipher aes-xts-plain64 --key-size 256 --hash sha256 /dev/sde secret0
dmsetup table --showkeys | sed -n 's/.*crypt [a-z0-9-]* \([^ ]*\) .*/\1/p' >/tmp/keys
dmsetup create mpatha --uuid mpath-333333330000007d0 --table "0 49152 multipath 0 0 1 1 round-robin 0 2 1 $(cat /sys/block/sda/dev) 1 $(cat /sys/block/sdb/dev) 1"
mkfs.ext4 -q -O ^has_journal -L rootfs /dev/vg-one/root--1
mkfs.ext4 -q -O ^has_journal /dev/vg-one/thin1
mkfs.ext4 -q -O ^has_journal /dev/mapper/secret2
mkdir -p /tmp/root /tmp/crypt /tmp/mpath /tmp/bound /tmp/loop
mount -o ro /dev/vg-one/root--1 /tmp/root
mount /dev/vg-one/thin1 /tmp/thin
mount /dev/mapper/secret2 /tmp/crypt
mkfs.ext4 -q -O ^has_journal /dev/mapper/mpatha
mount /dev/mapper/mpatha /tmp/mpath
mkdir /tmp/mpath/sub; mount --bind /tmp/mpath/sub /tmp/bound
truncate -s 4M /tmp/mpath/disk.img
losetup /dev/loop0 /tmp/mpath/disk.img
mkfs.ext4 -q -O ^has_journal /dev/loop0
mount /dev/loop0 /tmp/loop
truncate -s 120M /tmp/b1 /tmp/b2
losetup /dev/loop1 /tmp/b1; losetup /dev/loop2 /tmp/b2
mkfs.btrfs -q -m single -d single /dev/loop1 /dev/loop2
udevadm settle
mount /dev/loop1 /tmp/btrfs
btrfs -q subvolume create /tmp/btrfs/vms
mkdir -p /tmp/vms; mount -o subvol=/vms /dev/loop1 /tmp/vms
mkdir -p /tmp/over/l /tmp/over/u /tmp/over/w /tmp/over/m
mount -t overlay -o lowerdir=/tmp/over/l,upperdir=/tmp/over/u,workdir=/tmp/over/w overlay /tmp/over/m
udevadm trigger --subsystem-match=block; udevadm settle # it may not have heard yet of who wrote last
`

// TestLabHost proves on real block devices, made in a guest, every capability
// but those whose note says that they are not verified on the real thing.
func TestLabHost(t *testing.T) {
	lab := guest.UML{Modules: labModules, Memory: 384, Limit: 5 * time.Minute}
	dir := lab.Run(t, func(t *testing.T, out string) {
		script := exec.Command("sh", "-c", labScript)
		script.Env = append(os.Environ(), "SECRET="+secret)
		if said, err := script.CombinedOutput(); err != nil {
			t.Fatalf("make the lab's storage: %v\n%s", err, said)
		}
		collector := &Collector{}
		write(t, out, "whole", observe(collector))
		write(t, out, "unprivileged", observeAs(t, 65534))
		proveNoKeys(t, observe(collector))
		breakThings(t)
		write(t, out, "broken", observe(collector))
		stopDevices(t, func() { write(t, out, "stopped", observe(collector)) })
	})
	whole, unprivileged, broken, stopped := read(t, dir, "whole"), read(t, dir, "unprivileged"), read(t, dir, "broken"), read(t, dir, "stopped")
	if !whole.Complete || len(whole.Problems) > 0 {
		t.Errorf("whole: %s, %v", whole.Outcome, whole.Problems)
	}
	t.Run("devices", func(t *testing.T) { checkDevices(t, whole) })
	t.Run("chains", func(t *testing.T) { checkChains(t, whole) })
	t.Run("unprivileged", func(t *testing.T) { checkUnprivileged(t, whole, unprivileged) })
	t.Run("broken", func(t *testing.T) { checkBroken(t, broken, stopped) })
	t.Run("capabilities", func(t *testing.T) { checkShown(t, whole, broken) })
}

func write(t *testing.T, out, name string, o *inventory.Observation) {
	t.Helper()
	data, err := json.MarshalIndent(o, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(out, name+".json"), data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, dir, name string) *inventory.Observation {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var o inventory.Observation
	if err := json.Unmarshal(data, &o); err != nil {
		t.Fatal(err)
	}
	return &o
}

// observeEnv makes the test's binary print one pass.
const observeEnv = "AVSTEM_TEST_OBSERVE"

func TestMain(m *testing.M) {
	switch os.Getenv(observeEnv) {
	case "":
		os.Exit(m.Run())
	case observeInPC:
		pcMain()
	}
	if err := observeTo(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func observeTo(w io.Writer) error {
	return json.NewEncoder(w).Encode((&collectors.Runner{Collector: &Collector{}}).Run(context.Background()))
}

// observeAs makes a pass as another user.
func observeAs(t *testing.T, id uint32) *inventory.Observation {
	t.Helper()
	pass := exec.Command("/proc/self/exe")
	pass.Env = append(os.Environ(), observeEnv+"=yes")
	pass.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
	var problem bytes.Buffer
	pass.Stderr = &problem
	out, err := pass.Output()
	if err != nil {
		t.Fatalf("pass as %d: %v\n%s", id, err, &problem)
	}
	var o inventory.Observation
	if err := json.Unmarshal(out, &o); err != nil {
		t.Fatal(err)
	}
	return &o
}

// proveNoKeys looks for the passphrase and for each volume key, as the device
// mapper shows them to root, in the document.
func proveNoKeys(t *testing.T, o *inventory.Observation) {
	t.Helper()
	document, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := os.ReadFile("/tmp/keys")
	if err != nil {
		t.Fatal(err)
	}
	found := strings.Fields(string(keys))
	if len(found) != 3 {
		t.Errorf("the device mapper shows %d keys, want those of three devices", len(found))
	}
	for _, key := range append(found, secret) {
		if len(key) < 16 || bytes.Contains(bytes.ToLower(document), []byte(strings.ToLower(key))) {
			t.Errorf("key %q is in the document, or is none", key)
		}
	}
}

// breakThings takes a disk from the array, stops another, and leaves the array as
// it is by freezing it.
func breakThings(t *testing.T) {
	t.Helper()
	if said, err := exec.Command("mdadm", "/dev/md0", "--fail", "/dev/sdd1").CombinedOutput(); err != nil {
		t.Fatalf("fail a disk: %v\n%s", err, said)
	}
	for file, text := range map[string]string{"/sys/block/md0/md/sync_action": "frozen\n", "/sys/block/sdb/device/state": "offline\n"} {
		if err := os.WriteFile(file, []byte(text), 0); err != nil {
			t.Fatal(err)
		}
	}
}

// stopDevices suspends a device under a mounted file system while observing.
func stopDevices(t *testing.T, observing func()) {
	t.Helper()
	dmsetup := func(args ...string) {
		if said, err := exec.Command("dmsetup", args...).CombinedOutput(); err != nil {
			t.Fatalf("dmsetup %s: %v\n%s", args, err, said)
		}
	}
	dmsetup("suspend", "--nolockfs", "--noflush", "secret2")
	defer dmsetup("resume", "secret2")
	observing()
}

func find(t *testing.T, o *inventory.Observation, is func(inventory.BlockDevice) bool) *inventory.BlockDevice {
	t.Helper()
	i := slices.IndexFunc(o.BlockDevices, is)
	if i < 0 {
		t.Fatal("a device is missing")
	}
	return &o.BlockDevices[i]
}

func byDM(name string) func(inventory.BlockDevice) bool {
	return func(d inventory.BlockDevice) bool { return d.DMName == name }
}

func checkDevices(t *testing.T, o *inventory.Observation) {
	type layer struct{ Layer, Group, Volume, Encryption string }
	for name, want := range map[string]layer{
		"vg--one-root----1":      {"lvm", "vg-one", "root--1", ""},
		"vg--one-root----1-real": {"lvm-internal", "vg-one", "root--1", ""},
		"vg--one-snap1":          {"lvm", "vg-one", "snap1", ""},
		"vg--one-snap1-cow":      {"lvm-internal", "vg-one", "snap1", ""},
		"vg--one-pool-tpool":     {"lvm-thin-pool", "vg-one", "pool", ""},
		"vg--one-pool_tdata":     {"lvm-internal", "vg-one", "pool_tdata", ""},
		"vg--one-pool_tmeta":     {"lvm-internal", "vg-one", "pool_tmeta", ""},
		"vg--one-thin1":          {"lvm-thin", "vg-one", "thin1", ""},
		"secret2":                {"crypt", "", "", "luks2"},
		"secret1":                {"crypt", "", "", "luks1"},
		"secret0":                {"crypt", "", "", "plain"},
		"mpatha":                 {"mpath", "", "", ""},
	} {
		d := find(t, o, byDM(name))
		if got := (layer{d.Layer, d.VolumeGroup, d.LogicalVolume, d.Encryption}); got != want {
			t.Errorf("%s is %+v, want %+v", name, got, want)
		}
	}
	named := func(name string) *inventory.BlockDevice {
		return find(t, o, func(d inventory.BlockDevice) bool { return d.Name == name })
	}
	md := named("md0")
	if md.Kind != "md" || md.Layer != "md" || md.RAIDLevel != "raid1" || md.RAIDState != "active" || md.RAIDDegraded == nil || *md.RAIDDegraded != 0 || md.RAIDAction != "" ||
		!slices.Equal(md.Members, []string{"sdc1", "sdd1"}) || md.Content != "LVM2_member" {
		t.Errorf("md0 is %+v", md)
	}
	sdc, part := named("sdc"), named("sdc1")
	if sdc.Serial == "" || sdc.WWN == "" || sdc.Model != "scsi_debug" || sdc.Vendor != "Linux" || sdc.PathState != "running" || !slices.Contains(sdc.ByID, "wwn-0x"+sdc.WWN) {
		t.Errorf("sdc is %+v", sdc)
	}
	if part.Parent != "sdc" || !slices.Equal(part.Holders, []string{"md0"}) || part.Content != "linux_raid_member" || !slices.Contains(part.ByID, "wwn-0x"+sdc.WWN+"-part1") {
		t.Errorf("sdc1 is %+v", part)
	}
	if d := find(t, o, byDM("vg--one-root----1")); d.Content != "ext4" || d.Label != "rootfs" {
		t.Errorf("root--1 holds %q, %q", d.Content, d.Label)
	}
	if one, other := named("sda"), named("sdb"); one.WWN == "" || one.WWN != other.WWN || one.WWN == sdc.WWN {
		t.Errorf("two paths to one disk have WWNs %q and %q", one.WWN, other.WWN)
	}
}

// checkChains follows mounts to disks by the document alone.
func checkChains(t *testing.T, o *inventory.Observation) {
	onMirror, onPaths := []string{"sdc", "sdd"}, []string{"sda", "sdb"}
	for mount, want := range map[string][]string{
		"/tmp/root": onMirror, "/tmp/thin": onMirror, // LVM on RAID on partitions; a thin volume
		"/tmp/crypt": {"sdc"}, "/tmp/mpath": onPaths,
		"/tmp/loop": onPaths, // through a file
		"/tmp/vms":  {"loop1", "loop2"}, "/tmp/btrfs": {"loop1", "loop2"},
	} {
		got := disksOf(t, o, mount)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", mount, diff)
		}
	}
	for _, fs := range o.FileSystems {
		if fs.Mount == "/tmp/bound" || fs.Mount == "/tmp/over/m" {
			t.Errorf("%s is listed beside what it shows: %+v", fs.Mount, fs)
		}
	}
	vms, top := fileSystem(t, o, "/tmp/vms"), fileSystem(t, o, "/tmp/btrfs")
	if vms.Dataset != "vms" || vms.Number == "" || vms.Number == top.Number {
		t.Errorf("the subvolume is %+v beside %+v: want its name and a number of its own", vms, top)
	}
	if root := fileSystem(t, o, "/tmp/root"); !root.ReadOnly || root.Size == nil || root.Used == nil || root.Available == nil {
		t.Errorf("/tmp/root is %+v", root)
	}
}

func fileSystem(t *testing.T, o *inventory.Observation, mount string) *inventory.FileSystem {
	t.Helper()
	i := slices.IndexFunc(o.FileSystems, func(f inventory.FileSystem) bool { return f.Mount == mount })
	if i < 0 {
		t.Fatalf("%s is missing", mount)
	}
	return &o.FileSystems[i]
}

// disksOf gives what a file system ends on: disks with a serial and a WWN, or
// loop devices whose file is on none that is known.
func disksOf(t *testing.T, o *inventory.Observation, mount string) []string {
	t.Helper()
	fs := fileSystem(t, o, mount)
	below := slices.Clone(fs.Members)
	if len(below) == 0 {
		below = []string{fs.BlockDevice}
	}
	var ends []string
	for len(below) > 0 {
		name := below[0]
		d := find(t, o, func(d inventory.BlockDevice) bool { return d.Name == name })
		below = below[1:]
		switch {
		case len(d.Members) > 0:
			below = append(below, d.Members...)
		case d.Parent != "":
			below = append(below, d.Parent)
		case d.Kind == "loop" && strings.HasPrefix(d.BackingFile, "/tmp/mpath/"):
			below = append(below, fileSystem(t, o, "/tmp/mpath").BlockDevice)
		case d.Kind == "disk" && (d.Serial == "" || d.WWN == ""):
			t.Errorf("%s ends on %s without identity: %+v", mount, name, d)
		default:
			ends = append(ends, name)
		}
	}
	slices.Sort(ends)
	return slices.Compact(ends)
}

// checkUnprivileged holds what a user without rights sees against root's view.
func checkUnprivileged(t *testing.T, root, user *inventory.Observation) {
	if !user.Complete || len(user.Problems) > 0 {
		t.Errorf("outcome %s, problems %v", user.Outcome, user.Problems)
	}
	if diff := cmp.Diff(root.BlockDevices, user.BlockDevices); diff != "" {
		t.Errorf("devices (-root +user):\n%s", diff)
	}
	// What is used of a file system moves between two passes.
	use := cmpopts.IgnoreFields(inventory.FileSystem{}, "Used", "Available")
	if diff := cmp.Diff(root.FileSystems, user.FileSystems, use); diff != "" {
		t.Errorf("file systems (-root +user):\n%s", diff)
	}
}

func checkBroken(t *testing.T, broken, stopped *inventory.Observation) {
	md := find(t, broken, func(d inventory.BlockDevice) bool { return d.Name == "md0" })
	if md.RAIDDegraded == nil || *md.RAIDDegraded != 1 || md.RAIDAction != "frozen" {
		t.Errorf("md0 without a disk is %+v", md)
	}
	if p, found := broken.ProblemOf("blockDevice:sdb", "blockDevice.pathState"); !found || p.Remedy == "" || !strings.Contains(p.Error, "offline") {
		t.Errorf("problems of the offline disk: %v", broken.Problems)
	}
	secret2 := find(t, stopped, byDM("secret2"))
	p, found := stopped.ProblemOf("blockDevice:"+secret2.Name, "")
	if !found || p.Remedy == "" || !stopped.Complete {
		t.Errorf("suspended %s: complete %t, problems %v", secret2.Name, stopped.Complete, stopped.Problems)
	}
	if stopped.Took > 2*answerTime+time.Minute {
		t.Errorf("the pass took %s", stopped.Took)
	}
}

// checkShown holds the capability table to what was shown on real devices.
func checkShown(t *testing.T, o ...*inventory.Observation) {
	t.Helper()
	collectorstest.Prove(t, collectorstest.ProofFile, "TestLabHost", o...)
	proofs, err := collectorstest.ReadProofs(collectorstest.ProofFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range (&Collector{}).Capabilities() {
		p, _ := proofs.Of(c.Field)
		// Of btrfs a data set is seen.
		if strings.Contains(c.Note, notReal) != (p.Standing == collectorstest.Written) && c.Field != "fileSystem.dataset" {
			t.Errorf("%s is %s, and its note says %q", c.Field, p.Standing, c.Note)
		}
	}
}
