package collectorstest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/dataverket/avstem/collectors"
)

// leakWatches is how many watches are begun and ended while looking for leaks.
const leakWatches = 5

// checkWatch holds a collector whose source tells of changes to beginning with a
// word that it listens, to ending with its context and to leaving nothing behind.
// Others have nothing to keep.
func (s *suite) checkWatch(t *testing.T) []string {
	w, tells := s.make(t).(collectors.Watcher)
	if !tells {
		return nil
	}
	if violation := s.watchOnce(w); violation != "" {
		return []string{violation}
	}
	goroutines, descriptors := s.settled(runtime.NumGoroutine), s.settled(openFiles)
	for range leakWatches {
		if violation := s.watchOnce(w); violation != "" {
			return []string{violation}
		}
	}
	var violations []string
	if n := s.falls(runtime.NumGoroutine, goroutines); n > goroutines {
		violations = append(violations, fmt.Sprintf("%d goroutines became %d over %d watches", goroutines, n, leakWatches))
	}
	if n := s.falls(openFiles, descriptors); n > descriptors {
		violations = append(violations, fmt.Sprintf("%d descriptors became %d over %d watches", descriptors, n, leakWatches))
	}
	return violations
}

// watchOnce begins a watch, ends it, and says what was wrong.
func (s *suite) watchOnce(w collectors.Watcher) string {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	first, ended := make(chan collectors.Change, 1), make(chan error, 1)
	go func() {
		ended <- w.Watch(ctx, func(c collectors.Change) {
			select {
			case first <- c:
			default:
			}
		})
	}()
	select {
	case c := <-first:
		if c != (collectors.Change{Event: "watching"}) {
			return fmt.Sprintf("the first change is %+v: want one of everything that says watching", c)
		}
	case err := <-ended:
		return fmt.Sprintf("the watch ended before it began: %v", err)
	case <-time.After(s.patience):
		return fmt.Sprintf("the watch did not begin within %s", s.patience)
	}
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			return fmt.Sprintf("a cancelled watch returned %v: want an error that wraps context.Canceled", err)
		}
	case <-time.After(s.patience):
		return fmt.Sprintf("the watch did not end within %s of its context's end", s.patience)
	}
	return ""
}
