package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/cmd/internal/choiceflag"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/policy"
	"github.com/dataverket/avstem/report"
	"github.com/dataverket/avstem/sentral"
)

const (
	policyUsage = "`FILE` of what is decided about the judging itself: severities, graces, suppressions (/usr/share/doc/avstem/policy.md)"
	// policyEvery is how often a policy file is looked at. It is small, and every
	// way of replacing a file is found so.
	policyEvery = 2 * time.Second
	maxPolicy   = 16 << 20
)

// readPolicy reads a policy file; without one, the policy is the default.
func readPolicy(name string) (reconcile.Policy, [sha256.Size]byte, error) {
	if name == "" {
		return reconcile.DefaultPolicy(), [sha256.Size]byte{}, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return reconcile.Policy{}, [sha256.Size]byte{}, fmt.Errorf("read policy: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPolicy+1))
	switch {
	case err != nil:
		return reconcile.Policy{}, [sha256.Size]byte{}, fmt.Errorf("read policy: %w", err)
	case len(data) > maxPolicy:
		return reconcile.Policy{}, [sha256.Size]byte{}, fmt.Errorf("read policy: %s is larger than %d bytes", name, maxPolicy)
	}
	p, err := policy.Parse(name, data)
	return p, sha256.Sum256(data), err
}

// policyFile is the policy that a reconciler runs with.
type policyFile struct {
	name   string
	first  reconcile.Policy
	digest [sha256.Size]byte
}

// openPolicy reads a policy once, so that what is wrong with it is said before
// anything is started.
func openPolicy(name string) (*policyFile, error) {
	p, digest, err := readPolicy(name)
	if err != nil {
		return nil, err
	}
	return &policyFile{name, p, digest}, nil
}

// watch calls fn when the file says something else, and once for each new reason
// why it can't be used, until ctx ends.
func (f *policyFile) watch(ctx context.Context, fn func(reconcile.Policy, error)) {
	if f.name == "" {
		return
	}
	tick := time.NewTicker(policyEvery)
	defer tick.Stop()
	held, said := f.digest, ""
	emptied := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p, digest, err := readPolicy(f.name)
		// Whoever writes a file may empty it first: that is believed at the second look.
		if was := emptied; err == nil {
			if emptied = digest == sha256.Sum256(nil); emptied && !was {
				continue
			}
		}
		switch {
		case err != nil && err.Error() != said:
			said = err.Error()
			fn(reconcile.Policy{Source: f.name}, err)
		case err == nil && (digest != held || said != ""):
			held, said = digest, ""
			fn(p, nil)
		}
	}
}

func newPolicyCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Check a policy file before it is used",
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newPolicyCheckCommand(a))
	return c
}

const policyCheckLong = `Say whether a policy file can be used: every mistake with file, line and key.

Where a server is there, its current findings are held against the file, and
what each suppression would do to them is said. Without one, only the file is
read. An entry that is past its date, takes any subject and any value, or would
suppress what is critical is warned of.

What it would have said of the last days, "avstem replay" says.

Exit status: 0 if it can be used, 1 if not.`

func newPolicyCheckCommand(a *app) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:     "check FILE",
		Short:   "Say whether a policy file can be used, and what it would suppress",
		Long:    policyCheckLong,
		Example: `  avstem policy check policy.yaml`,
		Args:    oneArgument("policy file"),
		RunE:    func(c *cobra.Command, args []string) error { return a.policyCheck(c.Context(), args[0], format) },
	}
	c.Flags().VarP(choiceflag.New(&format, "text", "json"), "output", "o", "`FORMAT`: text or json")
	return c
}

// checkedPolicy is what policy check says, as JSON.
type checkedPolicy struct {
	Source string `json:"source"`
	// Problems are why it can't be used; the rest is empty then.
	Problems []sentral.Problem `json:"problems"`
	// Findings says whether current findings were there to hold it against.
	Findings     bool                 `json:"findings"`
	Suppressions []checkedSuppression `json:"suppressions"`
	defaults     bool                 // it decides nothing
}

type checkedSuppression struct {
	ID      string    `json:"id"`
	Owner   string    `json:"owner"`
	Reason  string    `json:"reason"`
	Expires time.Time `json:"expires"`
	Expired bool      `json:"expired"`
	// Suppresses are the IDs of the findings that it would, Lapsed those that it
	// speaks of and wouldn't, with why.
	Suppresses []string          `json:"suppresses"`
	Lapsed     map[string]string `json:"lapsed,omitempty"`
	// Warnings are what is allowed, and hardly meant.
	Warnings []string `json:"warnings,omitempty"`
	messages []string
}

// warn notes what is hardly meant: an entry that is over, that takes whatever comes,
// or that hides what is worst.
func (c *checkedSuppression) warn(s *reconcile.Suppression, critical int) {
	if c.Expired {
		c.Warnings = append(c.Warnings, "it is past its date: it suppresses nothing, and policy.expired is found; take it out, or give it another date")
	}
	if value, is := s.Value.(string); is && takesAll(value) && takesAll(s.Match.Subject) && takesAll(s.Match.Host) {
		c.Warnings = append(c.Warnings, "it takes any subject and any value: what is found next is suppressed before anybody has seen it; name the subject and the value that was accepted")
	}
	if critical > 0 {
		c.Warnings = append(c.Warnings, fmt.Sprintf("%d of what it would suppress is critical", critical))
	}
}

func takesAll(pattern string) bool { return strings.Trim(pattern, "*") == "" }

func (a *app) policyCheck(ctx context.Context, name, format string) error {
	checked := checkedPolicy{Source: name, Problems: []sentral.Problem{}, Suppressions: []checkedSuppression{}}
	p, _, err := readPolicy(name)
	if broken, is := errors.AsType[*policy.Error](err); is && format == "json" {
		checked.Problems = broken.Problems
		return errors.Join(a.writeChecked(&checked, format), fmt.Errorf("check policy: problems in %s: %d", name, len(broken.Problems)))
	} else if err != nil {
		return err
	}
	standard := reconcile.DefaultPolicy()
	standard.Source = name
	checked.defaults = reflect.DeepEqual(p, standard)
	var findings []reconcile.Finding
	conn, err := a.connect(ctx)
	if err == nil {
		defer conn.Close()
		findings, err = readFindings(ctx, conn)
	}
	switch checked.Findings = err == nil; {
	case err != nil && (a.where.Server != "" || a.where.Context != "" || a.global.stateDir != ""):
		return fmt.Errorf("check policy against the current findings: %w", err)
	case err != nil:
		a.notef("no server is there to tell what it would suppress: only the file was read")
	}
	now := a.now()
	var current []reconcile.Finding
	for _, f := range findings {
		if f.State != reconcile.Resolved && (a.site() == "" || f.Subject.Site == a.site()) {
			current = append(current, f)
		}
	}
	judged := reconcile.Suppress(current, p, now)
	for i := range p.Suppressions {
		s := &p.Suppressions[i]
		c := checkedSuppression{ID: s.ID, Owner: s.Owner, Reason: s.Reason, Expires: s.Expires, Expired: !now.Before(s.Expires), Suppresses: []string{}}
		critical := 0
		for j := range judged {
			f := &judged[j]
			switch {
			case f.Suppression == nil || f.Suppression.ID != s.ID:
			case f.Suppression.Lapsed == "":
				c.Suppresses = append(c.Suppresses, f.ID)
				if f.Severity == reconcile.Critical {
					critical++
				}
				c.messages = append(c.messages, "would suppress: "+f.Message)
			default:
				if c.Lapsed == nil {
					c.Lapsed = map[string]string{}
				}
				c.Lapsed[f.ID] = f.Suppression.Lapsed
				c.messages = append(c.messages, "would not suppress: "+f.Message+" ("+f.Suppression.Lapsed+")")
			}
		}
		c.warn(s, critical)
		checked.Suppressions = append(checked.Suppressions, c)
	}
	return a.writeChecked(&checked, format)
}

func (a *app) writeChecked(checked *checkedPolicy, format string) error {
	if format == "json" {
		return a.writeJSON(checked)
	}
	var err error
	say := func(format string, args ...any) {
		_, failed := fmt.Fprintln(a.stdout, report.Printable(fmt.Sprintf(format, args...)))
		err = errors.Join(err, failed)
	}
	if checked.defaults {
		say("%s can be used: it decides nothing, and the default policy is in effect", checked.Source)
		return err
	}
	what := "it suppresses nothing"
	if n := len(checked.Suppressions); n > 0 {
		what = count(n, "suppression")
	}
	say("%s can be used: %s", checked.Source, what)
	for i := range checked.Suppressions {
		s := &checked.Suppressions[i]
		until := "until " + s.Expires.UTC().Format(time.RFC3339)
		if s.Expired {
			until = "expired at " + s.Expires.UTC().Format(time.RFC3339)
		}
		say("  %s of %s, %s: %s", s.ID, s.Owner, until, s.Reason)
		for _, warning := range s.Warnings {
			say("    warning: %s", warning)
		}
		for _, message := range s.messages {
			say("    %s", message)
		}
		if checked.Findings && len(s.messages) == 0 {
			say("    speaks of nothing that is found now")
		}
	}
	return err
}
