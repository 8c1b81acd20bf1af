package collectorstest

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"
)

// leakPasses is how many passes of each kind are made while looking for leaks.
const leakPasses = 10

// checkLeaks counts goroutines and descriptors round whole and broken passes.
// The first ones may set up what stays for the collector's life.
func (s *suite) checkLeaks(t *testing.T) (violations []string) {
	c := s.make(t)
	both := func() bool {
		pass(context.Background(), c)
		_, _, returned := s.cancelledPass(c)
		return returned
	}
	if !both() {
		return []string{"the cancelled pass never returned"}
	}
	goroutines, descriptors := s.settled(runtime.NumGoroutine), s.settled(openFiles)
	for range leakPasses {
		both()
	}
	if n := s.falls(runtime.NumGoroutine, goroutines); n > goroutines {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		violations = append(violations, fmt.Sprintf("%d goroutines became %d over %d passes:\n%s", goroutines, n, 2*leakPasses, stacks))
	}
	if n := s.falls(openFiles, descriptors); n > descriptors {
		violations = append(violations, fmt.Sprintf("%d descriptors became %d over %d passes", descriptors, n, 2*leakPasses))
	}
	return violations
}

// settled returns the count once it stands still, since what a pass closed may
// still be on its way out.
func (s *suite) settled(count func() int) int {
	last, since := count(), time.Now()
	for end := time.Now().Add(s.patience); time.Now().Before(end) && time.Since(since) < 50*time.Millisecond; {
		time.Sleep(5 * time.Millisecond)
		if n := count(); n != last {
			last, since = n, time.Now()
		}
	}
	return last
}

// falls waits until the count is back at the one before, or patience ends, and
// returns it.
func (s *suite) falls(count func() int, before int) int {
	end := time.Now().Add(s.patience)
	for count() > before && time.Now().Before(end) {
		time.Sleep(5 * time.Millisecond)
	}
	return count()
}

func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err) // a test on Linux without /proc
	}
	return len(entries)
}
