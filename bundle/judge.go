package bundle

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/dataverket/avstem/reconcile"
)

// Judge runs the core over the bundle and gives the findings about its subject.
// What only a reconciler that was there can know is taken from those that it had:
// since when each is what it is, and those that it remembered and could not judge
// again.
func (b *Bundle) Judge() (*reconcile.Result, []reconcile.Finding) {
	result := reconcile.Reconcile(*b.Input())
	had := map[string]*reconcile.Finding{}
	for i := range b.Findings {
		had[b.Findings[i].ID] = &b.Findings[i]
	}
	var findings []reconcile.Finding
	for _, f := range result.Findings {
		if !b.covers(&f) {
			continue
		}
		if was := had[f.ID]; was != nil {
			f = relive(f, was)
			delete(had, f.ID)
		}
		findings = append(findings, f)
	}
	for _, f := range b.Findings {
		if had[f.ID] != nil && remembered(&f) {
			findings = append(findings, f)
		}
	}
	reconcile.SortFindings(findings)
	return result, findings
}

// relive gives a finding what the reconciler knew of its life. Both are the same
// type, so that what is judged stays and all else is taken over.
func relive(f reconcile.Finding, was *reconcile.Finding) reconcile.Finding {
	judged := f
	f = *was
	f.Severity, f.Verdict, f.Subject, f.Message = judged.Severity, judged.Verdict, judged.Subject, judged.Message
	f.Intended, f.Observed, f.Match, f.Evidence = judged.Intended, judged.Observed, judged.Match, judged.Evidence
	f.Provenance, f.Resolutions, f.CausedBy = judged.Provenance, judged.Resolutions, judged.CausedBy
	return f
}

// remembered says whether a finding is only held from before.
func remembered(f *reconcile.Finding) bool {
	return f.State == reconcile.Resolved || f.Verdict == reconcile.Undecided
}

// covers says whether the bundle has what it takes to judge a finding.
func (b *Bundle) covers(f *reconcile.Finding) bool {
	return f.ID == b.Manifest.Subject.Finding || b.Manifest.Subject.About(f)
}

// check says how the core's findings differ from those that the reconciler had.
func (b *Bundle) check() []string {
	_, findings := b.Judge()
	var differs []string
	got := map[string]*reconcile.Finding{}
	for i := range findings {
		got[findings[i].ID] = &findings[i]
	}
	for i := range b.Findings {
		was := &b.Findings[i]
		is := got[was.ID]
		delete(got, was.ID)
		switch {
		case remembered(was):
		case is == nil:
			differs = append(differs, fmt.Sprintf("%s %s isn't found: %s", was.ID, was.Kind, was.Message))
		case !same(is, was):
			differs = append(differs, fmt.Sprintf("%s %s is found otherwise: %s; the reconciler had: %s", was.ID, was.Kind, is.Message, was.Message))
		}
	}
	for id, f := range got {
		differs = append(differs, fmt.Sprintf("%s %s is found, and the reconciler didn't have it: %s", id, f.Kind, f.Message))
	}
	slices.Sort(differs)
	return differs
}

// same compares what two findings say.
func same(a, b *reconcile.Finding) bool {
	say := func(f *reconcile.Finding) string {
		text, err := json.Marshal([]any{f.Kind, f.Severity, f.Verdict, f.Subject, f.Field, f.Intended, f.Observed, f.Message, f.Match})
		if err != nil {
			return err.Error()
		}
		return string(text)
	}
	return say(a) == say(b)
}
