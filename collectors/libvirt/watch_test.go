package libvirt

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/test/rig"
)

// heard keeps what a watch told.
type heard struct {
	mu      sync.Mutex
	changes []collectors.Change
}

func (h *heard) add(c collectors.Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changes = append(h.changes, c)
}

func (h *heard) has(c collectors.Change) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.changes, c)
}

// watch watches a rig until the test ends.
func watch(t *testing.T, r *rig.Rig) *heard {
	t.Helper()
	return watchWith(t, open(t, r))
}

func watchWith(t *testing.T, c *Collector) *heard {
	t.Helper()
	h := &heard{}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Watch(ctx, h.add) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled watch returned %v", err)
		}
	})
	eventually(t, "the watch to begin", func() bool { return h.has(collectors.Change{Event: "watching"}) })
	return h
}

// What a domain goes through, on the real thing: each step is told of by the
// event that the capability table relies on, and those that it calls polled by
// none.
func TestWatchTellsOfWhatADomainGoesThrough(t *testing.T) {
	r := rig.ForTest(t)
	must(t)(r.CreateImage("more.qcow2", 1<<20, ""))
	h := watch(t, r)
	name := definePlain(t, r, 1)
	entity := inventory.VMEntity(plainUUID(1))
	tells := func(events ...string) {
		t.Helper()
		for _, event := range events {
			eventually(t, event, func() bool { return h.has(collectors.Change{Entity: entity, Event: event}) })
		}
	}
	tells("lifecycle defined")
	if err := r.StartVMPaused(name); err != nil {
		t.Fatal(err)
	}
	tells("lifecycle started")
	must(t)(r.Virsh("resume", name))
	tells("lifecycle resumed")
	must(t)(r.Virsh("metadata", name, "urn:dataverket:maskin:placement:v1", "dv", "<placement tenant='acme'/>", "--live"))
	tells("metadata-change")
	must(t)(r.Virsh("attach-disk", name, rig.ImagePath("more.qcow2"), "vdb", "--subdriver", "qcow2", "--targetbus", "virtio", "--live", "--serial", "more"))
	tells("device-added virtio-disk1")
	must(t)(r.Virsh("reset", name))
	tells("reboot")
	must(t)(r.Virsh("destroy", name))
	tells("lifecycle stopped")
	must(t)(r.Virsh("domrename", name, "renamed"))
	must(t)(r.Virsh("undefine", "renamed"))
	tells("lifecycle undefined")
}

// A daemon that goes and comes back is a change of everything, and what happens
// then is told of again.
func TestWatchOutlivesTheDaemon(t *testing.T) {
	r := rig.ForTest(t)
	h := watch(t, r)
	if err := r.KillLibvirtd(); err != nil {
		t.Fatal(err)
	}
	if err := r.RestartLibvirtd(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the watch to begin again", func() bool { return h.has(collectors.Change{Event: "watching again"}) })
	definePlain(t, r, 2)
	eventually(t, "news", func() bool {
		return h.has(collectors.Change{Entity: inventory.VMEntity(plainUUID(2)), Event: "lifecycle defined"})
	})
}

func TestWatchWithoutADaemon(t *testing.T) {
	c := closed(t, &Collector{Sockets: []string{t.TempDir() + "/nowhere"}})
	if err := c.Watch(t.Context(), func(collectors.Change) {}); !errors.Is(err, collectors.ErrAbsent) {
		t.Errorf("%v, want one that says that libvirt isn't on this host", err)
	}
}
