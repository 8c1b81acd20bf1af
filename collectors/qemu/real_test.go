package qemu

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

const richUUID = "0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001"

// rich is a machine with everything that the source can tell: NICs of each kind
// behind a bridge and on the board, disks of each bus, a backing chain of two.
func rich(t testing.TB) *machine {
	t.Helper()
	addTap(t, "qtap0")
	dir := t.TempDir()
	base := filepath.Join(dir, "base.qcow2")
	command(t, "qemu-img", "create", "-q", "-f", "qcow2", base, "1M")
	mid, top := filepath.Join(dir, "mid.qcow2"), filepath.Join(dir, "top.qcow2")
	command(t, "qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", mid, "2M")
	command(t, "qemu-img", "create", "-q", "-f", "qcow2", "-b", mid, "-F", "qcow2", top, "4M")
	data, cd, ide := filepath.Join(dir, "data,1.raw"), filepath.Join(dir, "cd.iso"), filepath.Join(dir, "ide.raw")
	for _, path := range []string{data, cd, ide} {
		command(t, "qemu-img", "create", "-q", "-f", "raw", path, "1M")
	}
	return start(t, "-S", "-name", "guest=web-01,debug-threads=on", "-uuid", richUUID, "-machine", "q35",
		"-smp", "2,maxcpus=4", "-smbios", "type=1,serial=dv:vm-1,uuid=0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0002",
		"-device", "vmgenid,guid=324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87",
		"-device", "pcie-root-port,id=rp1,bus=pcie.0,addr=0x3,chassis=1", "-device", "pcie-root-port,id=rp9,bus=pcie.0,addr=0x9,chassis=9",
		"-netdev", "tap,id=n0,ifname=qtap0,script=no,downscript=no",
		"-device", "virtio-net-pci,netdev=n0,mac=52:54:00:aa:00:01,bus=pcie.0,addr=0x5",
		"-netdev", "user,id=n1", "-device", `{"driver":"e1000e","netdev":"n1","mac":"52:54:00:aa:00:02","bus":"rp1","addr":"0x0"}`,
		"-blockdev", `{"driver":"qcow2","node-name":"root","file":{"driver":"file","filename":"`+top+`"}}`,
		"-device", `{"driver":"virtio-blk-pci","id":"vd0","drive":"root","serial":"web-01-root","bootindex":1,"bus":"pcie.0","addr":"0x6","share-rw":true}`,
		"-drive", "file="+strings.ReplaceAll(data, ",", ",,")+",format=raw,if=none,id=dd", "-device", "virtio-scsi-pci,bus=pcie.0,addr=0x7",
		"-device", "scsi-hd,drive=dd,serial=S2,wwn=0x5000c500a1b2c3d4,bootindex=2",
		"-drive", "file="+ide+",format=raw,if=ide,id=id0",
		"-drive", "file="+cd+",if=ide,media=cdrom,readonly=on,format=raw,id=cd0")
}

func pointer[T any](v T) *T { return &v }

// wantRich is what is known of it without a monitor.
func wantRich(dir string) inventory.VM {
	in := func(name string) string { return filepath.Join(dir, name) }
	return inventory.VM{
		UUID: uuid.MustParse(richUUID), SMBIOSUUID: uuid.MustParse("0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0002"), Name: "web-01",
		GenerationID: uuid.MustParse("324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87"),
		State:        inventory.StateUnknown, RawState: "process started paused (-S)", Persistent: pointer(false),
		VCPUs: pointer(2), Memory: pointer(16 * inventory.MiB), Machine: "q35", RawMachine: "q35", Architecture: "x86_64", Firmware: "bios",
		Placement: &inventory.Placement{VM: "vm-1"},
		Image:     &inventory.Image{Source: in("base.qcow2"), Known: inventory.ImageByChain},
		NICs: []inventory.NIC{ // the bridge is at a lower address than the other one
			{MAC: inventory.MAC{0x52, 0x54, 0, 0xaa, 0, 2}, Model: "e1000e", Attachment: "user", Address: "pci:0000:rp1:00.0"},
			{MAC: inventory.MAC{0x52, 0x54, 0, 0xaa, 0, 1}, Model: "virtio", Attachment: "ethernet", Link: "qtap0", Address: "pci:0000:00:05.0"},
		},
		Disks: []inventory.Disk{
			{Target: "id0", Bus: "sata", Device: "disk", SourceType: "file", Source: in("ide.raw"), Format: "raw", Capacity: pointer(inventory.MiB)},
			{Target: "cd0", Bus: "sata", Device: "cdrom", SourceType: "file", Source: in("cd.iso"), Format: "raw", ReadOnly: true},
			{Target: "vd0", Bus: "virtio", Device: "disk", Serial: "web-01-root", SourceType: "file", Source: in("top.qcow2"), Format: "qcow2",
				Capacity: pointer(4 * inventory.MiB), Shareable: true, Backing: []inventory.BackingFile{
					{Source: in("mid.qcow2"), Format: "qcow2", VirtualSize: pointer(2 * inventory.MiB)},
					{Source: in("base.qcow2"), Format: "qcow2", VirtualSize: pointer(inventory.MiB)},
				}},
			{Target: "dd", Bus: "scsi", Device: "disk", Serial: "S2", WWN: "5000c500a1b2c3d4", SourceType: "file", Source: in("data,1.raw"), Format: "raw", Capacity: pointer(inventory.MiB)},
		},
	}
}

// measures change by themselves: with writes, with the start.
var measures = cmp.Options{cmpopts.IgnoreFields(inventory.Disk{}, "Allocation", "Number"), cmpopts.IgnoreFields(inventory.BackingFile{}, "Allocation", "Number"), cmpopts.IgnoreFields(inventory.VM{}, "AsOf")}

func TestProcessAlone(t *testing.T) {
	rich(t)
	o := collect(t, open(t))
	vm := only(t, o)
	dir := filepath.Dir(vm.Image.Source)
	if diff := cmp.Diff(wantRich(dir), *vm, measures); diff != "" {
		t.Errorf("VM (-want +got):\n%s", diff)
	}
	if o.Outcome != inventory.OutcomeComplete || len(o.Problems) > 0 {
		t.Errorf("outcome %s, problems %v", o.Outcome, o.Problems)
	}
	if vm.AsOf == nil || time.Since(*vm.AsOf) > time.Hour || time.Until(*vm.AsOf) > time.Minute {
		t.Errorf("as of %v: want the time of its start", vm.AsOf)
	}
}

func TestMonitor(t *testing.T) {
	m := rich(t)
	c := open(t, m.monitorPath())
	o := collect(t, c)
	vm := only(t, o)
	want := wantRich(filepath.Dir(vm.Image.Source))
	want.State, want.RawState, want.RawMachine = inventory.StatePaused, "prelaunch", "pc-q35-7.2"
	want.Disks[1].Capacity = pointer(inventory.MiB)
	if diff := cmp.Diff(want, *vm, measures); diff != "" {
		t.Errorf("VM (-want +got):\n%s", diff)
	}
	if o.Outcome != inventory.OutcomeComplete || vm.AsOf != nil || o.Runtime.Version != "7.2.22" {
		t.Errorf("outcome %s, as of %v, runtime %+v, problems %v", o.Outcome, vm.AsOf, o.Runtime, o.Problems)
	}
}

func TestConformance(t *testing.T) {
	m := rich(t)
	hung := fakePeer(t, func(*peer) {})
	collectorstest.Run(t,
		func(t *testing.T) collectors.Collector {
			c := open(t, m.monitorPath())
			c.CallTimeout = time.Second // two of the suite's passes meet on the one monitor
			return c
		},
		collectorstest.Absent(func(t *testing.T) collectors.Collector { return closed(t, &Collector{Root: emptyHost(t)}) }),
		collectorstest.Down(func(t *testing.T) collectors.Collector {
			return closed(t, &Collector{Monitors: []string{"not/absolute"}})
		}),
		collectorstest.Hanging(func(t *testing.T) collectors.Collector { return open(t, hung) }),
	)
}

// emptyHost is a root with processes of which none is QEMU's.
func emptyHost(t testing.TB) string {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "proc/1")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cmdline"), []byte("/sbin/init\x00"), 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}

// Each declared capability is shown by a real QEMU, with a monitor or without, but
// for Proxmox VE's tags, which are of a host of the same shape.
func TestEveryCapabilityIsShown(t *testing.T) {
	m := rich(t)
	dir := t.TempDir()
	base, top := dataFile(t), filepath.Join(dir, "top.qcow2")
	command(t, "qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", top)
	bridgeConfig(t)
	command(t, "ip", "link", "add", "qbr0", "type", "bridge")
	t.Cleanup(func() { command(t, "ip", "link", "del", "qbr0") })
	below, over, raw := filepath.Join(dir, "below.raw"), filepath.Join(dir, "over.qcow2"), filepath.Join(dir, "raw")
	command(t, "qemu-img", "create", "-q", "-f", "raw", below, "1M")
	command(t, "qemu-img", "create", "-q", "-f", "raw", raw, "1M")
	command(t, "qemu-img", "create", "-q", "-f", "qcow2", "-b", below, "-F", "raw", over)
	start(t, "-S", "-nic", "bridge,br=qbr0,mac=52:54:00:aa:00:03", "-drive", "file="+top+",format=qcow2,if=virtio",
		"-drive", "file="+over+",format=qcow2,if=virtio", "-drive", "file="+raw+",format=raw,if=virtio")
	whole := collect(t, open(t))
	if err := os.Remove(base); err != nil { // the ground of a chain is lost
		t.Fatal(err)
	}
	asDevice(t, below)
	asDevice(t, raw)
	second := collect(t, open(t))
	if err := os.Remove(over); err != nil { // and so is a disk
		t.Fatal(err)
	}
	start(t, "-S", "-drive", "file="+dataFile(t)+",format=qcow2,if=virtio")
	proxmox := collect(t, closed(t, &Collector{Root: collectorstest.Tree(t, "testdata/proxmox.txtar")}))
	seen := []*inventory.Observation{collect(t, open(t, m.monitorPath())), whole, second, collect(t, open(t))}
	collectorstest.Prove(t, collectorstest.ProofFile, "TestEveryCapabilityIsShown", seen...)
	unshown := collectorstest.Unshown(append(seen, proxmox)...)
	if diff := cmp.Diff([]inventory.Field(nil), unshown); diff != "" {
		t.Errorf("not shown (-want +got):\n%s", diff)
	}
}

// dataFile makes a qcow2 image whose data is in another file.
func dataFile(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "image.qcow2")
	command(t, "qemu-img", "create", "-q", "-f", "qcow2", "-o", "data_file="+filepath.Join(dir, "data")+",data_file_raw=on", path, "1M")
	return path
}

// asDevice puts a node of some block device of this machine in an image's place,
// which nobody opens.
func asDevice(t testing.TB, path string) {
	t.Helper()
	entries, err := os.ReadDir("/sys/dev/block")
	if err != nil || len(entries) == 0 {
		t.Fatalf("this machine has no block device: %v", err)
	}
	major, minor, _ := strings.Cut(entries[0].Name(), ":")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	command(t, "mknod", path, "b", major, minor)
}

// bridgeConfig allows QEMU's helper any bridge, in an /etc of this mount
// namespace.
func bridgeConfig(t testing.TB) {
	t.Helper()
	upper := t.TempDir()
	command(t, "mount", "-t", "tmpfs", "none", upper)
	t.Cleanup(func() { command(t, "umount", upper) })
	for _, dir := range []string{"up/qemu", "work"} {
		if err := os.MkdirAll(filepath.Join(upper, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(upper, "up/qemu/bridge.conf"), []byte("allow all\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	command(t, "mount", "-t", "overlay", "none", "-o", "lowerdir=/etc,upperdir="+upper+"/up,workdir="+upper+"/work", "/etc")
	t.Cleanup(func() { command(t, "umount", "/etc") })
}

// What the command line can't know: plugged in, changed and renamed since.
func TestMonitorTellsWhatChanged(t *testing.T) {
	m := rich(t)
	addTap(t, "qtap1")
	c := open(t, m.monitorPath())
	collect(t, c)
	extra := filepath.Join(m.dir, "extra.raw")
	command(t, "qemu-img", "create", "-q", "-f", "raw", extra, "3M")
	m.do(`netdev_add {"type":"tap","id":"n9","ifname":"qtap1","script":"no","downscript":"no"}`,
		`device_add {"driver":"virtio-net-pci","netdev":"n9","mac":"52:54:00:aa:00:09","bus":"rp9"}`,
		`blockdev-add {"driver":"raw","node-name":"x","file":{"driver":"file","filename":"`+extra+`"}}`,
		`device_add {"driver":"scsi-hd","id":"sd9","drive":"x","serial":"S9"}`, `cont`)
	vm := only(t, collect(t, c))
	if vm.State != inventory.StateRunning || len(vm.NICs) != 3 || len(vm.Disks) != 5 {
		t.Fatalf("state %s, NICs %+v, disks %+v", vm.State, vm.NICs, vm.Disks)
	}
	if nic := vm.NICs[2]; nic.MAC.String() != "52:54:00:aa:00:09" || nic.Link != "qtap1" {
		t.Errorf("NIC that was plugged in is %+v", nic)
	}
	if disk := vm.Disks[4]; disk.Serial != "S9" || disk.Source != extra || *disk.Capacity != 3*inventory.MiB || disk.Target != "sd9" {
		t.Errorf("disk that was plugged in is %+v", disk)
	}
	o := collect(t, open(t)) // without a monitor
	if p, found := o.ProblemOf(inventory.VMEntity(uuid.MustParse(richUUID)), "vm.nics"); !found || p.Why != inventory.WhyAbsent {
		t.Errorf("nothing says that the command line is out of date: %v", o.Problems)
	}
}

func TestStates(t *testing.T) {
	m := start(t, "-uuid", richUUID)
	alone, asked := open(t), open(t, m.monitorPath())
	hold := func(what string, c *Collector, want inventory.State, raw string) {
		t.Helper()
		if vm := only(t, collect(t, c)); vm.State != want || vm.RawState != raw {
			t.Errorf("%s: state is %s (%s), want %s (%s)", what, vm.State, vm.RawState, want, raw)
		}
	}
	hold("started", alone, inventory.StateRunning, "process")
	hold("started", asked, inventory.StateRunning, "running")
	m.do("stop")
	hold("paused", alone, inventory.StateRunning, "process") // which the capability's note says
	hold("paused", asked, inventory.StatePaused, "paused")
	m.kill()
	for _, c := range []*Collector{alone, asked} {
		if o := collect(t, c); !o.Complete || len(o.VMs) != 0 || !o.Runtime.RunningOnly {
			t.Errorf("after its end: complete %v, VMs %v, problems %v", o.Complete, o.VMs, o.Problems)
		}
	}
}

// A monitor that has a client costs that VM its state and nobody anything else.
func TestMonitorInUse(t *testing.T) {
	m := start(t, "-uuid", richUUID, "-name", "busy")
	other := start(t, "-uuid", "0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0009")
	holder, err := dial(deadline(t), m.monitorPath(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.close()
	c := open(t, m.monitorPath(), other.monitorPath())
	c.CallTimeout = 200 * time.Millisecond
	began := time.Now()
	o := collect(t, c)
	if !o.Complete || len(o.VMs) != 2 || time.Since(began) > 20*time.Second {
		t.Fatalf("complete %v, %d VMs after %s: %v", o.Complete, len(o.VMs), time.Since(began), o.Problems)
	}
	entity := inventory.VMEntity(uuid.MustParse(richUUID))
	p, found := o.ProblemOf(entity, "vm.state")
	if !found || p.Why != inventory.WhyTimedOut || p.Remedy == "" || len(o.Problems) != 1 {
		t.Errorf("problems %v: want one, of the monitor that is in use", o.Problems)
	}
	holder.close()
	c.CallTimeout = 30 * time.Second
	if o := collect(t, c); len(o.Problems) != 0 {
		t.Errorf("once it is free: %v", o.Problems)
	}
}

// Managers' own monitors are refused, before anything connects to them.
func TestOthersMonitorIsRefused(t *testing.T) {
	addTap(t, "tap100i0")
	dir := filepath.Join(t.TempDir(), "qemu-server")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(dir, "100.qmp")
	m := start(t, "-S", "-chardev", "socket,id=qmp,path="+own+",server=on,wait=off", "-mon", "chardev=qmp,mode=control",
		"-smbios", "type=1,uuid="+richUUID, "-netdev", "type=tap,id=net0,ifname=tap100i0,script=no,downscript=no",
		"-device", "virtio-net-pci,mac=BC:24:11:00:00:01,netdev=net0,id=net0")
	c := open(t, filepath.Join(filepath.Dir(dir), "*", "*.qmp"))
	o := collect(t, c)
	entity := inventory.VMEntity(uuid.MustParse(richUUID))
	if p, found := o.ProblemOf(entity, "vm.asOf"); !found || p.Why != inventory.WhyRefused || !strings.Contains(p.Error, "Proxmox VE") {
		t.Errorf("problems: %v", o.Problems)
	}
	free, err := dial(deadline(t), own, nil) // its manager can still connect
	if err != nil {
		t.Fatalf("the manager's monitor: %v", err)
	}
	free.close()
	vm := only(t, o)
	if vm.Manager == nil || vm.Manager.Name != "proxmox-ve" || vm.NICs[0].Link != "tap100i0" || vm.State != inventory.StateRunning {
		t.Errorf("VM %+v", vm)
	}
	if o.Runtime.Platform != "proxmox-ve" {
		t.Errorf("platform %s", o.Runtime.Platform)
	}
	// One that its operator added is for us.
	c = open(t, m.monitorPath())
	if o := collect(t, c); len(o.Problems) > 0 || only(t, o).RawState != "prelaunch" {
		t.Errorf("by a monitor of our own: %+v, %v", o.VMs, o.Problems)
	}
}

// Two processes of one UUID are two VMs, none of which has an identity.
func TestOneUUIDTwice(t *testing.T) {
	start(t, "-S", "-uuid", richUUID, "-name", "first")
	start(t, "-S", "-uuid", richUUID, "-name", "second")
	o := collect(t, open(t))
	var got []string
	for _, vm := range o.VMs {
		got = append(got, vm.Key()+" "+vm.SMBIOSUUID.String())
		if p, found := o.ProblemOf(vm.Entity(), "vm.uuid"); !found || p.Remedy == "" {
			t.Errorf("no problem says why %s has no UUID: %v", vm.Name, o.Problems)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"first " + richUUID, "second " + richUUID}, got); diff != "" || !o.Complete {
		t.Errorf("VMs (-want +got):\n%s", diff)
	}
}

func TestWithoutUUID(t *testing.T) {
	start(t, "-S", "-name", "twin")
	start(t, "-S", "-name", "twin")
	start(t, "-S")
	o := collect(t, open(t))
	keys := map[string]bool{}
	for _, vm := range o.VMs {
		keys[vm.Key()] = true
	}
	if len(keys) != 3 || !o.Complete {
		t.Errorf("keys %v, problems %v: want three that differ", keys, o.Problems)
	}
}

// A process that goes into the background is one VM, before and after.
func TestDaemonized(t *testing.T) {
	dir := t.TempDir()
	pidfile := filepath.Join(dir, "pid")
	c := exec.Command("/usr/bin/qemu-system-x86_64", "-accel", "tcg", "-display", "none", "-nodefaults", "-m", "16", "-S",
		"-daemonize", "-pidfile", pidfile, "-uuid", richUUID, "-drive", "file=data.raw,format=raw,if=virtio", "-qmp", "unix:relative.qmp,server=on,wait=off")
	c.Dir = dir
	command(t, "qemu-img", "create", "-q", "-f", "raw", filepath.Join(dir, "data.raw"), "1M")
	col := open(t)
	done := make(chan error, 1)
	go func() { done <- c.Run() }()
	for running := true; running; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		default:
		}
		if o := collect(t, col); len(o.VMs) > 1 || !o.Complete {
			t.Errorf("while it starts: %d VMs, problems %v", len(o.VMs), o.Problems)
		}
	}
	vm := only(t, collect(t, col))
	if vm.Disks[0].Source != filepath.Join(dir, "data.raw") {
		t.Errorf("a relative image is %s", vm.Disks[0].Source)
	}
	// Nor does a relative socket tell whose it is, before one asks.
	if vm := only(t, collect(t, open(t, filepath.Join(dir, "relative.qmp")))); vm.RawState != "prelaunch" || vm.UUID.String() != richUUID {
		t.Errorf("by its relative monitor: %+v", vm)
	}
	text, err := os.ReadFile(pidfile)
	if err != nil {
		t.Fatal(err)
	}
	command(t, "kill", "-9", strings.TrimSpace(string(text)))
	await(t, "its end", func() bool { return len(collect(t, col).VMs) == 0 })
}

// What only root and its own user may read is a problem of that VM, with what to
// do about it, and the rest is told.
func TestAsAnotherUser(t *testing.T) {
	addTap(t, "qtap0")
	start(t, "-S", "-uuid", richUUID, "-nic", "tap,ifname=qtap0,script=no,downscript=no,mac=52:54:00:aa:00:01",
		"-netdev", "tap,id=n2,script=no,downscript=no", "-device", "virtio-net-pci,netdev=n2,mac=52:54:00:aa:00:02")
	program := filepath.Join(t.TempDir(), "observe")
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, data, 0o755); err != nil {
		t.Fatal(err)
	}
	command(t, "chmod", "-R", "a+rX", filepath.Dir(program))
	for dir := filepath.Dir(program); dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		os.Chmod(dir, 0o755)
	}
	c := exec.Command("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", program)
	c.Env = append(os.Environ(), observeVariable+"=1")
	var errors strings.Builder
	c.Stderr = &errors
	out, err := c.Output()
	if err != nil {
		t.Fatalf("observe as nobody: %v\n%s", err, errors.String())
	}
	var o inventory.Observation
	if err := json.Unmarshal(out, &o); err != nil {
		t.Fatal(err)
	}
	vm := only(t, &o)
	if !o.Complete || len(vm.NICs) != 2 || vm.NICs[0].MAC.String() != "52:54:00:aa:00:01" {
		t.Errorf("complete %v, VM %+v", o.Complete, vm)
	}
	p, found := o.ProblemOf(vm.Entity(), "nic.link")
	if !found || p.Why != inventory.WhyRefused || p.Remedy == "" {
		t.Errorf("problems %v", o.Problems)
	}
}

// Two processes may have one path for two files, each in mounts of its own, and a
// third one the host's: none of them shares a disk with another.
func TestPathsOfOtherMounts(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "disk.img")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	const script = `mount -t tmpfs none "$1" && truncate -s 1M "$1/disk.img" && shift && exec "$@"`
	qemu := func(name, wrapped string) {
		line := []string{"/usr/bin/qemu-system-x86_64", "-accel", "tcg", "-display", "none", "-nodefaults", "-m", "16", "-S", "-name", name,
			"-blockdev", "driver=raw,node-name=d,file.driver=file,file.filename=" + path, "-device", "virtio-blk-pci,drive=d"}
		if wrapped != "" {
			line = append([]string{"unshare", "-m", "sh", "-c", wrapped, "sh", dir}, line...)
		}
		cmd := exec.Command(line[0], line[1:]...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
		})
	}
	qemu("a", script)
	qemu("b", script)
	qemu("hosts", "")
	sources := map[string]string{}
	await(t, "the three", func() bool {
		for _, vm := range collect(t, open(t)).VMs {
			if len(vm.Disks) == 1 && vm.Disks[0].Capacity != nil {
				sources[vm.Name] = vm.Disks[0].Source
			}
		}
		return len(sources) == 3
	})
	of := func(name string) bool {
		return strings.HasPrefix(sources[name], "mnt:[") && strings.HasSuffix(sources[name], "]"+path)
	}
	if sources["hosts"] != path || !of("a") || !of("b") || sources["a"] == sources["b"] {
		t.Errorf("sources are %v", sources)
	}
}
