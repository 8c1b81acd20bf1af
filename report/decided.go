package report

import (
	"time"

	"github.com/dataverket/avstem/reconcile"
)

// decided shows what people have decided about a finding, and which task of
// Maskin's has to do with it.
func (p *page) decided(f *reconcile.Finding) {
	if a := f.Acknowledged; a != nil {
		p.para(4, "acknowledged:", sgrFaint, "by "+printable(a.By)+" until "+minuteOf(a.Until)+": "+printable(a.Reason))
	}
	if s := f.Suppression; s != nil {
		words := "by " + printable(s.ID) + " of " + printable(s.Owner) + " until " + minuteOf(s.Expires) + ": " + printable(s.Reason)
		lead := "suppressed:"
		if s.Lapsed != "" {
			lead, words = "not suppressed:", words+"; "+printable(s.Lapsed)
		}
		p.para(4, lead, sgrFaint, words)
	}
	if !f.Gone.IsZero() {
		p.para(4, "comes and goes:", sgrFaint, "not found since "+minuteOf(f.Gone))
	}
	if t := f.Task; t != nil && f.Kind != reconcile.VMTask {
		p.para(4, "waits for:", sgrFaint, "Maskin's task to "+printable(string(t.Action))+" it ("+printable(t.ID)+")")
	}
}

// tasks shows what Maskin does with a VM.
func (p *page) tasks(all []reconcile.TaskMatch) {
	if len(all) == 0 {
		return
	}
	p.head("Maskin's tasks")
	for i := range all {
		t := &all[i]
		words := "began " + ago(t.Began, p.now)
		switch t.Outcome {
		case reconcile.TaskInFlight:
			if !t.Deadline.IsZero() {
				words += ", to end by " + minuteOf(t.Deadline)
			}
		case reconcile.TaskLate:
			words += ", and was to end by " + minuteOf(t.Deadline)
		default:
			words += ", ended " + ago(t.Ended, p.now)
		}
		switch t.Outcome {
		case reconcile.TaskWaiting:
			words = "succeeded, as Maskin says; the VM was not seen whole since; " + words
		case reconcile.TaskAgrees:
			words = "succeeded; " + words
		case reconcile.TaskDiffers:
			words = "succeeded, as Maskin says, and the runtime shows otherwise; " + words
		default:
			words = printable(t.Outcome) + "; " + words
		}
		p.para(2, pad(printable(string(t.Action)), factWidth), "", words+" · "+printable(t.ID))
	}
}

func minuteOf(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
