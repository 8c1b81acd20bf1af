package fleet

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Used is what something took: by the clock, which on a busy machine is others' doing
// too, and of processors.
type Used struct{ Clock, CPU time.Duration }

// Add gives both together.
func (u Used) Add(more Used) Used { return Used{u.Clock + more.Clock, u.CPU + more.CPU} }

// Stopwatch measures what this process uses.
type Stopwatch struct {
	began time.Time
	cpu   time.Duration
}

// Start starts one.
func Start() Stopwatch { return Stopwatch{time.Now(), ownCPU()} }

// Used is what was used since.
func (s Stopwatch) Used() Used { return Used{time.Since(s.began), ownCPU() - s.cpu} }

func ownCPU() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// clockTick is USER_HZ, in which /proc counts; it is 100 on every architecture that
// Debian has.
const clockTick = 10 * time.Millisecond

// cpuOf adds up what processes and all below them have used, with those that have
// ended and were waited for.
func cpuOf(pids ...int) (used time.Duration) {
	parents, times := map[int]int{}, map[int]time.Duration{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0
	}
	for _, name := range stats {
		data, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		if pid, parent, cpu, err := parseStat(data); err == nil {
			parents[pid], times[pid] = parent, cpu
		}
	}
	for pid, cpu := range times {
		for up := pid; up > 1; up = parents[up] {
			for _, root := range pids {
				if up == root {
					used += cpu
				}
			}
		}
	}
	return used
}

// parseStat reads /proc/PID/stat (proc(5)): the command, in brackets, may hold
// anything.
func parseStat(data []byte) (pid, parent int, cpu time.Duration, err error) {
	open, shut := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	fields := bytes.Fields(data[shut+1:])
	if open < 1 || shut < open || len(fields) < 15 {
		return 0, 0, 0, fmt.Errorf("parse process status %q: it is cut", data)
	}
	if pid, err = strconv.Atoi(string(bytes.TrimSpace(data[:open]))); err != nil {
		return 0, 0, 0, err
	}
	if parent, err = strconv.Atoi(string(fields[1])); err != nil {
		return 0, 0, 0, err
	}
	for _, field := range fields[11:15] { // utime, stime, cutime and cstime
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, 0, 0, err
		}
		cpu += time.Duration(n) * clockTick
	}
	return pid, parent, cpu, nil
}
