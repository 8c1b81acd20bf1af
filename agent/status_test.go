package agent

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

func TestStatusInWords(t *testing.T) {
	now := time.Unix(10_000, 0)
	complete := bus.SourceState{Source: "identity", Outcome: inventory.OutcomeComplete}
	five := []bus.SourceState{complete, complete, complete, complete, complete}
	for want, s := range map[string]Status{
		"0 VMs, 0 sources seen, not connected to NATS": {},
		"12 VMs, 5 sources seen, published 4 s ago":    {VMs: 12, Sources: five, Server: "tls://a", Published: now.Add(-4 * time.Second)},
		"1 VM, 1 source seen, not seen whole: storage partial, network failed, published 3 min ago": {VMs: 1, Server: "tls://a", Published: now.Add(-3 * time.Minute),
			Sources: []bus.SourceState{complete, {Source: "storage", Outcome: inventory.OutcomePartial}, {Source: "network", Outcome: inventory.OutcomeFailed},
				{Source: "runtime-lxd", Outcome: inventory.OutcomeAbsent}}},
		"1 VM, 0 sources seen, not seen whole: runtime-libvirt failed (connect /run/x: connection refused), published 4 s ago": {VMs: 1, Server: "tls://a", Published: now.Add(-4 * time.Second),
			Sources: []bus.SourceState{{Source: "runtime-libvirt", Outcome: inventory.OutcomeFailed}}, Why: map[string]string{"runtime-libvirt": "connect /run/x: connection refused"}},
		"1 VM, 1 source seen, not connected to NATS, last published 5 h ago":       {VMs: 1, Sources: five[:1], Published: now.Add(-5 * time.Hour), Waiting: 1},
		"1 VM, 1 source seen, 2 documents not published yet":                       {VMs: 1, Sources: five[:1], Server: "tls://a", Waiting: 2},
		"1 VM, 1 source seen, publishing is stopped: another agent publishes, too": {VMs: 1, Sources: five[:1], Server: "tls://a", Problem: "another agent publishes, too"},
	} {
		if got := s.Words(now); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// Two runtimes that show one VM show one VM.
func TestStatusCountsAVMOnce(t *testing.T) {
	a := newAgent(t, Options{Collectors: []collectors.Collector{&fakeCollector{source: "runtime-a"}, &fakeCollector{source: "runtime-b"}}})
	for _, source := range []string{"runtime-a", "runtime-b"} {
		o := &inventory.Observation{Schema: inventory.Schema, Source: source, Outcome: inventory.OutcomePartial,
			Problems: []inventory.Problem{{Call: "read " + source, Error: "refused"}},
			Body:     inventory.Body{VMs: []inventory.VM{{NativeID: "web-01"}, {NativeID: source}}}}
		if err := a.board.offer(o, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if s := a.Status(); s.VMs != 3 || s.Waiting != 2 || !s.Published.IsZero() || s.Server != "" {
		t.Errorf("status is %+v", s)
	} else if why := s.Why["runtime-b"]; why != "read runtime-b: refused" {
		t.Errorf("it is not whole because of %q", why)
	}
}

// Asked for another connection, the agent lets the one go that it has, and says
// everything again on the next.
func TestReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, Options{Collectors: []collectors.Collector{&fakeCollector{source: "identity"}}})
		if err := a.board.offer(&inventory.Observation{Schema: inventory.Schema, Source: "identity", Outcome: inventory.OutcomeComplete}, time.Now()); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			f := newFakeWire()
			ctx, cancel := context.WithCancel(t.Context())
			a.hold(&f.wire)
			asked := make(chan bool)
			go func() { asked <- a.serve(ctx, &f.wire) }()
			time.Sleep(time.Second)
			if s := a.Status(); s.Server != "fake" || s.Waiting != 0 || s.Published.IsZero() || len(f.docs()) != 1 {
				t.Errorf("status is %+v, %d documents were published", s, len(f.docs()))
			}
			a.Reconnect()
			if !<-asked {
				t.Error("the wire ended for another reason")
			}
			cancel()
			a.board.again()
		}
	})
}
