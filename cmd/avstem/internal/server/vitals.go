package server

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/reconcile"
)

// pulse is what happens as the server runs, for who watches it.
type pulse struct {
	behind   atomic.Int64 // documents on the stream behind the last one that was read
	document atomic.Int64 // when the last one was taken, in Unix nanoseconds
	step     atomic.Int64 // when the last step ended
	dropped  atomic.Int64 // events that there was no room for
}

// Vitals is how a server is, for metrics.
type Vitals struct {
	Status
	Site      string
	Leading   bool // it is the one that judges; else it stands by
	Connected bool
	// Behind is how many documents the stream has that were not read yet.
	Behind int
	// LastDocument and LastStep are zero before the first.
	LastDocument, LastStep time.Time
	DroppedEvents          int
	// Findings and Health are nil of one that stands by, and Health before the
	// first step: what it judged in an earlier turn may be long over.
	Findings []reconcile.Finding
	Health   *evaluate.Health
}

// Vitals says how it is now. It counts over all hosts and VMs.
func (s *Server) Vitals(now time.Time) Vitals {
	v := Vitals{
		Status: s.status(now), Site: s.o.Site, Leading: s.leading.Load(), Connected: s.o.Conn.NATS().IsConnected(),
		Behind: int(s.pulse.behind.Load()), LastDocument: when(&s.pulse.document), LastStep: when(&s.pulse.step),
		DroppedEvents: int(s.pulse.dropped.Load()),
	}
	if !v.Leading {
		return v
	}
	v.Findings = s.engine.Findings()
	if result, _, at, err := s.engine.Books(now); err == nil {
		health := evaluate.HealthOf(result, s.agents.known(), s.o.Site, evaluate.HostsAsked{}, at)
		v.Health = &health
	}
	return v
}

// NotReady says why it judges nothing, "" if it does, or would if it led.
func (s *Server) NotReady(now time.Time) string {
	if !s.o.Conn.NATS().IsConnected() {
		return "NATS is away"
	}
	if why := s.lacks.Load(); why != nil {
		return *why
	}
	if status := s.engine.Status(now); s.leading.Load() && !status.Ready {
		if status.Waiting == "" {
			return "the first pass is about to begin"
		}
		return status.Waiting
	}
	return ""
}

// Words say in one line how it is now.
func (s *Server) Words(now time.Time) string {
	if why := s.NotReady(now); why != "" {
		return why
	}
	if !s.leading.Load() {
		return "standing by"
	}
	status := s.engine.Status(now)
	words := fmt.Sprintf("%s, %s, %s open, %d pending", count(status.Hosts, "host"), count(status.VMs, "VM"), count(status.Findings.Open, "finding"), status.Findings.Pending)
	if status.Silent > 0 {
		words += fmt.Sprintf("; hosts that are silent: %d", status.Silent)
	}
	if status.Inventory.Held != "" {
		words += "; an inventory is held back"
	}
	return words
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func when(nanos *atomic.Int64) time.Time {
	if n := nanos.Load(); n != 0 {
		return time.Unix(0, n).UTC()
	}
	return time.Time{}
}
