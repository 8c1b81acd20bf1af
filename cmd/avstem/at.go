package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/avstem/internal/names"
	"github.com/dataverket/avstem/history"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/report"
)

// booksAt gives the core both sides as they stood at a time, of some hosts or, for
// none, of all of the site, and says what of that isn't known.
func (p *past) booksAt(ctx context.Context, hosts []uuid.UUID, at time.Time, notef func(string, ...any)) (*reconcile.Input, error) {
	books := history.NewBooks()
	intended, err := p.intended(ctx, notef)
	if err != nil {
		return nil, err
	}
	if err := reaches(intended, at); err != nil {
		return nil, err
	}
	for _, e := range intended {
		if !e.At.After(at) {
			books.Take(e)
		}
	}
	kept, err := p.subjectsOf(ctx, hosts)
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	err = p.conn.LastUpTo(ctx, bus.StreamObserved, slices.Sorted(maps.Keys(kept)), at, func(k bus.Kept) error {
		found[k.Subject] = true
		if e, err := document(bus.Decode, k); err != nil {
			notef("a document is left out: %v", err)
		} else {
			books.Take(e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no document of %s is kept: the last %d of each source are", at.Format(time.RFC3339), bus.KeptOfEach)
	}
	by := books.Policy()
	if by == nil {
		now := p.policy(ctx, notef)
		by = &now
		notef("judged by the policy of now: the one of %s isn't known", at.Format(time.RFC3339))
	}
	in := books.Input(at, *by)
	return fillIn(&in, kept, found, notef), nil
}

// reaches says why the inventory of a time isn't known.
func reaches(intended []history.Entry, at time.Time) error {
	switch {
	case len(intended) == 0:
		return errors.New("nothing is kept of the inventory's past: is the reconciler older than this avstem?")
	case intended[0].At.After(at):
		return fmt.Errorf("the inventory of %s isn't known: it is kept since %s", at.Format(time.RFC3339), intended[0].At.Format(time.RFC3339))
	}
	return nil
}

// subjectsOf counts what is kept of each source of some hosts, or of all.
func (p *past) subjectsOf(ctx context.Context, hosts []uuid.UUID) (map[string]uint64, error) {
	filter, err := bus.ObservedIn(p.site)
	if err != nil {
		return nil, err
	}
	if len(hosts) == 0 {
		return p.conn.Subjects(ctx, bus.StreamObserved, filter)
	}
	all := map[string]uint64{}
	for _, host := range hosts {
		if filter, err = bus.ObservedOf(p.site, host); err != nil {
			return nil, err
		}
		kept, err := p.conn.Subjects(ctx, bus.StreamObserved, filter)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, kept)
	}
	return all, nil
}

// fillIn puts, for each source whose document of then had to give way to newer ones,
// one that says that nothing can be said: what was in it isn't missing.
func fillIn(in *reconcile.Input, kept map[string]uint64, found map[string]bool, notef func(string, ...any)) *reconcile.Input {
	var lost []string
	for _, name := range slices.Sorted(maps.Keys(kept)) {
		key, err := bus.ParseObservedSubject(name)
		if found[name] || kept[name] < bus.KeptOfEach || err != nil {
			continue
		}
		lost = append(lost, key.Source+" of "+key.Host.String())
		in.Observed = append(in.Observed, reconcile.Document{Received: in.Now, Observation: &inventory.Observation{
			Schema: inventory.Schema, Host: key.Host, Site: key.Site, Source: key.Source, ObservedAt: in.Now, Outcome: inventory.OutcomeFailed,
			Problems: []inventory.Problem{{Call: bus.StreamObserved, Why: inventory.WhyAbsent, Error: "what it showed then isn't kept any more"}},
		}})
	}
	if len(lost) > 0 {
		notef("not known any more, and judged as not seen: %s", strings.Join(lost, ", "))
	}
	return in
}

// explainAt shows what was known of a thing at a time; what is how its errors call
// that.
func (a *app) explainAt(ctx context.Context, what, query string, at time.Time, format string) error {
	doing := fmt.Sprintf("%s %q as of %s", what, query, at.Format(time.RFC3339))
	conn, err := a.connect(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	defer conn.Close()
	site, hosts, err := a.hostsThen(ctx, conn, query)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	p := &past{conn, site}
	in, err := p.booksAt(ctx, hosts, at, a.notef)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	result := reconcile.Reconcile(*in)
	e, err := reconcile.Explain(result, result.Findings, at, query)
	if errors.Is(err, reconcile.ErrNotKnown) {
		return fmt.Errorf("%s: %w", doing, reconcile.ErrNotKnown)
	} else if err != nil {
		return fmt.Errorf("as of %s: %w", at.Format(time.RFC3339), err)
	}
	c := report.NewCase(e)
	c.AsOf = true
	return a.writeExplanation(c, format)
}

// hostsThen are the hosts that can tell of a thing's past. Of one that nobody knows
// now, any may.
func (a *app) hostsThen(ctx context.Context, conn *bus.Conn, query string) (string, []uuid.UUID, error) {
	s, err := a.subjectOf(ctx, conn, query)
	if err == nil {
		return s.site, s.hostIDs(), nil
	}
	if answer, is := errors.AsType[*answerError](err); !is || answer.code != "404" {
		return "", nil, err
	}
	names, err := sites(ctx, conn, a.site())
	if err != nil {
		return "", nil, err
	}
	if len(names) != 1 {
		return "", nil, errors.New("it isn't known now: name the site that it was in with --site")
	}
	return names[0], nil, nil
}

// driftAt shows what differed at a time.
func (a *app) driftAt(ctx context.Context, asked *selection, out *findingsOutput, at time.Time) error {
	doing := "show drift as of " + at.Format(time.RFC3339)
	conn, err := a.connect(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	defer conn.Close()
	judged, err := sites(ctx, conn, asked.site)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	var all []reconcile.Finding
	var known names.Names
	options := report.Options{Filter: asked.words()}
	for _, site := range judged {
		in, err := (&past{conn, site}).booksAt(ctx, nil, at, a.notef)
		if err != nil {
			return fmt.Errorf("%s: site %s: %w", doing, site, err)
		}
		in.Site = site
		result := reconcile.Reconcile(*in)
		all = append(all, result.Findings...)
		known.Add(names.Of(in.Intended, result, result.Findings))
		if len(judged) == 1 {
			options.Count(result)
		}
	}
	if err := asked.unknown(&known); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return out.write(a, asked.apply(all), options)
}
