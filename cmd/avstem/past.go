package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/dataverket/avstem/bundle"
	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/avstem/internal/server"
	"github.com/dataverket/avstem/history"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
)

// past reads what is kept of a site.
type past struct {
	conn *bus.Conn
	site string
}

// policy is the one that the site's reconciler judges by now, for a time of which
// none is kept. Without a reconciler it is the default.
func (p *past) policy(ctx context.Context, notef func(string, ...any)) reconcile.Policy {
	answer, err := ask(ctx, p.conn, p.site, "input", []byte("[]"))
	var rest bundle.Rest
	if err == nil {
		err = json.Unmarshal(answer, &rest)
	}
	if err != nil {
		notef("judged by the default policy: %v", err)
		return reconcile.DefaultPolicy()
	}
	return rest.Policy
}

// observed reads everything that is kept of some hosts, in order. What can't be
// read is told and left out.
func (p *past) observed(ctx context.Context, hosts []uuid.UUID, notef func(string, ...any)) ([]history.Entry, error) {
	var subjects []string
	for _, host := range hosts {
		subject, err := bus.ObservedOf(p.site, host)
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, subject)
	}
	var entries []history.Entry
	err := p.conn.Read(ctx, bus.Past{Stream: bus.StreamObserved, Subjects: subjects}, func(k bus.Kept) error {
		if e, err := document(bus.Decode, k); err != nil {
			notef("a document is left out: %v", err)
		} else {
			entries = append(entries, e)
		}
		return nil
	})
	return entries, err
}

// document reads a message by [bus.Decode] or that of a [bus.Decoder].
func document(decode func(string, nats.Header, []byte) (*inventory.Observation, error), k bus.Kept) (history.Entry, error) {
	o, err := decode(k.Subject, k.Header, k.Data)
	if err != nil {
		return history.Entry{}, err
	}
	return history.Document(o, k.Stream, k.Sequence, k.Time), nil
}

// intended reads everything that is kept of the system of record, in order.
func (p *past) intended(ctx context.Context, notef func(string, ...any)) ([]history.Entry, error) {
	filter, err := bus.IntendedIn(p.site, "")
	if err != nil {
		return nil, err
	}
	var entries []history.Entry
	err = p.conn.Read(ctx, bus.Past{Stream: bus.StreamIntended, Subjects: []string{filter}}, func(k bus.Kept) error {
		if e, err := server.RecordOf(k); err != nil {
			notef("a version of a record is left out: %v", err)
		} else {
			entries = append(entries, e)
		}
		return nil
	})
	return entries, err
}

// events reads what happened to findings that take wants, since a time.
func (p *past) events(ctx context.Context, subjects []string, since time.Time, wants func(*reconcile.Finding) bool) ([]history.Event, error) {
	events := []history.Event{}
	err := p.conn.Read(ctx, bus.Past{Stream: bus.StreamDrift, Subjects: subjects, Since: since}, func(k bus.Kept) error {
		var f reconcile.Finding
		if err := json.Unmarshal(k.Data, &f); err != nil || !wants(&f) {
			return nil // another program's, or another thing's
		}
		events = append(events, history.Event{At: k.Time, Action: actionOf(k.Subject), Sequence: k.Sequence, Finding: f})
		return nil
	})
	return events, err
}

// actionOf reads avstem.v1.drift.SITE.ACTION.KIND.
func actionOf(subject string) string {
	if tokens := strings.Split(subject, "."); len(tokens) > 4 {
		return tokens[4]
	}
	return ""
}

// inOrder merges both sides by time.
func inOrder(sides ...[]history.Entry) []history.Entry {
	all := slices.Concat(sides...)
	slices.SortStableFunc(all, func(a, b history.Entry) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Side, b.Side), cmp.Compare(a.Sequence, b.Sequence))
	})
	return all
}

// subject is what is asked about, and the hosts that can tell of it.
type subject struct {
	explanation *reconcile.Explanation
	thing       history.Thing
	site        string
	hosts       map[uuid.UUID]string // their names
}

// subjectOf asks the reconcilers what is meant.
func (a *app) subjectOf(ctx context.Context, conn *bus.Conn, query string) (*subject, error) {
	e, site, err := a.askToExplain(ctx, conn, query)
	if err != nil {
		return nil, err
	}
	thing, is := history.ThingOf(e)
	if !is {
		return nil, errors.New("it is neither a VM nor a host")
	}
	s := &subject{explanation: e, thing: thing, site: site, hosts: map[uuid.UUID]string{}}
	switch {
	case e.Host != nil:
		s.add(e.Host)
	case e.VM.Observed != nil:
		s.hosts[e.VM.Observed.HostID] = e.VM.Observed.Host
		for i := range e.VM.Copies {
			s.hosts[e.VM.Copies[i].HostID] = e.VM.Copies[i].Host
		}
	}
	for i := range e.Findings {
		if p := e.Findings[i].Provenance; p != nil && p.Host != uuid.Nil {
			if _, known := s.hosts[p.Host]; !known {
				s.hosts[p.Host] = e.Findings[i].Subject.Host
			}
		}
	}
	if e.VM != nil && e.VM.Intended != nil && e.VM.Intended.Host != "" && !slices.Contains(slices.Collect(maps.Values(s.hosts)), e.VM.Intended.Host) {
		// Where it should be may be where it was.
		if home, _, err := a.askToExplain(ctx, conn, e.VM.Intended.Host); err == nil && home.Host != nil {
			s.add(home.Host)
		}
	}
	return s, nil
}

func (s *subject) add(m *reconcile.HostMatch) {
	if m.Observed == nil {
		return
	}
	name := m.Observed.ID.String()
	switch {
	case m.Intended != nil:
		name = m.Intended.ID
	case m.Observed.Identity != nil && m.Observed.Identity.Hostname != "":
		name = m.Observed.Identity.Hostname
	}
	s.hosts[m.Observed.ID] = name
	for _, id := range m.Former {
		s.hosts[id] = name
	}
}

// maxHosts is of how many hosts everything that is kept is read at once.
const maxHosts = 64

// addEveryHost adds all hosts of the site that have spoken, unless they are too
// many.
func (s *subject) addEveryHost(ctx context.Context, conn *bus.Conn) error {
	filter, err := bus.ObservedIn(s.site)
	if err != nil {
		return err
	}
	subjects, err := conn.Subjects(ctx, bus.StreamObserved, filter)
	if err != nil {
		return err
	}
	all := maps.Clone(s.hosts)
	for name := range subjects {
		if key, err := bus.ParseObservedSubject(name); err == nil && all[key.Host] == "" {
			all[key.Host] = key.Host.String()
		}
	}
	if len(all) <= maxHosts {
		s.hosts = all
	}
	return nil
}

// hostIDs lists the hosts in a fixed order.
func (s *subject) hostIDs() []uuid.UUID {
	return slices.SortedFunc(maps.Keys(s.hosts), func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
}

// concerning leaves out the records that can't matter to what the hosts showed.
func (s *subject) concerning(intended, observed []history.Entry) []history.Entry {
	marks := history.Marks{}
	for _, e := range observed {
		marks.Add(e.Document)
	}
	keys := map[string]bool{}
	for _, name := range s.hosts {
		keys[name] = true
	}
	wanted := map[string]bool{s.thing.Record: true}
	for _, e := range intended {
		if e.Record != nil && e.Type == "vm" && marks.Concerns(e.Record, keys) {
			wanted[e.ID] = true // in every version of it
		}
	}
	return slices.DeleteFunc(intended, func(e history.Entry) bool { return e.Type == "vm" && !wanted[e.ID] })
}

// entries reads everything that is kept of what is asked about, both sides in
// order.
func (p *past) entries(ctx context.Context, s *subject, notef func(string, ...any)) ([]history.Entry, error) {
	observed, err := p.observed(ctx, s.hostIDs(), notef)
	if err != nil {
		return nil, err
	}
	intended, err := p.intended(ctx, notef)
	if err != nil {
		return nil, err
	}
	return inOrder(s.concerning(intended, observed), observed), nil
}
