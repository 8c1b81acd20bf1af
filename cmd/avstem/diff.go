package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/avstem/internal/names"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/report"
	"github.com/dataverket/avstem/sentral"
)

const diffLong = `Hold observations in files against an inventory. Where that is in files too, no
server, agent or network is needed, and the same files always give the same
findings.

Observations are what "avstem-agent collect -o json" prints: one document, an
array, or several after one another. Of several documents of one host and
source the newest counts. "-" is standard input.

Without --at everything counts as just seen, however old the files are. With
--at the findings are those of that time: a host whose documents are too old by
then is silent, and nothing is concluded about its VMs.

Exit status: 0, or 3 with --fail-on if a finding that is shown is that severe or
worse; what a --policy suppresses is shown as such and doesn't count.`

const diffExample = `  # on a host, then anywhere
  avstem-agent collect -o json > hv-osl1-01.json
  avstem diff --intended ./inventory --observed hv-osl1-01.json

  # in a pull request on the inventory
  avstem diff --intended . --observed fleet/*.json --fail-on high -o markdown

  # everything about one VM
  avstem diff --intended ./inventory --observed fleet/*.json --explain web-01`

// maxObserved bounds one file of observations: about 800,000 VMs.
const maxObserved = 512 << 20

type diffFlags struct {
	intended string
	observed []string
	at       time.Time
	explain  string
	bundle   string
	policy   string
}

func newDiffCommand(a *app) *cobra.Command {
	var (
		flags diffFlags
		asked selection
		out   findingsOutput
	)
	c := &cobra.Command{
		Use:     "diff --intended DIR --observed FILE...",
		Short:   "Hold observations in files against an inventory",
		Long:    diffLong,
		Example: diffExample,
		// So that a shell may expand --observed fleet/*.json.
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			flags.observed = append(flags.observed, args...)
			asked.site = a.site()
			if err := asked.check(); err != nil {
				return err
			}
			return a.diff(c.Context(), &flags, &asked, &out)
		},
	}
	c.Flags().StringVar(&flags.intended, "intended", "", inventoryUsage)
	c.Flags().StringArrayVar(&flags.observed, "observed", nil, "`FILE` of observations; may be given several times, - is standard input")
	c.Flags().Var(&moment{at: &flags.at, now: a.now}, "at", "judge as of a `TIME`: 2026-11-24T10:00:00Z, or how long ago, such as 90m")
	c.Flags().StringVar(&flags.explain, "explain", "", "show everything about one `VM|HOST|FINDING` instead of the findings; -o is table or json then")
	c.Flags().StringVar(&flags.bundle, "bundle", "", "judge what is in a `FILE` that avstem bundle wrote, instead of both sides")
	c.Flags().StringVar(&flags.policy, "policy", "", policyUsage)
	asked.addFlags(c)
	out.addFlags(c)
	return c
}

func (a *app) diff(ctx context.Context, flags *diffFlags, asked *selection, out *findingsOutput) error {
	if err := flags.check(out); err != nil {
		return err
	}
	if flags.bundle != "" {
		return a.diffBundle(flags.bundle, asked, out)
	}
	input, err := a.readBooks(ctx, flags)
	if err != nil {
		return err
	}
	if input.Policy, _, err = readPolicy(flags.policy); err != nil {
		return err
	}
	result := reconcile.Reconcile(*input)
	result.Findings = reconcile.Suppress(result.Findings, input.Policy, input.Now)
	if flags.explain != "" {
		e, err := reconcile.Explain(result, result.Findings, input.Now, flags.explain)
		if err != nil {
			return err
		}
		return a.writeExplanation(offline(e), out.format)
	}
	known := names.Of(input.Intended, result, result.Findings)
	if err := asked.unknown(&known); err != nil {
		return err
	}
	options := report.Options{Filter: asked.words()}
	options.Count(result)
	return out.write(a, asked.apply(result.Findings), options)
}

func (f *diffFlags) check(out *findingsOutput) error {
	switch {
	case f.bundle != "" && (f.intended != "" || len(f.observed) > 0 || !f.at.IsZero() || f.explain != "" || f.policy != ""):
		return usageError{errors.New("diff --bundle takes both sides from the bundle: without --intended, --observed, --at, --explain and --policy")}
	case f.bundle != "":
		return nil
	case f.intended == "" && len(f.observed) == 0:
		return usageError{errors.New("diff wants --intended DIR and --observed FILE")}
	case f.intended == "":
		return usageError{errors.New("diff wants --intended DIR")}
	case len(f.observed) == 0:
		return usageError{errors.New("diff wants --observed FILE")}
	case f.explain != "" && out.format != "table" && out.format != "json":
		return usageError{fmt.Errorf("diff --explain writes text or json, and not %s", out.format)}
	}
	return nil
}

// readBooks reads both sides.
func (a *app) readBooks(ctx context.Context, flags *diffFlags) (*reconcile.Input, error) {
	intended, err := a.readInventory(ctx, flags.intended)
	if err != nil {
		return nil, err
	}
	observed, err := a.readObserved(ctx, flags.observed)
	if err != nil {
		return nil, err
	}
	observed = newest(observed)
	giveSite(observed, a.siteOf(intended))
	return newInput(intended, observed, flags.at), nil
}

// siteOf is the site of a host that was collected without one: the default site
// where the inventory has such, else what was asked for, else the inventory's if
// it has one alone, else "".
func (a *app) siteOf(intended *sentral.Inventory) string {
	isDefault := func(s sentral.Site) bool { return s.ID == bus.DefaultSite }
	switch site := a.site(); {
	case slices.ContainsFunc(intended.Sites, isDefault):
		return bus.DefaultSite
	case site == "" && len(intended.Sites) == 1:
		return intended.Sites[0].ID
	default:
		return site
	}
}

// giveSite puts hosts that were collected without --site where they may well be;
// "" lets their record say it. Otherwise nothing of them would match, since
// marks such as names count within a site.
func giveSite(observed []*inventory.Observation, site string) {
	for _, o := range observed {
		if o.Site == bus.DefaultSite {
			o.Site = site
		}
	}
}

func (a *app) readObserved(ctx context.Context, names []string) ([]*inventory.Observation, error) {
	var all []*inventory.Observation
	for _, name := range names {
		read, err := a.readUnlessInterrupted(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("read observations from %s: %w", name, err)
		}
		all = append(all, read...)
	}
	return all, nil
}

// readUnlessInterrupted returns when ctx ends, too: a terminal, or a pipe that
// nobody writes to, can be waited for without end. The reading is left behind, in
// a process that is about to end.
func (a *app) readUnlessInterrupted(ctx context.Context, name string) ([]*inventory.Observation, error) {
	type result struct {
		read []*inventory.Observation
		err  error
	}
	done := make(chan result, 1)
	go func() {
		read, err := a.readObservations(name)
		done <- result{read, err}
	}()
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case r := <-done:
		return r.read, r.err
	}
}

func (a *app) readObservations(name string) ([]*inventory.Observation, error) {
	var r io.Reader = a.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r = f
	}
	read, err := inventory.DecodeObservations(r, maxObserved)
	if _, is := errors.AsType[*json.SyntaxError](err); is {
		return nil, fmt.Errorf("%w: is this what `avstem-agent collect -o json` prints?", err)
	}
	if err == nil && len(read) == 0 {
		// Else a collect that failed would look like a host that is gone.
		err = errors.New("there is none in it: was `avstem-agent collect -o json` cut short?")
	}
	return read, err
}

// newest keeps the newest document of each host and source, in the order in
// which these first came.
func newest(all []*inventory.Observation) []*inventory.Observation {
	type key struct {
		host   uuid.UUID
		source string
	}
	at := map[key]int{}
	var kept []*inventory.Observation
	for _, o := range all {
		k := key{o.Host, o.Source}
		i, known := at[k]
		switch {
		case !known:
			at[k] = len(kept)
			kept = append(kept, o)
		case o.Supersedes(kept[i]):
			kept[i] = o
		}
	}
	return kept
}

// newInput makes a pass of both books. With a time, what was said counts as
// heard when it was observed; without, as heard now, which is when the newest of
// it was observed.
func newInput(intended *sentral.Inventory, observed []*inventory.Observation, at time.Time) *reconcile.Input {
	in := &reconcile.Input{Intended: intended, Policy: reconcile.DefaultPolicy(), Heard: map[uuid.UUID]time.Time{}, Now: at}
	if at.IsZero() {
		for _, o := range observed {
			if o.ObservedAt.After(in.Now) {
				in.Now = o.ObservedAt.UTC()
			}
		}
	}
	for _, o := range observed {
		o.ObservedAt = o.ObservedAt.UTC()
		received := in.Now
		if !at.IsZero() {
			received = o.ObservedAt
		}
		in.Observed = append(in.Observed, reconcile.Document{Observation: o, Received: received})
		if received.After(in.Heard[o.Host]) {
			in.Heard[o.Host] = received
		}
	}
	return in
}
