package libvirt

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

const (
	aliveEvery   = 30 * time.Second       // a silent daemon and a quiet one look the same
	firstPause   = 200 * time.Millisecond // before connecting anew
	longestPause = 30 * time.Second
	calm         = time.Minute // after which a connection counts as sound
)

// watched are the events that tell of what the model holds. go-libvirt registers
// for others too and never delivers them (block jobs' second form, MAC changes,
// networks, pools), and some changes have no event at all in libvirt 9.0: links
// of NICs, external snapshots, vCPUs, memory, autostart, devices of a stopped
// domain.
var watched = []golibvirt.DomainEventID{
	golibvirt.DomainEventIDLifecycle,
	golibvirt.DomainEventIDReboot,
	golibvirt.DomainEventIDBlockJob,
	golibvirt.DomainEventIDDiskChange,
	golibvirt.DomainEventIDTrayChange,
	golibvirt.DomainEventIDDeviceAdded,
	golibvirt.DomainEventIDDeviceRemoved,
	golibvirt.DomainEventIDMetadataChange,
}

// lifecycle are the words of enum virDomainEventType (libvirt-domain.h).
var lifecycle = []string{"defined", "undefined", "started", "suspended", "resumed", "stopped", "shutdown", "suspended by the guest", "crashed"}

// Watch implements [collectors.Watcher] by the daemon's domain events, on a
// connection of its own.
//
// What happens while the daemon is away is never told again, so a connection
// that was lost is made anew and says that anything may have changed. A daemon
// that isn't there when the watch begins is an error.
func (c *Collector) Watch(ctx context.Context, changed func(collectors.Change)) error {
	c.setUp()
	pause, lost := firstPause, false
	for event := "watching"; ; {
		began, heard := time.Now(), false
		err := c.listen(ctx, event, func(change collectors.Change) {
			heard = true
			changed(change)
		})
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case event == "watching" && time.Since(began) < firstPause && !connectionLost(err):
			return err // it was never there
		case time.Since(began) > calm:
			pause = firstPause
		}
		if lost && !heard {
			changed(collectors.Change{Event: "gone"}) // and not just started anew
		}
		lost = heard
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause/2 + rand.N(pause)):
		}
		event, pause = "watching again", min(2*pause, longestPause)
	}
}

// listen passes on what one connection tells, until that or ctx ends.
func (c *Collector) listen(ctx context.Context, first string, changed func(collectors.Change)) error {
	cl, err := connect(ctx, c.sockets(), c.URI, c.CallTimeout)
	if err != nil {
		return err
	}
	events := make(chan any)
	var relays sync.WaitGroup
	defer relays.Wait()
	// go-libvirt's goroutines end with the connection, and wait for whoever reads
	// what they have left. They don't end with ctx: each would then deregister its
	// callback while the connection is closed, and libvirtd 9.0 dies of the two at
	// once now and then (SIGSEGV). That its client went away it bears.
	living, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer cl.close(nil)
	for _, id := range watched {
		var told <-chan any
		err := cl.call(ctx, "virConnectDomainEventRegisterAny", func(lv *golibvirt.Libvirt) (err error) {
			told, err = lv.SubscribeEvents(living, id, nil)
			return err
		})
		if err != nil {
			return err
		}
		relays.Go(func() { relay(living, told, events) })
	}
	changed(collectors.Change{Event: first})
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	ended := cl.lv.Disconnected()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ended:
			return fmt.Errorf("listen to libvirt: %w", errLost)
		case event := <-events:
			if change, ours := changeOf(event); ours {
				if id, err := uuid.Parse(strings.TrimPrefix(change.Entity, "vm:")); err == nil {
					c.touch(id)
				}
				changed(change)
			}
		case <-alive.C:
			err := cl.call(ctx, "virConnectGetLibVersion", func(lv *golibvirt.Libvirt) error {
				_, err := lv.ConnectGetLibVersion()
				return err
			})
			if err != nil {
				return fmt.Errorf("listen to libvirt: %w", err)
			}
		}
	}
}

// relay passes events on while ctx lasts, and takes what comes after it.
func relay(ctx context.Context, from <-chan any, to chan<- any) {
	for event := range from {
		select {
		case to <- event:
		case <-ctx.Done():
		}
	}
}

// changeOf says which domain an event is about.
func changeOf(event any) (collectors.Change, bool) {
	switch e := event.(type) {
	case *golibvirt.DomainEventCallbackLifecycleMsg:
		word := fmt.Sprintf("lifecycle %d", e.Msg.Event)
		if i := int(e.Msg.Event); i >= 0 && i < len(lifecycle) {
			word = "lifecycle " + lifecycle[i]
		}
		return of(e.Msg.Dom, word)
	case *golibvirt.DomainEventCallbackRebootMsg:
		return of(e.Msg.Dom, "reboot")
	case *golibvirt.DomainEventCallbackBlockJobMsg:
		return of(e.Msg.Dom, "block-job")
	case *golibvirt.DomainEventCallbackDiskChangeMsg:
		return of(e.Msg.Dom, "disk-change")
	case *golibvirt.DomainEventCallbackTrayChangeMsg:
		return of(e.Msg.Dom, "tray-change")
	case *golibvirt.DomainEventCallbackDeviceAddedMsg:
		return of(e.Dom, "device-added "+e.DevAlias)
	case *golibvirt.DomainEventCallbackDeviceRemovedMsg:
		return of(e.Msg.Dom, "device-removed "+e.Msg.DevAlias)
	case *golibvirt.DomainEventCallbackMetadataChangeMsg:
		return of(e.Dom, "metadata-change")
	}
	return collectors.Change{}, false
}

func of(domain golibvirt.Domain, event string) (collectors.Change, bool) {
	return collectors.Change{Entity: inventory.VMEntity(uuid.UUID(domain.UUID)), Event: event}, true
}
