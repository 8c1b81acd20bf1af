package fleet

import (
	"os"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	line := "17 (a) (b c) S 4 17 17 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 5 6 7\n"
	pid, parent, cpu, err := parseStat([]byte(line))
	if pid != 17 || parent != 4 || cpu != time.Second || err != nil {
		t.Errorf("pid %d, parent %d, CPU %v, %v", pid, parent, cpu, err)
	}
	for _, bad := range []string{"", "17 (a", ") (", "17 (a) S 4", "x (a) S 4 17 17 0 -1 4194560 1 2 3 4 10 20 30 40 20", "17 (a) S 4 17 17 0 -1 4194560 1 2 3 4 10 y 30 40 20"} {
		if _, _, _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q is no error", bad)
		}
	}
}

// What a process used is no less than what it says itself, but for what /proc rounds.
func TestCPUOfAProcess(t *testing.T) {
	before := ownCPU()
	if got := cpuOf(os.Getpid()); got < before-5*clockTick {
		t.Errorf("/proc has %v, getrusage(2) %v", got, before)
	}
}
