package main

import (
	"fmt"
	"time"

	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/test/fleet"
)

// failover lets a host die, its VMs come up on its partner, and Sentral follow. Of
// all that one event may be told: that the host is silent.
func failover(f *fleet.Fleet, r *fleet.Reconciler, w *fleet.World) error {
	host := 0
	for ; !w.Quiet(host); host++ {
		if host == f.Hosts-1 {
			return fmt.Errorf("no host of %d may die: each drifts or has no partner", f.Hosts)
		}
	}
	partner, _ := f.Partner(host)
	told := 0
	wait := func(d time.Duration) error {
		events, err := r.Wait(d, func(h int) bool { return !w.Dead(h) })
		for i := range events {
			s := &events[i].Finding.Subject
			switch {
			case events[i].Finding.Kind == reconcile.HostStale && s.ID == fleet.HostKey(host):
				told++
			case s.Host == fleet.HostKey(host), s.Host == fleet.HostKey(partner), s.ID == fleet.HostKey(host), s.ID == fleet.HostKey(partner):
				return fmt.Errorf("failover of host %d: it is told that %s", host, events[i].Finding.Message)
			}
		}
		return err
	}
	w.Die(host)
	if err := wait(fleet.Settling); err != nil {
		return err
	}
	for nth := range f.VMs {
		w.Show(host*f.VMs+nth, fleet.Spot{Host: partner})
	}
	var judging time.Duration
	for _, o := range w.Changed()[partner] {
		took, err := r.Change(o)
		if err != nil {
			return err
		}
		judging += took
	}
	for nth := range f.VMs {
		w.Record(host*f.VMs+nth, partner)
	}
	inv := w.Inventory()
	begin := time.Now()
	r.Intend(inv)
	if _, err := r.Step(); err != nil {
		return err
	}
	following := time.Since(begin)
	if err := wait(fleet.Settling); err != nil { // longer than a misplaced VM has
		return err
	}
	if told != 1 {
		return fmt.Errorf("failover of host %d: its silence is told %d times", host, told)
	}
	figure("a host dies, its VMs come up on another: events", told, "event", fmt.Sprintf("host.stale, and nothing of its %d VMs", f.VMs))
	figure("  the other's two documents judged", milliseconds(judging), "ms", "")
	figure("  Sentral's inventory of the whole fleet taken again, with where they are now", seconds(following), "s", "")
	return nil
}
