package reconcile

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// checkAbsence concludes whether an intended VM is nowhere. It takes a complete
// and fresh look at every host where it could be: a VM bound to a host could have
// moved within its site, so that what can't be seen elsewhere makes the verdict
// potential, and what can't be seen at home makes none.
func (p *pass) checkAbsence(vp *pair) {
	site := &p.book.site(vp.Intended.Site).sight
	if vp.Uncovered = p.uncovered(vp, site); len(vp.Uncovered) == 0 {
		p.missing(vp, site)
	}
}

// uncovered says why nothing is concluded from not seeing the VM.
func (p *pass) uncovered(vp *pair, site *sight) []string {
	want := vp.Intended
	atHome := p.home(want)
	switch {
	case vp.tied:
		return []string{"another VM has its marks: see the identity findings"}
	case want.Host != "" && atHome == nil:
		return []string{"Sentral has no record of its host " + want.Host + " that can be used"}
	case want.Host != "" && !atHome.covered():
		return []string{atHome.inSite.unseen} // which was told then, as nothing of it has changed since
	case want.Host == "" && len(site.dark) > 0:
		return site.dark
	case want.Host == "" && !site.covered:
		return []string{"no host of " + want.Site + " has reported"}
	case want.State == sentral.VMStopped && atHome != nil && atHome.forgets():
		return []string{"it doesn't run, and nothing is left of a stopped VM on " + atHome.key()}
	case want.State == sentral.VMStopped && want.Host == "" && site.forgets != "":
		return []string{"it doesn't run, and nothing is left of a stopped VM on " + site.forgets}
	case want.UUID() == uuid.Nil && len(site.unread) > 0: // a label would have to tell
		return site.unread
	}
	return nil
}

func (p *pass) missing(vp *pair, site *sight) {
	want := vp.Intended
	where := "any host of " + want.Site
	if want.Host != "" {
		where = want.Host
	}
	marks := "its MACs, disk serials or name"
	if id := want.UUID(); id != uuid.Nil {
		marks = fmt.Sprintf("its UUID %s, %s", id, marks)
	}
	f := Finding{
		Kind: VMMissing, Field: "vm", Intended: want.Name, Verdict: Confirmed,
		Message:     fmt.Sprintf("%s is not on %s", vp.name(), where),
		Evidence:    []string{"no VM has its Sentral ID, " + marks},
		Resolutions: bothWays("create it, or start it where its disks are", "person", "set state to absent, if it was removed on purpose"),
	}
	if home := p.home(want); home != nil {
		f.Provenance = home.runtimeProvenance()
		if home.forgets() {
			f.Message = fmt.Sprintf("%s doesn't run on %s", vp.name(), where)
			f.Evidence = append(f.Evidence, "nothing is left there of a VM that stops: whether it was stopped or removed doesn't show")
			f.Resolutions = bothWays("start it", "person", "set state to stopped, if it was stopped on purpose, or to absent")
		}
	}
	if len(site.dark) > 0 {
		f.Verdict = Potential
		f.Evidence = append(f.Evidence, fmt.Sprintf("it could be where nothing is seen, on %d %s:", site.hidden, plural(site.hidden, "host")))
		f.Evidence = append(f.Evidence, site.dark...)
	}
	if len(site.unread) > 0 {
		f.Verdict = Potential
		f.Evidence = append(f.Evidence, "it could be one that could not be read:")
		f.Evidence = append(f.Evidence, site.unread...)
	}
	p.find(vp.finding(f))
}

// home is the host that a VM is bound to; nil where it is bound to none.
func (p *pass) home(want *sentral.VM) *hostPair {
	if want.Host == "" {
		return nil
	}
	return p.hostRecord[want.Host]
}

// unseen says why nothing may be concluded from the host.
func (hp *hostPair) unseen() string {
	switch {
	case hp.tied:
		return hp.key() + " can't be told from another host: see identity.ambiguous"
	case hp.Observed == nil:
		return hp.key() + " has not reported"
	case hp.Observed.Stale:
		return hp.key() + " is silent"
	}
	running := ""
	for i := range hp.Observed.Sources {
		switch s := &hp.Observed.Sources[i]; {
		case hp.lacks(s):
			return s.Source + " is not there on " + hp.key()
		case !hp.counts(s):
			running = orElse(running, shownRunning(s))
		case s.Old:
			return fmt.Sprintf("%s of %s was last reported at %s", s.Source, hp.key(), clock(s.Received))
		case !s.Complete:
			return fmt.Sprintf("%s of %s was not seen whole (%s)", s.Source, hp.key(), s.Outcome)
		}
	}
	if running != "" {
		return fmt.Sprintf("%s shows by %s what runs, and nothing that could be stopped", hp.key(), running)
	}
	return hp.key() + " shows no runtime"
}

// shownRunning names a source that shows only what runs.
func shownRunning(s *SourceStatus) string {
	if s.RunningOnly && s.Outcome != inventory.OutcomeAbsent {
		return s.Source
	}
	return ""
}

func (hp *hostPair) runtimeProvenance() *Provenance {
	if hp.view == nil {
		return nil
	}
	for _, doc := range hp.view.docs {
		if isRuntime(doc.Source) && doc.Complete && (!doc.tells("runtime.runningOnly") || hp.forgets()) {
			return doc.provenance("vm.uuid")
		}
	}
	return nil
}
