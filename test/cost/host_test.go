package cost

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/test/rig"
)

// What the host has.
const (
	vms    = 50
	links  = 200 // the VMs' taps among them
	blocks = 60
)

const guest = `<domain type='qemu'><name>vm-%[1]d</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='%[2]s'/><target dev='vda' bus='virtio'/></disk>
<interface type='ethernet'><target dev='tap%[1]d' managed='yes'/><model type='virtio'/></interface></devices></domain>`

// host makes it: paused VMs of libvirt, which cost no CPU, on taps in a bridge,
// and pairs of links as containers have them.
func host(b *testing.B) *rig.Rig {
	b.Helper()
	r := rig.ForTest(b)
	if _, err := r.CreateImage("base.qcow2", 1<<20, ""); err != nil {
		b.Fatal(err)
	}
	var lines strings.Builder
	for n := range vms {
		image, err := r.CreateImage(fmt.Sprintf("vm-%d.qcow2", n), 1<<20, "base.qcow2")
		if err != nil {
			b.Fatal(err)
		}
		name := fmt.Sprintf("vm-%d", n)
		if err := r.Define(fmt.Sprintf(guest, n, image)); err != nil {
			b.Fatal(err)
		}
		if err := r.StartVMPaused(name); err != nil {
			b.Fatal(err)
		}
		fmt.Fprintf(&lines, "ip link set tap%d master br0\n", n)
	}
	script := "ip link add br0 type bridge; " + lines.String()
	for n := range (links - vms) / 2 {
		script += fmt.Sprintf("ip link add c%d type veth peer name p%d; ip link set c%d master br0\n", n, n, n)
	}
	if _, err := r.Run("sh", "-ec", script); err != nil {
		b.Fatal(err)
	}
	makeBlocks(b)
	return r
}

// makeBlocks attaches files to loop devices of the machine.
func makeBlocks(b *testing.B) {
	b.Helper()
	dir := b.TempDir()
	for n := range blocks {
		file := filepath.Join(dir, fmt.Sprintf("disk-%d", n))
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			b.Fatal(err)
		}
		if err := os.Truncate(file, 4<<20); err != nil {
			b.Fatal(err)
		}
		out, err := exec.CommandContext(b.Context(), "losetup", "--find", "--show", file).CombinedOutput()
		if err != nil {
			b.Fatalf("attach a loop device: %v\n%s", err, out)
		}
		device := strings.TrimSpace(string(out))
		b.Cleanup(func() {
			if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
				b.Errorf("detach %s: %v\n%s", device, err, out)
			}
		})
	}
}

func build(b *testing.B) string {
	b.Helper()
	file := filepath.Join(b.TempDir(), "avstem-agent")
	cmd := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", file, "github.com/dataverket/avstem/cmd/avstem-agent")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("build avstem-agent: %v\n%s", err, said)
	}
	return file
}

// BenchmarkHost passes over one host with each program, and says what each costs
// as a multiple of the agent's whole pass.
func BenchmarkHost(b *testing.B) {
	agent, r := build(b), host(b)
	checkHost(b, r, agent)
	nothing := cpuOf(b, r, "true") // what it costs to enter the host
	var whole usage
	for _, program := range []struct {
		name    string
		command []string
	}{
		{"avstem-agent-collect", []string{agent, "collect", "-o", "json", "--state-dir", "/nowhere"}},
		{"avstem-agent-collect-network", []string{agent, "collect", "-o", "json", "--state-dir", "/nowhere", "--source", "network"}},
		{"avstem-agent-collect-storage", []string{agent, "collect", "-o", "json", "--state-dir", "/nowhere", "--source", "storage"}},
		{"ip-d-j-link", []string{"ip", "-d", "-j", "link"}},
		{"lsblk-O-J", []string{"lsblk", "-O", "-J"}},
		{"fusioninventory-inventory", []string{"fusioninventory-inventory"}},
	} {
		b.Run(program.name, func(b *testing.B) {
			var sum time.Duration
			for b.Loop() {
				sum += cpuOf(b, r, program.command...) - nothing
			}
			mean := usage{cpu: sum / time.Duration(b.N), peak: peakOf(b, r, program.command...), syscalls: syscalls(b, r, program.command...)}
			if whole.cpu == 0 {
				whole = mean
			}
			b.ReportMetric(mean.cpu.Seconds()*1000, "cpu-ms")
			b.ReportMetric(float64(mean.syscalls), "syscalls")
			b.ReportMetric(float64(mean.peak)/(1<<20), "peak-MiB")
			b.ReportMetric(mean.cpu.Seconds()/whole.cpu.Seconds(), "x-cpu")
			b.ReportMetric(float64(mean.syscalls)/float64(whole.syscalls), "x-syscalls")
			b.ReportMetric(float64(mean.peak)/float64(whole.peak), "x-peak")
		})
	}
}

// checkHost makes sure that the agent sees the host that is to be measured.
func checkHost(b *testing.B, r *rig.Rig, agent string) {
	b.Helper()
	out, err := r.Command(context.WithoutCancel(b.Context()), agent, "collect", "-o", "json", "--state-dir", "/nowhere").Output()
	if err != nil {
		b.Fatal(err)
	}
	var all []inventory.Observation
	if err := json.NewDecoder(bytes.NewReader(out)).Decode(&all); err != nil {
		b.Fatal(err)
	}
	seen := map[string]int{}
	for _, o := range all {
		seen[o.Source+" VMs"] += len(o.VMs)
		seen["links"] += len(o.Links)
		seen["block devices"] += len(o.BlockDevices)
	}
	if seen["runtime-libvirt VMs"] != vms || seen["runtime-qemu VMs"] != vms || seen["links"] < links || seen["block devices"] < blocks {
		b.Fatalf("the agent sees %v", seen)
	}
}
