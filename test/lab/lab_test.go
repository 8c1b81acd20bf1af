package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func run(t *testing.T, h *Host, command string) string {
	t.Helper()
	out, err := h.Run(t.Context(), command)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// One lab for everything that doesn't end a host, since a boot costs most.
func TestLab(t *testing.T) {
	l := ForTest(t, Options{Hosts: 2})
	first, second := l.Host(0), l.Host(1)

	t.Run("every service of a host is up", func(t *testing.T) {
		for _, h := range l.Hosts() {
			if state, err := h.Run(t.Context(), "systemctl is-system-running; systemctl --failed --no-legend"); err != nil {
				t.Errorf("%s: %v: %s", h.Name(), err, state)
			}
			if name := run(t, h, "hostname; cat /proc/1/comm"); name != h.Name()+"\nsystemd" {
				t.Errorf("%s calls itself %q", h.Name(), name)
			}
		}
	})

	t.Run("hosts are different machines", func(t *testing.T) {
		seen := map[string]bool{}
		for _, h := range l.Hosts() {
			for _, path := range []string{"/etc/machine-id", "/proc/sys/kernel/random/boot_id", "/sys/class/net/nic0/address"} {
				if id := run(t, h, "cat "+path); id == "" || seen[id] {
					t.Errorf("%s of %s is %q, which another has", path, h.Name(), id)
				} else {
					seen[id] = true
				}
			}
		}
	})

	t.Run("the switch carries the lab's VLANs and keeps them apart", func(t *testing.T) {
		for i, h := range []*Host{first, second} {
			run(t, h, "modprobe 8021q; ip link set nic0 up"+
				"; for v in 110 120 999; do ip link add link nic0 name nic0.$v type vlan id $v; ip addr add 10.$((v % 250)).0."+string(rune('1'+i))+"/24 dev nic0.$v; ip link set nic0.$v up; done")
		}
		run(t, second, "ip link set nic0.120 down")
		for address, reached := range map[string]bool{"10.110.0.2": true, "10.120.0.2": false, "10.249.0.2": false} {
			out, err := first.Run(t.Context(), "ping -c 3 -i 0.3 -W 2 "+address)
			if (err == nil) != reached {
				t.Errorf("%s is reached: %v, want %v\n%s", address, err == nil, reached, out)
			}
		}
		for _, h := range []*Host{first, second} {
			run(t, h, "for v in 110 120 999; do ip link del nic0.$v; done")
		}
	})

	t.Run("files go in and come out whole", func(t *testing.T) {
		data := bytes.Repeat([]byte{0, 1, 255, '\n'}, 300_000)
		if err := first.Put(t.Context(), "/srv/some dir/file", data, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := first.Get(t.Context(), "/srv/some dir/file")
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d of %d bytes came back: %v", len(got), len(data), err)
		}
		if mode := run(t, first, "stat -c %a '/srv/some dir/file'"); mode != "600" {
			t.Errorf("mode %s, want 600", mode)
		}
		if _, err := second.Get(t.Context(), "/srv/some dir/file"); err == nil {
			t.Error("the other host has it too")
		}
	})

	t.Run("a command that fails says why", func(t *testing.T) {
		_, err := first.Run(t.Context(), "echo no such luck >&2; exit 7")
		if err == nil || !strings.Contains(err.Error(), "exit status 7") || !strings.Contains(err.Error(), "no such luck") {
			t.Errorf("%v", err)
		}
	})

	t.Run("disks have a serial and a WWN, and LVM works on them", func(t *testing.T) {
		run(t, first, "modprobe scsi_debug dev_size_mb=64; udevadm settle; pvcreate -q /dev/sda && vgcreate -q vg /dev/sda && lvcreate -qy -n lv -L 16M vg")
		if wwn := run(t, first, "cat /sys/block/sda/device/wwid"); !strings.HasPrefix(wwn, "naa.") {
			t.Errorf("WWN %q", wwn)
		}
		if uuid := run(t, first, "cat /sys/block/dm-0/dm/uuid"); !strings.HasPrefix(uuid, "LVM-") {
			t.Errorf("dm UUID %q", uuid)
		}
	})

	putAgent(t, l)
	t.Run("agent", func(t *testing.T) { agentCases(t, l) })
	t.Run("the agent's unit is kept to its ceilings, and comes back", func(t *testing.T) { proveCeilings(t, second) })
	if Full() { // what takes longest
		t.Run("a host of bond, bridge, multipath and LVM is shown exactly", func(t *testing.T) { proveFurnished(t, second) })
		t.Run("a new NIC is noted and changes no identity", func(t *testing.T) { proveNewNIC(t, first) })
	}

	t.Run("a reboot keeps the host what it was", func(t *testing.T) {
		const what = "cat /etc/machine-id /proc/sys/kernel/random/boot_id; stat -c %s '/srv/some dir/file'"
		before := strings.Split(run(t, first, what), "\n")
		if err := first.Reboot(t.Context()); err != nil {
			t.Fatal(err)
		}
		after := strings.Split(run(t, first, what), "\n")
		if before[0] != after[0] || before[1] == after[1] || before[2] != after[2] {
			t.Errorf("machine ID, boot ID and size of a file were %v and are %v", before, after)
		}
	})

	t.Run("it can be found again, and leaves nothing", func(t *testing.T) {
		dir := l.Rig().Dir()
		found, err := Open(dir)
		if err != nil || len(found.Hosts()) != 2 {
			t.Fatalf("open: %v", err)
		}
		if err := found.Stop(); err != nil {
			t.Error(err)
		}
		if l.Rig().Running() {
			t.Error("its first process is still there")
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", dir, err)
		}
		mounts, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil || strings.Contains(string(mounts), dir) {
			t.Errorf("a mount is left: %v\n%s", err, mounts)
		}
		commands, err := commandLines()
		if err != nil || strings.Contains(commands, dir) {
			t.Errorf("a process is left: %v", err)
		}
	})
}

// The test's process is killed while hosts boot in its lab.
func TestLabDiesWithItsStarter(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lab")
	starter := exec.CommandContext(t.Context(), os.Args[0])
	starter.Env = append(os.Environ(), starterDir+"="+dir)
	starter.Stderr = os.Stderr
	if err := starter.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the host's kernel boots", func() bool {
		console, err := os.ReadFile(filepath.Join(dir, "hosts/0/console"))
		return err == nil && strings.Contains(string(console), "systemd")
	})
	if err := starter.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = starter.Wait() // killed
	await(t, "its processes are gone", func() bool {
		commands, err := commandLines()
		return err == nil && !strings.Contains(commands, dir)
	})
	if err := Clean(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", dir, err)
	}
}

// starterDir tells this test's binary to start a lab there, and to be killed.
const starterDir = "AVSTEM_TEST_LAB_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(starterDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	_, err := Start(context.Background(), dir, Options{})
	fmt.Fprintln(os.Stderr, "start lab:", err)
	os.Exit(1)
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not after three minutes: %s", what)
		}
	}
}

// commandLines are those of all processes of the machine.
func commandLines() (string, error) {
	entries, err := os.ReadDir("/proc")
	var all strings.Builder
	for _, e := range entries {
		data, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if err == nil { // it ended meanwhile, or is no process
			all.Write(data)
			all.WriteByte('\n')
		}
	}
	return all.String(), err
}
