package qemu

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/inventory"
)

// readLines gives a file of testdata/lines as arguments: one a line, after a
// comment that says whose they are.
func readLines(t testing.TB, file string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if !strings.HasPrefix(lines[0], "#") {
		t.Fatalf("%s doesn't say whose it is", file)
	}
	return lines[1:]
}

// TestLines holds what is made of command lines to golden files.
func TestLines(t *testing.T) {
	files, err := filepath.Glob("testdata/lines/*.args")
	if err != nil || len(files) == 0 {
		t.Fatalf("no command lines: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".args"), func(t *testing.T) {
			p := &process{stat: stat{state: 'S', threads: 4}, pid: 7, inv: parseArgs(readLines(t, file))}
			c := &Collector{Root: emptyHost(t)}
			r := c.read(p, nil, 0)
			got, err := json.MarshalIndent(struct {
				inventory.VM
				RunBy    string              `json:"runBy"`
				Problems []inventory.Problem `json:"problems"`
			}{r.vm, r.runBy, r.list}, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(file, ".args") + ".json"
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimSpace(string(want)), string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", golden, diff)
			}
		})
	}
}

// TestCapabilitiesAreWhole holds the table to the catalogue: every field of what a
// runtime describes has an entry, absent ones included, and no other.
func TestCapabilitiesAreWhole(t *testing.T) {
	ours := []string{"vm", "nic", "disk", "pending", "placement", "manager", "image", "runtime", "backingFile", "snapshot"}
	for _, info := range inventory.Fields() {
		entity, _, _ := strings.Cut(string(info.Field), ".")
		declared := slices.ContainsFunc(capabilities, func(c inventory.Capability) bool { return c.Field == info.Field })
		if declared != slices.Contains(ours, entity) {
			t.Errorf("%s is declared: %t", info.Field, declared)
		}
	}
}

func TestParams(t *testing.T) {
	for value, want := range map[string]params{
		"":                               {"first": ""},
		"bare":                           {"first": "bare"},
		"bare,on1,noserver,a=b":          {"first": "bare", "on1": "on", "server": "off", "a": "b"},
		"a=1,a=2":                        {"a": "2"},
		"file=/a,,b,,,c":                 {"file": "/a,b,", "c": "on"},
		`{"a":{"b":[1,true]},"c":null}`:  {"a.b.0": "1", "a.b.1": "on", "c": ""},
		`{"a":5764824129509261313}`:      {"a": "5764824129509261313"},
		`{"broken"`:                      {},
		"path=/x,server=on,wait=off,=,,": {"path": "/x", "server": "on", "wait": "off", "": ","},
	} {
		if diff := cmp.Diff(want, parseParams(value, "first")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", value, diff)
		}
	}
}

// What a source is called by names no password.
func TestNamedImage(t *testing.T) {
	for name, want := range map[string]string{
		"https://user:secret@host:8443/a@b.iso":           "https:host:8443/a@b.iso",
		"ssh://me@host/srv/x.img":                         "ssh:host/srv/x.img",
		"iscsi://u%pw@10.0.0.1/iqn.2026:x/1":              "iscsi:10.0.0.1/iqn.2026:x/1",
		"rbd:pool/image:id=admin:key=secret":              "rbd:pool/image",
		"nbd:10.0.0.1:10809:exportname=vol":               "nbd:vol",
		`json:{"driver":"https","url":"https://u:p@h/x"}`: "https:h/x",
		"/dev/sdb":    "/dev/sdb",
		"relative":    "relative",
		"/a:b/c.img":  "/a:b/c.img",
		"fat:rw:/srv": "rw:/srv",
	} {
		if got := namedImage(name).source; got != want {
			t.Errorf("%s is called %q, want %q", name, got, want)
		}
	}
}

func TestMemory(t *testing.T) {
	for text, want := range map[string]inventory.Bytes{"16": 16 << 20, "2G": 2 << 30, "1.5g": 3 << 29, "2097152k": 2 << 30, "1048576b": 1 << 20,
		"": 0, "G": 0, "-1": 0, "nan": 0, "9e99": 0, "16E": 0} {
		got, err := parseMemory(text)
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("%q is %d, %v: want %d", text, got, err, want)
		}
	}
}

func TestCPUs(t *testing.T) {
	for text, want := range map[string]int{"4": 4, "4,sockets=2": 4, "cores=2,threads=2": 4, "cpus=0x2": 2, "maxcpus=8": 8, "": 1,
		"0": 0, "x": 0, "cores=65536,threads=65536": 0} {
		inv := parseArgs([]string{"qemu-system-x86_64", "-smp", text})
		if got, err := inv.cpus(); got != want || (err == nil) != (want != 0) {
			t.Errorf("%q is %d, %v: want %d", text, got, err, want)
		}
	}
}

// The names of what listens decide whose a monitor is.
func TestWhoseMonitor(t *testing.T) {
	for _, tt := range []struct{ path, chardev, runBy, want string }{
		{"/var/lib/libvirt/qemu/domain-1-web/monitor.sock", "", "", "libvirt"},
		{"/var/run/kubevirt-private/libvirt/qemu/lib/domain-1-a_b/monitor.sock", "", "", "libvirt"},
		{"/run/x.sock", "charmonitor", "libvirt", "libvirt"},
		{"/var/run/qemu-server/100.qmp", "", "", "proxmox-ve"},
		{"/run/x.sock", "qmp", "proxmox-ve", "proxmox-ve"},
		{"/run/x.sock", "qmp", "", ""},
		{"/run/avstem/100.qmp", "avstem", "proxmox-ve", ""},
		{"/run/incus/web/qemu.monitor", "", "", "incus"},
		{"/var/log/lxd/web/qemu.monitor", "", "lxd", "lxd"},
		{"/run/x.sock", "monitor", "incus", "incus"},
		{"/srv/vm/monitor.sock", "", "", ""},
	} {
		if got := heldBy(tt.path, tt.chardev, tt.runBy); got != tt.want {
			t.Errorf("monitor %s (%s) of %q is %q's, want %q", tt.path, tt.chardev, tt.runBy, got, tt.want)
		}
	}
}

func TestForks(t *testing.T) {
	vm := func(pid, parent, threads int, started uint64, args ...string) *process {
		return &process{stat: stat{parent: parent, threads: threads, started: started}, pid: pid, inv: parseArgs(append([]string{"qemu-system-x86_64"}, args...))}
	}
	for name, tt := range map[string]struct {
		all  []*process
		want []int
	}{
		"apart":                         {[]*process{vm(1, 0, 3, 1, "-name", "a"), vm(2, 0, 1, 1, "-name", "b")}, []int{1, 2}},
		"one line twice":                {[]*process{vm(1, 0, 3, 1, "-m", "1"), vm(2, 0, 3, 2, "-m", "1")}, []int{1, 2}},
		"a script's fork":               {[]*process{vm(1, 0, 4, 1), vm(2, 1, 1, 2)}, []int{1}},
		"waits for its own background":  {[]*process{vm(1, 9, 2, 1, "-daemonize"), vm(3, 0, 3, 1, "-daemonize")}, []int{3}},
		"with the one between still up": {[]*process{vm(1, 9, 2, 1, "-daemonize"), vm(2, 1, 1, 1, "-daemonize"), vm(3, 0, 3, 1, "-daemonize")}, []int{3}},
		"migrated to":                   {[]*process{vm(1, 0, 4, 1, "-uuid", "u"), vm(2, 0, 4, 2, "-uuid", "u", "-incoming", "defer")}, []int{1}},
		"migrated, and the source gone": {[]*process{vm(2, 0, 4, 2, "-uuid", "u", "-incoming", "defer")}, []int{2}},
	} {
		var got []int
		for _, p := range withoutForks(tt.all) {
			got = append(got, p.pid)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: VMs are %v, want %v", name, got, tt.want)
		}
	}
}

// What a probe of libvirt's or Proxmox VE's starts is no VM.
func TestProbesAreNoVMs(t *testing.T) {
	for line, want := range map[string]bool{
		"-S -no-user-config -nodefaults -nographic -machine none,accel=kvm:tcg -qmp unix:/var/lib/libvirt/qemu/qmp-X/qmp.monitor,server=on,wait=off": true,
		"-version": true, "--help": true, "-machine q35": false, "": false,
	} {
		if got := parseArgs(append([]string{"qemu-system-x86_64"}, strings.Fields(line)...)).probes; got != want {
			t.Errorf("%q is a probe: %v", line, got)
		}
	}
}

func TestParseStat(t *testing.T) {
	got, err := parseStat([]byte("12 (a) S (b) R 7 1 1 0 -1 4 1 0 0 0 1 1 0 0 20 0 6 0 143575 1 2\n"))
	if want := (stat{'R', 7, 6, 143575}); got != want || err != nil {
		t.Errorf("status is %+v, %v: want %+v", got, err, want)
	}
	for _, bad := range []string{"", "1 (x", "1 (x) S", "1 (x) S a 1 1 0 -1 4 1 0 0 0 1 1 0 0 20 0 6 0 1 1"} {
		if got, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q gives %+v", bad, got)
		}
	}
}

func FuzzStat(f *testing.F) {
	f.Add([]byte("12 (a) S (b) R 7 1 1 0 -1 4 1 0 0 0 1 1 0 0 20 0 6 0 143575 1 2\n"))
	f.Fuzz(func(t *testing.T, data []byte) { parseStat(data) })
}

// FuzzLine holds every command line to giving a VM that can be told: sound JSON
// of bounded size, the same each time.
func FuzzLine(f *testing.F) {
	files, err := filepath.Glob("testdata/lines/*.args")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		f.Add(strings.Join(readLines(f, file), "\x00"))
	}
	root := emptyHost(f)
	f.Fuzz(func(t *testing.T, line string) {
		line = strings.ToValidUTF8(line, "\ufffd")
		read := func() *reading {
			p := &process{stat: stat{state: 'S'}, pid: 7, inv: parseArgs(strings.Split(line, "\x00"))}
			return (&Collector{Root: root}).read(p, nil, 0)
		}
		first := read()
		identify([]*reading{first})
		if first.vm.Key() == "" {
			t.Error("the VM has no identity")
		}
		for _, p := range first.list {
			if !p.Field.Known() || p.Call == "" || p.Error == "" {
				t.Errorf("problem %+v", p)
			}
		}
		again := read()
		identify([]*reading{again})
		if diff := cmp.Diff(first.vm, again.vm); diff != "" {
			t.Errorf("one line gives two VMs (-first +then):\n%s", diff)
		}
		if _, err := json.Marshal(first.vm); err != nil {
			t.Error(err)
		}
	})
}
