package report

import (
	"strings"
	"time"

	"github.com/dataverket/avstem/reconcile"
)

// summary counts what was shown, in one line. Every number in it was counted
// from the findings or given by the caller.
func summary(findings []reconcile.Finding, o *Options) string {
	states := map[reconcile.State]int{}
	severities := map[reconcile.Severity]int{}
	for i := range findings {
		f := &findings[i]
		state := f.State
		if state == "" {
			state = reconcile.Open
		}
		if states[state]++; state == reconcile.Open {
			severities[f.Severity]++
		}
	}
	pending := states[reconcile.Pending]
	if o.Pending != nil {
		pending += *o.Pending
	}
	open := states[reconcile.Open]
	first := nothing(o, pending)
	if open > 0 {
		first = count(open) + " open: " + bySeverity(severities)
	}
	parts := []string{first}
	for _, s := range []struct {
		n     int
		state reconcile.State
	}{{pending, reconcile.Pending}, {states[reconcile.Suppressed], reconcile.Suppressed}, {states[reconcile.Resolved], reconcile.Resolved}} {
		if s.n > 0 {
			parts = append(parts, count(s.n)+" "+string(s.state))
		}
	}
	switch {
	case o.Filter != "" && open > 0:
		parts = append(parts, "only "+printable(o.Filter))
	case o.Filter == "" && o.Agreeing != nil && o.VMs != nil && *o.VMs > 0:
		parts = append(parts, count(*o.Agreeing)+" of "+plural("vm", *o.VMs)+" "+agree(*o.Agreeing)+" in everything")
	}
	return strings.Join(parts, " · ")
}

// nothing says that there is no open finding, and that nothing differs only
// where everything that there is agrees.
func nothing(o *Options, pending int) string {
	switch {
	case o.Filter != "":
		return "Nothing open matches " + printable(o.Filter)
	case pending > 0 || (o.VMs != nil && o.Agreeing != nil && *o.Agreeing < *o.VMs):
		return "Nothing is open"
	case o.Hosts != nil && o.VMs != nil && *o.Hosts+*o.VMs == 0:
		return "Nothing to compare: neither side has a host or VM"
	case o.Hosts != nil:
		return "Nothing differs on " + plural("host", *o.Hosts)
	}
	return "Nothing differs"
}

func bySeverity(n map[reconcile.Severity]int) string {
	var parts []string
	rest := 0
	for _, m := range n {
		rest += m
	}
	for _, s := range []reconcile.Severity{reconcile.Critical, reconcile.High, reconcile.Medium, reconcile.Low, reconcile.Info} {
		if rest -= n[s]; n[s] > 0 {
			parts = append(parts, count(n[s])+" "+string(s))
		}
	}
	if rest > 0 { // severities that a newer avstem may know
		parts = append(parts, count(rest)+" other")
	}
	return strings.Join(parts, ", ")
}

func agree(n int) string {
	if n == 1 {
		return "agrees"
	}
	return "agree"
}

// earliest is when the oldest of some findings came into the state it is in.
func earliest(findings []*reconcile.Finding) time.Time {
	var first time.Time
	for _, f := range findings {
		t := f.Since
		if t.IsZero() {
			t = f.FirstSeen
		}
		if first.IsZero() || (!t.IsZero() && t.Before(first)) {
			first = t
		}
	}
	return first
}
