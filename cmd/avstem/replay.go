package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/avstem/internal/names"
	"github.com/dataverket/avstem/cmd/internal/choiceflag"
	"github.com/dataverket/avstem/cmd/internal/durationflag"
	"github.com/dataverket/avstem/inventory/duration"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/replay"
	"github.com/dataverket/avstem/report"
)

const replayLong = `Show what another policy would have said of the past: what hosts showed and what
Sentral said, as NATS keeps it, is judged again by a policy file, and by the
policy of that time, with the same engine and the same times. What differs
between the two is shown: how much would have opened and been resolved, which
findings only one of them has and why the other has not, which suppressions
would have spoken of nothing. Nothing is changed.

NATS keeps the last 64 documents of each source of each host, which are hours or
days, and the last 64 versions of each record. Where that doesn't reach as far
back as was asked for, the answer says from when on it is.

What isn't kept can't be replayed: heartbeats (that a host was silent is taken
from the findings of then), acknowledgements, inventories that were held back.
/usr/share/doc/avstem/replay.md says what follows from that.

Exit status: 0 whatever differs: what might have been is no alarm. 1 if it can't
be replayed, 2 for a command line that can't be understood.`

const replayExample = `  avstem replay --since 7d --policy new.yaml
  avstem replay --since 24h --policy new.yaml --kind nic --platform libvirt

  # two ideas against each other, and what only one of them finds
  avstem replay --policy b.yaml --against a.yaml
  avstem replay --policy new.yaml -o csv`

// replayFlags are what is asked for.
type replayFlags struct {
	selection
	since           time.Duration
	until           time.Time
	policy, against string
	format          string
}

func newReplayCommand(a *app) *cobra.Command {
	var f replayFlags
	c := &cobra.Command{
		Use:     "replay --policy FILE",
		Short:   "Show what another policy would have said of the past",
		Long:    replayLong,
		Example: replayExample,
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			f.site = a.site()
			if f.policy == "" {
				return usageError{errors.New("replay wants --policy FILE: the policy that is tried")}
			}
			if err := f.check(); err != nil {
				return err
			}
			return a.replay(c.Context(), &f)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.policy, "policy", "", "the `FILE` of the policy that is tried (/usr/share/doc/avstem/policy.md)")
	flags.StringVar(&f.against, "against", "", "hold it against the policy in `FILE`, and not against the one of then")
	durationflag.Var(flags, &f.since, "since", 24*time.Hour, "replay the last `DURATION`, such as 90m or 7d")
	flags.Var(&moment{at: &f.until, now: a.now}, "until", "end at a `TIME`: 2026-11-24T10:00:00Z, or how long ago, such as 90m")
	f.addFlags(c)
	flags.VarP(choiceflag.New(&f.format, "table", "json", "csv"), "output", "o", "`FORMAT`: table, json or csv")
	return c
}

func (a *app) replay(ctx context.Context, f *replayFlags) error {
	tried, _, err := readPolicy(f.policy)
	if err != nil {
		return err
	}
	var against *reconcile.Policy
	if f.against != "" {
		p, _, err := readPolicy(f.against)
		if err != nil {
			return err
		}
		against = &p
	}
	now := a.now().UTC()
	options := replay.Options{Asked: now.Add(-f.since), Until: now, Policy: f.policy, Against: f.against, Filter: f.words(), Tried: tried, Takes: f.takes}
	if !f.until.IsZero() {
		options.Until = f.until
	}
	if !options.Asked.Before(options.Until) {
		return usageError{fmt.Errorf("--since %s is no earlier than --until: there is nothing between", duration.Text(f.since))}
	}
	outcomes, err := a.replaySites(ctx, f, &options, against)
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	return a.writeReplay(replay.Compare(outcomes, options), f.format)
}

// replaySites replays the sites that are meant, one after the other.
func (a *app) replaySites(ctx context.Context, f *replayFlags, options *replay.Options, against *reconcile.Policy) ([]*replay.Outcome, error) {
	conn, err := a.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	judged, err := sites(ctx, conn, f.site)
	if err != nil {
		return nil, err
	}
	notef := func(format string, args ...any) { options.Notes = append(options.Notes, fmt.Sprintf(format, args...)) }
	var begun []*retained
	var known names.Names
	for _, site := range judged {
		r, err := (&past{conn, site}).retained(ctx, options.Asked, options.Until, notef)
		switch {
		case errors.Is(err, errNothingKept) && len(judged) > 1:
			notef("site %s: %v", site, err)
			continue
		case errors.Is(err, errNothingKept) && f.site != "":
			return nil, a.nothingKept(ctx, conn, site)
		case err != nil:
			return nil, fmt.Errorf("site %s: %w", site, err)
		}
		begun = append(begun, r)
		known.Add(r.names(&f.selection))
	}
	if len(begun) == 0 {
		return nil, errNothingKept
	}
	if err := f.unknown(&known); err != nil {
		return nil, err
	}
	var outcomes []*replay.Outcome
	for _, r := range begun {
		r.start.Against, r.start.Tried = against, options.Tried
		out, err := r.replay(ctx, options.Until, a.progress("replay of site "+r.past.site), notef)
		if err != nil {
			return nil, fmt.Errorf("site %s: %w", r.past.site, err)
		}
		outcomes = append(outcomes, out)
	}
	return outcomes, nil
}

// nothingKept says that nothing is kept of a site, or that there is no such site.
func (a *app) nothingKept(ctx context.Context, conn *bus.Conn, site string) error {
	if err := noReconciler(ctx, conn, site); errors.As(err, new(usageError)) {
		return err
	}
	return fmt.Errorf("site %s: %w", site, errNothingKept)
}

func (a *app) writeReplay(c *replay.Comparison, format string) error {
	var err error
	switch format {
	case "json":
		err = report.ReplayJSON(a.stdout, c)
	case "csv":
		err = report.ReplayCSV(a.stdout, c)
	default:
		err = report.Replay(a.stdout, c, report.Options{Width: a.width, Color: a.color})
	}
	if err != nil {
		return fmt.Errorf("write replay: %w", err)
	}
	return nil
}

// progressAfter is how long something takes before it is said how far it is, and
// progressEvery how often after that.
const (
	progressAfter = 3 * time.Second
	progressEvery = time.Second
)

// progress says on a terminal how far something is that takes long, and at the end
// takes that away again, for "". It is silent elsewhere.
func (a *app) progress(what string) func(far string) {
	if !a.errIsTerminal {
		return func(string) {}
	}
	next, shown := time.Now().Add(progressAfter), false
	return func(far string) {
		switch now := time.Now(); {
		case far == "" && shown:
			fmt.Fprint(a.stderr, "\r\x1b[K")
		case far != "" && now.After(next):
			next, shown = now.Add(progressEvery), true
			fmt.Fprintf(a.stderr, "\r\x1b[K%s: %s", what, cmp.Or(report.Printable(far), ""))
		}
	}
}
