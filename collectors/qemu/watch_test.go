package qemu

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// watching is a watch that a test runs, and what it told.
type watching struct {
	mu      sync.Mutex
	changes []collectors.Change
}

func (w *watching) told(want collectors.Change) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.changes, want)
}

func watch(t *testing.T, c *Collector) *watching {
	t.Helper()
	w := &watching{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- c.Watch(ctx, func(change collectors.Change) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.changes = append(w.changes, change)
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the watch ended with %v", err)
		}
	})
	await(t, "the watch", func() bool { return w.told(collectors.Change{Event: "watching"}) })
	return w
}

// What a monitor tells of a VM, that it came and that it went, is told at once or
// within the interval of looking; a second monitor is undisturbed.
func TestWatch(t *testing.T) {
	m := start(t, "-S", "-uuid", richUUID)
	c := open(t, m.monitorPath())
	collect(t, c) // which connects
	w := watch(t, c)
	entity := inventory.VMEntity(uuid.MustParse(richUUID))
	m.do("cont", "stop", "system_reset")
	for _, event := range []string{"RESUME", "STOP", "RESET"} {
		await(t, event, func() bool { return w.told(collectors.Change{Entity: entity, Event: event}) })
	}
	other := uuid.MustParse("0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0009")
	second := start(t, "-S", "-uuid", other.String())
	await(t, "the start of another", func() bool {
		return w.told(collectors.Change{Entity: inventory.VMEntity(other), Event: "process started"})
	})
	began := time.Now()
	second.kill()
	await(t, "its end", func() bool {
		return w.told(collectors.Change{Entity: inventory.VMEntity(other), Event: "process ended"})
	})
	if took := time.Since(began); took > lookEvery {
		t.Logf("the end was told after %s", took)
	}
	m.kill()
	await(t, "its end", func() bool {
		return w.told(collectors.Change{Entity: entity, Event: "process ended"})
	})
}

func TestOneWatchAtATime(t *testing.T) {
	c := open(t)
	watch(t, c)
	if err := c.Watch(t.Context(), func(collectors.Change) {}); err == nil {
		t.Error("a second watch began")
	}
}

// Events that nobody takes in time are told as a change of everything.
func TestEventsThatOverrun(t *testing.T) {
	c := open(t)
	changes := make(chan collectors.Change, 1)
	if err := c.listen(changes); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		c.tell("/run/x", "STOP")
	}
	if !c.overran() || c.overran() {
		t.Error("lost events aren't told once")
	}
}
