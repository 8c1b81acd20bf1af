package libvirt

import (
	"context"
	"fmt"

	golibvirt "github.com/digitalocean/go-libvirt"

	"github.com/dataverket/avstem/inventory"
)

// stateWords are virsh's words for virDomainState (libvirt-domain.h), which is
// what an operator will look for.
var stateWords = map[golibvirt.DomainState]string{
	golibvirt.DomainNostate:     "no state",
	golibvirt.DomainRunning:     "running",
	golibvirt.DomainBlocked:     "idle",
	golibvirt.DomainPaused:      "paused",
	golibvirt.DomainShutdown:    "in shutdown",
	golibvirt.DomainShutoff:     "shut off",
	golibvirt.DomainCrashed:     "crashed",
	golibvirt.DomainPmsuspended: "pmsuspended",
}

// reasonWords are the reasons of each state, by their number.
var reasonWords = map[golibvirt.DomainState][]string{
	golibvirt.DomainRunning: {"unknown", "booted", "migrated", "restored", "from snapshot", "unpaused",
		"migration canceled", "save canceled", "event wakeup", "resumed from crash", "post-copy", "post-copy failed"},
	golibvirt.DomainPaused: {"unknown", "user", "migrating", "saving", "dumping", "I/O error", "watchdog",
		"from snapshot", "shutting down", "creating snapshot", "crashed", "starting up", "post-copy",
		"post-copy failed", "api error"},
	golibvirt.DomainShutdown: {"unknown", "user"},
	golibvirt.DomainShutoff: {"unknown", "shutdown", "destroyed", "crashed", "migrated", "saved", "failed",
		"from snapshot", "daemon"},
	golibvirt.DomainCrashed: {"unknown", "panicked"},
}

// states is virDomainGetState's answer by domain.
type states map[golibvirt.UUID][2]int32

// states asks for all of them in one call: the daemon takes 3 ms for a thousand,
// against 70 ms one by one, and the state group is its own knowledge (qemu_driver.c
// asks for a job only for groups that need the monitor). It is only a hint: what
// is missing (the call fails as a whole on drivers without it) or doesn't agree
// with the XML is asked for by virDomainGetState.
func (c *client) states(ctx context.Context) (states, error) {
	var records []golibvirt.DomainStatsRecord
	err := c.call(ctx, "virConnectGetAllDomainStats", func(lv *golibvirt.Libvirt) (err error) {
		records, err = lv.ConnectGetAllDomainStats(nil, uint32(golibvirt.DomainStatsState), 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	all := make(states, len(records))
	for _, r := range records {
		var pair [2]int32
		found := false
		for _, p := range r.Params {
			n, isInt := p.Value.I.(int32)
			switch {
			case !isInt:
			case p.Field == "state.state":
				pair[0], found = n, true
			case p.Field == "state.reason":
				pair[1] = n
			}
		}
		if found {
			all[r.Dom.UUID] = pair
		}
	}
	return all, nil
}

// mapState gives our state and libvirt's own words for it, as "paused (user)".
//
// A VM in shutdown still executes. One that ACPI put to sleep (pmsuspended)
// holds its memory and does not. A domain without a QEMU process that ended in
// a crash is crashed; one that stopped otherwise, saved to disk included, is
// stopped. Numbers that a newer libvirt adds are unknown, and never compared.
func mapState(state, reason int32) (inventory.State, string) {
	s := golibvirt.DomainState(state)
	word, known := stateWords[s]
	if !known {
		return inventory.StateUnknown, fmt.Sprintf("state %d (reason %d)", state, reason)
	}
	raw := word
	if reasons := reasonWords[s]; reason > 0 {
		if int(reason) < len(reasons) {
			raw = fmt.Sprintf("%s (%s)", word, reasons[reason])
		} else {
			raw = fmt.Sprintf("%s (reason %d)", word, reason)
		}
	}
	switch s {
	case golibvirt.DomainRunning, golibvirt.DomainBlocked, golibvirt.DomainShutdown:
		return inventory.StateRunning, raw
	case golibvirt.DomainPaused, golibvirt.DomainPmsuspended:
		return inventory.StatePaused, raw
	case golibvirt.DomainCrashed:
		return inventory.StateCrashed, raw
	case golibvirt.DomainShutoff:
		if golibvirt.DomainShutoffReason(reason) == golibvirt.DomainShutoffCrashed {
			return inventory.StateCrashed, raw
		}
		return inventory.StateStopped, raw
	}
	return inventory.StateUnknown, raw
}
