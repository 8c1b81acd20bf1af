package images

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dataverket/avstem/inventory"
)

// BenchmarkDisturbs keeps every CPU busy with programs of ordinary priority, and
// compares the CPU time that they get while images are read with what they get
// otherwise.
func BenchmarkDisturbs(b *testing.B) {
	h := newHost(b)
	if err := os.WriteFile(filepath.Join(h.root, "big"), nil, 0o644); err != nil {
		b.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(h.root, "big"), 1<<40); err != nil { // sparse: reading it costs the CPU alone
		b.Fatal(err)
	}
	var busy []*exec.Cmd
	for range runtime.NumCPU() {
		cmd := exec.CommandContext(b.Context(), "sh", "-c", "while :; do :; done")
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		busy = append(busy, cmd)
	}
	const window = 2 * time.Second
	var alone, beside, own time.Duration
	for b.Loop() {
		alone += cpuTime(b, busy, window)
		c := h.open(b, "big")
		c.MaxSize = 1 << 50
		until(b, c, "/big", "the reading", func(f inventory.ImageFile) bool { return f.Undigested == "it is being read" })
		before := ownTime(b)
		beside += cpuTime(b, busy, window)
		own += ownTime(b) - before
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(100*beside.Seconds()/alone.Seconds(), "%-of-what-others-get-alone")
	b.ReportMetric(100*own.Seconds()/(window.Seconds()*float64(b.N)*float64(runtime.NumCPU())), "%-of-the-CPUs-used")
}

// cpuTime is what the programs get in a window of time.
func cpuTime(b *testing.B, programs []*exec.Cmd, window time.Duration) (sum time.Duration) {
	b.Helper()
	for _, cmd := range programs {
		sum -= used(b, fmt.Sprint(cmd.Process.Pid))
	}
	time.Sleep(window)
	for _, cmd := range programs {
		sum += used(b, fmt.Sprint(cmd.Process.Pid))
	}
	return sum
}

func ownTime(b *testing.B) time.Duration { return used(b, "self") }

// used is a process's CPU time by proc_pid_stat(5).
func used(b *testing.B, process string) time.Duration {
	b.Helper()
	data, err := os.ReadFile("/proc/" + process + "/stat")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	var user, system int64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		b.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
}
