package server

import (
	"cmp"
	"time"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/engine"
	"github.com/dataverket/avstem/sentral"
)

// observations takes documents. Other sites have reconcilers of their own.
func (s *Server) observations() bus.ObservationHandler {
	return bus.ObservationHandler{
		Observation: func(o *inventory.Observation) {
			if o.Site != s.o.Site {
				return
			}
			switch s.engine.Observe(o, time.Now().UTC()) {
			case engine.Newer:
				s.pulse.document.Store(time.Now().UnixNano())
				s.poke()
				if s.o.Observed != nil {
					s.o.Observed(o)
				}
			case engine.Refused:
				s.log.Warn("document refused", "host", o.Host, "source", o.Source, "epoch", o.Epoch, "gen", o.Gen)
				s.poke()
			case engine.Older:
				s.log.Debug("older document ignored", "host", o.Host, "source", o.Source, "epoch", o.Epoch, "gen", o.Gen)
			}
		},
		Refused: func(subject string, err error) {
			key, unknown := bus.ParseObservedSubject(subject)
			if unknown == nil && key.Site != s.o.Site {
				return
			}
			s.log.Warn("document refused", "subject", subject, "err", err)
			s.engine.Refuse(reconcile.Refusal{Host: key.Host, Site: s.o.Site, Source: key.Source, Reason: err.Error(), At: time.Now().UTC()})
			s.poke()
		},
		Ready: func() {
			s.engine.Delivered()
			s.poke()
			if s.o.Listening != nil {
				s.o.Listening()
			}
		},
		Behind: func(n uint64) { s.pulse.behind.Store(int64(n)) },
		Lost:   func(err error) { s.log.Warn("documents can't be read; trying again", "err", err) },
	}
}

func (s *Server) heartbeats() bus.HeartbeatHandler {
	return bus.HeartbeatHandler{
		Beat: func(b bus.Heartbeat) {
			if b.Site != s.o.Site {
				return
			}
			now := time.Now().UTC()
			s.agents.hear(&b, now)
			if s.engine.Hear(heartbeat(b, now)) {
				s.poke()
			}
		},
		Refused: func(subject string, err error) {
			s.log.Warn("heartbeat refused", "subject", subject, "err", err)
		},
	}
}

// heartbeat takes what the host says of the time as what is to be measured.
func heartbeat(b bus.Heartbeat, at time.Time) engine.Heartbeat {
	beat := engine.Heartbeat{Host: b.Host, Site: b.Site, At: at, Sent: b.At, Epoch: b.Epoch, Speaker: b.Incarnation, Hostname: b.Hostname, BootID: b.BootID, Problem: b.Problem}
	for _, source := range b.Sources {
		beat.Sources = append(beat.Sources, engine.SourceState{
			Source:   source.Source,
			Position: engine.Position{Epoch: b.Epoch, Gen: source.Gen, Digest: source.Digest},
			Problem:  source.Problem,
		})
	}
	return beat
}

func (s *Server) intend(inv *sentral.Inventory) {
	s.log.Info("inventory read", "source", inv.Source, "version", inv.Version, "hosts", len(inv.Hosts), "vms", len(inv.VMs), "problems", len(inv.Problems))
	for i, p := range inv.Problems {
		if i == 20 {
			s.log.Warn("more of the inventory can't be used: see avstem drift --kind inventory.invalid", "more", len(inv.Problems)-i)
			break
		}
		s.log.Warn("a part of the inventory can't be used", "where", p.Where, "record", cmp.Or(p.Name, p.Record), "key", p.Key, "err", p.Error)
	}
	s.engine.Intend(inv)
	s.keepSoon()
	s.ledger.note(s.engine.Intended())
	s.poke()
}
