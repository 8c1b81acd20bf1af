package reconcile

import (
	"fmt"
	"strings"
	"time"

	"github.com/dataverket/avstem/inventory"
)

// checkTasks holds the tasks on one VM against what the runtime shows after them,
// and says of each what became of it. The VM is nil where nobody has it; about are
// the findings about it.
func (p *pass) checkTasks(tasks []*Task, vp *pair, about []Finding) map[string]TaskMatch {
	became := make(map[string]TaskMatch, len(tasks))
	for _, t := range tasks {
		m := TaskMatch{Task: *t}
		p.holdTask(&m, vp, about)
		became[t.ID] = m
	}
	return became
}

// holdTask holds a task that succeeded against the first complete look at its VM
// that began after it had ended.
func (p *pass) holdTask(m *TaskMatch, vp *pair, about []Finding) {
	if vp == nil { // nobody has such a VM: what was to be deleted is gone
		m.Outcome = TaskWaiting
		if m.Action == ActionDelete {
			m.Outcome = TaskAgrees
		}
		return
	}
	shows, verdict := "", Confirmed
	switch {
	case vp.seen == nil && len(vp.Uncovered) > 0, vp.seen == nil && !p.lookedSince(vp, m.Ended),
		vp.seen != nil && !(vp.seen.lead.fresh && vp.seen.lead.doc.Complete && since(vp.seen.lead.doc, m.Ended)):
		m.Outcome = TaskWaiting
		return
	case vp.seen == nil:
		if m.Action != ActionDelete && !(m.Action == ActionStop && p.home(vp.Intended) != nil && p.home(vp.Intended).forgets()) {
			shows = "nowhere"
		}
	default:
		shows, verdict = p.shownAfter(m, vp, about)
	}
	if shows == "" {
		m.Outcome = TaskAgrees
		return
	}
	m.Outcome = TaskDiffers
	task := m.Task
	f := Finding{
		Kind: VMTask, Field: "task", Intended: string(m.Action) + " succeeded", Observed: shows, Verdict: verdict, Task: &task,
		Message:     fmt.Sprintf("Maskin says that its task to %s %s succeeded at %s, and it is %s", m.Action, vp.name(), clock(m.Ended), shows),
		Evidence:    []string{"task " + m.ID},
		Provenance:  vp.provenance("vm.state"),
		Resolutions: []Resolution{{Side: "runtime", How: "person", Do: "see what Maskin's task did on the host, and have it done again"}, {Side: "maskin", Do: "see why the task was told to have succeeded"}},
	}
	m.Finding = p.find(vp.finding(f))
	for i := range about { // what the task left is its doing
		if m.touches(&about[i]) {
			p.blame(about[i].ID, m.Finding)
		}
	}
}

// shownAfter says in what the VM is not as the task should have left it; "" where
// it is. What an action means for a VM's state is known whatever Sentral says; of
// the others, Sentral's record tells what was meant, if it was changed already.
func (p *pass) shownAfter(m *TaskMatch, vp *pair, about []Finding) (shows string, verdict Verdict) {
	state := vp.seen.lead.vm.State
	known := state != "" && state != inventory.StateUnknown
	switch m.Action {
	case ActionCreate:
		return "", Confirmed
	case ActionStart, ActionReboot:
		if known && !state.Active() {
			return string(state), Confirmed
		}
		return "", Confirmed
	case ActionStop:
		if known && state.Active() {
			return string(state), Confirmed
		}
		return "", Confirmed
	case ActionDelete:
		if vp.Match != nil && vp.Match.Weak { // its name and MACs may have been given away
			return "", Confirmed
		}
		return "still on " + vp.seen.lead.host.key(), Confirmed
	}
	var differ []string
	for i := range about {
		if f := &about[i]; m.touches(f) {
			differ = append(differ, f.Message)
		}
	}
	if len(differ) == 0 {
		return "", Confirmed
	}
	return "not as Sentral says: " + strings.Join(differ[:min(len(differ), 3)], "; "), Potential
}

// since says whether a document's pass began after a time: what it shows was so
// later. Only our own clock is asked.
func since(doc *source, t time.Time) bool { return doc.Received.Add(-doc.Took).After(t) }

// lookedSince says whether every runtime of the VM's host, or of its site where
// it is bound to none, was passed over after a time.
func (p *pass) lookedSince(vp *pair, t time.Time) bool {
	looked := false
	for hp := range p.book.site(vp.Intended.Site).hosts {
		if hp.view == nil || (vp.Intended.Host != "" && hp.key() != vp.Intended.Host) {
			continue
		}
		for _, doc := range hp.view.docs {
			if !isRuntime(doc.Source) || doc.Outcome == inventory.OutcomeAbsent {
				continue
			}
			if !since(doc, t) {
				return false
			}
			looked = true
		}
	}
	return looked
}
