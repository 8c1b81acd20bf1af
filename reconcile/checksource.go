package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// seeSources reports what can't be seen of a host that speaks.
func (p *pass) seeSources(hp *hostPair) {
	runtimes, seen := 0, 0
	for i := range hp.view.docs {
		doc := hp.view.docs[i]
		if isRuntime(doc.Source) {
			runtimes++
			if hp.counts(&hp.Observed.Sources[i]) {
				seen++
			}
		}
		blind := hp.Blind
		switch {
		case !hp.view.fresh(doc, &p.in):
			p.oldSource(hp, doc)
		case doc.Outcome == inventory.OutcomeFailed:
			p.blindSource(hp, doc)
		case doc.Outcome == inventory.OutcomePartial:
			p.partialSource(hp, doc)
		}
		if hp.spare(doc) { // something else says what is there
			hp.Blind = blind
		}
	}
	lacking := slices.ContainsFunc(hp.Observed.Sources, func(s SourceStatus) bool { return hp.lacks(&s) })
	if (seen == 0 || lacking) && hp.awaited() {
		p.noRuntime(hp, runtimes)
	}
}

// spare says whether a source shows runtimes' VMs and is not what absence rests on.
func (hp *hostPair) spare(doc *source) bool {
	return doc.tells("runtime.runningOnly") && !hp.runs(&SourceStatus{Source: doc.Source})
}

// oldSource reports a source that its agent should have repeated since, although
// it still speaks.
func (p *pass) oldSource(hp *hostPair, doc *source) {
	f := p.blindness(hp, doc)
	f.Observed = "old"
	f.Message = fmt.Sprintf("%s, and its agent should have repeated it since", hp.view.why(doc))
	hp.Blind = p.find(f)
}

// blindness is what findings about a source that can't be seen have in common.
func (p *pass) blindness(hp *hostPair, doc *source) Finding {
	f := Finding{
		Kind: ObserveBlind, Subject: hp.sourceSubject(doc), Field: doc.Source,
		Intended:    string(inventory.OutcomeComplete),
		Provenance:  &Provenance{Collector: doc.Source, ObservedAt: doc.ObservedAt, Host: doc.Host},
		Resolutions: bothWays("see avstem-agent's log on the host", "person", ""),
	}
	if !isRuntime(doc.Source) || hp.spare(doc) {
		f.Severity = Medium
	}
	return f
}

// sourceSubject names one source on a host.
func (hp *hostPair) sourceSubject(doc *source) Subject {
	s := hp.subject()
	if isRuntime(doc.Source) {
		s.Type, s.ID, s.Name = "runtime", hp.sourceID(doc.Source), doc.Source
		if doc.Runtime != nil {
			s.Platform = doc.Runtime.Platform
		}
	}
	return s
}

func (p *pass) blindSource(hp *hostPair, doc *source) {
	lines, remedy := problemLines(doc.Problems)
	f := p.blindness(hp, doc)
	f.Observed, f.Evidence = string(doc.Outcome), lines
	f.Message = fmt.Sprintf("%s of %s can't be seen: %s", doc.Source, hp.key(), firstOf(lines))
	if remedy != "" {
		f.Resolutions = bothWays(remedy, "person", "")
	}
	hp.Blind = p.find(f)
}

// partialSource reports what a pass could not read. What isn't there to be read
// (a host without DMI) is a fact and no lack of sight.
func (p *pass) partialSource(hp *hostPair, doc *source) {
	var hidden []inventory.Problem
	for _, problem := range doc.Problems {
		if problem.Why != inventory.WhyAbsent {
			hidden = append(hidden, problem)
		}
	}
	if len(hidden) == 0 && doc.Complete {
		return
	}
	lines, remedy := problemLines(hidden)
	severity, what := Low, fmt.Sprintf("%d things can't be read, the first is", len(hidden))
	if len(hidden) == 1 {
		what = "this can't be read"
	}
	if isRuntime(doc.Source) {
		severity = p.in.Policy.severity(ObservePartial)
	}
	if !doc.Complete {
		severity, what = High, "not everything there was listed"
	}
	if hp.spare(doc) {
		severity = Low
	}
	id := p.find(Finding{
		Kind: ObservePartial, Severity: severity, Subject: hp.sourceSubject(doc), Field: doc.Source,
		Intended: string(inventory.OutcomeComplete), Observed: string(doc.Outcome),
		Message:     fmt.Sprintf("%s of %s was seen in part: %s: %s", doc.Source, hp.key(), what, firstOf(lines)),
		Evidence:    lines,
		Provenance:  &Provenance{Collector: doc.Source, ObservedAt: doc.ObservedAt, Host: doc.Host},
		Resolutions: []Resolution{{Side: "runtime", Do: orElse(remedy, "see avstem-agent's log on the host"), How: "person"}},
	})
	if !doc.Complete {
		hp.Blind = id
	}
}

// noRuntime reports a host on which no runtime shows, and where was looked.
func (p *pass) noRuntime(hp *hostPair, looked int) {
	var lines []string
	for i := range hp.view.docs {
		if doc := hp.view.docs[i]; isRuntime(doc.Source) {
			more, _ := problemLines(doc.Problems)
			lines = append(lines, more...)
		}
	}
	severity := Low
	if hp.Intended.Platform != "" {
		severity = ""
	}
	message := fmt.Sprintf("no runtime was found on %s: %s", hp.key(), firstOf(lines))
	if i := slices.IndexFunc(hp.Observed.Sources, func(s SourceStatus) bool { return hp.lacks(&s) }); i >= 0 {
		lines, _ = problemLines(hp.Observed.Sources[i].Problems)
		message = fmt.Sprintf("%s was not found on %s, and Sentral says that it runs %s: %s", hp.Observed.Sources[i].Source, hp.key(), hp.Intended.Platform, firstOf(lines))
	}
	if looked == 0 {
		message = "the agent on " + hp.key() + " reports no runtime, not even that it looked for one"
	}
	record := "correct its platform, or set state to planned or retired, if it runs no VMs"
	if i := slices.IndexFunc(hp.Observed.Sources, func(s SourceStatus) bool { return shownRunning(&s) != "" }); i >= 0 {
		source := hp.Observed.Sources[i].Source
		message += fmt.Sprintf("; %s shows what runs there, and nothing that is stopped", source)
		record = fmt.Sprintf("set its platform to %s, if nothing else keeps VMs there", strings.TrimPrefix(source, "runtime-"))
	}
	subject := hp.subject()
	subject.Type, subject.ID, subject.Name = "runtime", hp.sourceID("runtime"), "runtime"
	hp.Blind = p.find(Finding{
		Kind: ObserveBlind, Severity: severity, Subject: subject, Field: "runtime", CausedBy: hp.otherRuntime,
		Intended: orNothing(hp.Intended.Platform), Observed: string(inventory.OutcomeAbsent),
		Message:     message,
		Evidence:    lines,
		Resolutions: bothWays("start the runtime's daemon: its VMs run on without it, unseen", "person", record),
	})
}

// problemLines writes problems, and the first remedy among them.
func problemLines(problems []inventory.Problem) (lines []string, remedy string) {
	for i := range problems {
		problem := &problems[i]
		remedy = orElse(remedy, problem.Remedy)
		if i == maxListed {
			lines = append(lines, fmt.Sprintf("and %d more: see avstem explain", len(problems)-i))
		}
		if i >= maxListed {
			continue
		}
		about := strings.TrimSpace(problem.Entity + " " + string(problem.Field))
		if about != "" {
			about += ": "
		}
		lines = append(lines, fmt.Sprintf("%s%s: %s (%s)", about, problem.Call, problem.Error, problem.Why))
	}
	if len(lines) == 0 {
		lines = []string{"no reason was given"}
	}
	return lines, remedy
}
