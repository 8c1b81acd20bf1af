package identity

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/collectors/collectorstest"
	"github.com/dataverket/avstem/inventory"
)

var update = flag.Bool("update", false, "write the golden files anew")

func observe(c collectors.Collector) *inventory.Observation {
	r := collectors.Runner{Collector: c, Now: func() time.Time { return time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC) }}
	return r.Run(context.Background())
}

func fixtures(t *testing.T) []string {
	t.Helper()
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	return archives
}

func TestFixtures(t *testing.T) {
	for _, archive := range fixtures(t) {
		t.Run(filepath.Base(archive), func(t *testing.T) {
			o := observe(&Collector{Root: collectorstest.Tree(t, archive)})
			o.Capabilities = nil // one table for all, and long
			got, err := json.MarshalIndent(o, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(archive, ".txtar") + ".json"
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

func TestConformance(t *testing.T) {
	at := func(archive string) collectorstest.Make {
		return func(t *testing.T) collectors.Collector { return &Collector{Root: collectorstest.Tree(t, archive)} }
	}
	empty := func(t *testing.T) collectors.Collector { return &Collector{Root: t.TempDir()} }
	for _, archive := range fixtures(t) {
		t.Run(filepath.Base(archive), func(t *testing.T) { collectorstest.Run(t, at(archive), collectorstest.Absent(empty)) })
	}
	t.Run("this host", func(t *testing.T) {
		collectorstest.Run(t, func(*testing.T) collectors.Collector { return &Collector{} })
	})
}

func TestDeclaredFieldsAreShown(t *testing.T) {
	server := collectorstest.Tree(t, "testdata/server.txtar")
	withJunk := observe(&Collector{Root: server})
	write(t, server, dmiPath+"chassis_asset_tag", "DV-004711\n")
	write(t, server, dmiPath+"chassis_serial", "CN-0F7V2X\n")
	unshown := collectorstest.Unshown(withJunk, observe(&Collector{Root: server}))
	// A file can't be a TPM: test/hardware shows the key, on a machine that has one.
	unshown = slices.DeleteFunc(unshown, func(f inventory.Field) bool { return f == "host.endorsementKey" })
	if len(unshown) > 0 {
		t.Errorf("declared and never seen on a server that has everything: %v", unshown)
	}
}

// This host is whatever the tests run on. What every Linux has must be there,
// and agree with what uname(2) and the runtime say.
func TestThisHost(t *testing.T) {
	collectorstest.Prove(t, collectorstest.ProofFile, "TestThisHost", observe(&Collector{}))
	host, problems := Read(context.Background(), "")
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	want := inventory.Host{
		Hostname:     unix.ByteSliceToString(name.Nodename[:]),
		Kernel:       unix.ByteSliceToString(name.Release[:]),
		Architecture: unix.ByteSliceToString(name.Machine[:]),
	}
	got := inventory.Host{Hostname: host.Hostname, Kernel: host.Kernel, Architecture: host.Architecture}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-uname +read):\n%s\nproblems: %v", diff, problems)
	}
	if host.CPUs == nil || *host.CPUs < runtime.NumCPU() {
		t.Errorf("CPUs %v: the runtime may use %d", host.CPUs, runtime.NumCPU())
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		t.Fatal(err)
	}
	if total := inventory.Bytes(info.Totalram) * inventory.Bytes(info.Unit); host.Memory == nil || *host.Memory != total {
		t.Errorf("memory %v: sysinfo(2) says %v", host.Memory, total)
	}
	boot, err := BootID("")
	if _, perr := inventory.ParseUUID(boot); err != nil || perr != nil {
		t.Errorf("boot ID %q, %v: want a UUID", boot, err)
	}
}

// The machine ID itself must not appear in anything that is published.
func TestMachineIDStaysSecret(t *testing.T) {
	for _, text := range []string{"5af3c9d1e0b84b62a1d7f0c9e8b7a654", "5af3c9d1e0b84b62a1d7f0c9e8b7a65x", "5af3c9d1-e0b8-4b62-a1d7-f0c9e8b7a654"} {
		root := collectorstest.Tree(t, "testdata/server.txtar")
		write(t, root, machineIDPath, text+"\n")
		document, err := json.Marshal(observe(&Collector{Root: root}))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(document), text[:8]) {
			t.Errorf("the document tells the machine ID %s", text)
		}
	}
}

// Files that only root may read are a problem each, with what to do about it.
// The thread gives up root's way past file modes (setfsuid(2) drops
// CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH for itself), so the refusal is the
// kernel's.
func TestRefused(t *testing.T) {
	root := collectorstest.Tree(t, "testdata/server.txtar")
	for _, file := range []string{dmiPath + "product_uuid", dmiPath + "product_serial", dmiPath + "board_serial", dmiPath + "chassis_serial",
		machineIDPath, "/proc/sys/kernel/hostname"} {
		if err := os.Chmod(filepath.Join(root, file), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	openDirectories(t, root)
	var host inventory.Host
	var problems []inventory.Problem
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		const nobody = 65534
		if err := unix.Setfsuid(nobody); err != nil {
			t.Error(err)
			return
		}
		host, problems = Read(context.Background(), root)
	}()
	<-done
	if host.Vendor != "Dell Inc." || host.Serial != "" {
		t.Errorf("vendor %q and serial %q: want what everybody may read, and only that", host.Vendor, host.Serial)
	}
	var refused []inventory.Field
	for _, p := range problems {
		if p.Why == inventory.WhyRefused && (p.Remedy == "let the agent read "+p.Call || p.Remedy == dmiRemedy) {
			refused = append(refused, p.Field)
		}
	}
	want := []inventory.Field{"host.machineID", "host.systemUUID", "host.serial", "host.boardSerial", "host.chassisSerial", "host.hostname"}
	if diff := cmp.Diff(want, refused); diff != "" {
		t.Errorf("refused with a remedy (-want +got):\n%s\nproblems: %v", diff, problems)
	}
}

func TestCancelledReadStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	host, problems := Read(ctx, "")
	if diff := cmp.Diff(inventory.Host{}, host); diff != "" || problems != nil {
		t.Errorf("read after the end of its context: %s, %v", diff, problems)
	}
}

func write(t *testing.T, root, path, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// openDirectories lets everybody enter the test's directories: the testing
// package makes them for their owner alone.
func openDirectories(t *testing.T, root string) {
	t.Helper()
	for dir := root; dir != filepath.Clean(os.TempDir()) && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}
