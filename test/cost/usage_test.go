package cost

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dataverket/avstem/test/rig"
)

// patience is for the slowest program under strace.
const patience = 10 * time.Minute

// usage is what one run of a program and of all that it starts costs.
type usage struct {
	cpu      time.Duration
	peak     int64 // resident bytes of the largest process
	syscalls int
}

// cpuOf runs a program on the host; the kernel tells what it took (getrusage(2) of
// the process and of its children that it waited for).
func cpuOf(b *testing.B, r *rig.Rig, command ...string) time.Duration {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.Context()), patience)
	defer cancel()
	cmd := r.Command(ctx, command[0], command[1:]...)
	var errors strings.Builder
	cmd.Stderr = &errors
	if err := cmd.Run(); err != nil {
		b.Fatalf("%v: %v\n%s", command, err, errors.String())
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}

// peakOf is the resident memory of the largest process of a run, in bytes. What we
// start ourselves would count our own until it executes, so time(1) starts it.
func peakOf(b *testing.B, r *rig.Rig, command ...string) int64 {
	b.Helper()
	file := filepath.Join(b.TempDir(), "peak")
	cpuOf(b, r, append([]string{"/usr/bin/time", "-f", "%M", "-o", file}, command...)...)
	text, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	kib, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return kib << 10
}

// syscalls counts them in a run of its own, with strace.
func syscalls(b *testing.B, r *rig.Rig, command ...string) int {
	b.Helper()
	file := filepath.Join(b.TempDir(), "strace")
	cpuOf(b, r, append([]string{"strace", "-f", "-c", "-o", file}, command...)...)
	text, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	return total(b, string(text))
}

// total reads the last line of strace's table: 100.00 0.123 4 5678 90 total.
func total(t testing.TB, table string) int {
	t.Helper()
	for line := range strings.Lines(table) {
		if fields := strings.Fields(line); len(fields) >= 5 && fields[len(fields)-1] == "total" {
			n, err := strconv.Atoi(fields[3])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no total in strace's table:\n%s", table)
	return 0
}

func TestTotal(t *testing.T) {
	const table = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ------------------
 80.00    0.000400           4       100           read
 20.00    0.000100           2        50        12 openat
------ ----------- ----------- --------- --------- ------------------
100.00    0.000500           3       150        12 total
`
	if n := total(t, table); n != 150 {
		t.Errorf("%d calls, want 150", n)
	}
}
