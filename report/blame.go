package report

import (
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/history"
	"github.com/dataverket/avstem/reconcile"
)

// Blamed is the answer to who made a value what it is.
type Blamed struct {
	Thing  history.Thing   `json:"thing"`
	At     time.Time       `json:"at"`
	Values []history.Blame `json:"values"`
	Reach  history.Reach   `json:"reach"`
	// Record is Sentral's record of it now, where that can't be used.
	Record *reconcile.UnusableRecord `json:"unusableRecord,omitempty"`
}

// Blame writes for people when each value became what it is, and by what.
func Blame(w io.Writer, b *Blamed, o Options) error {
	p := newPage(&o, o.Now)
	names := b.Reach.Names()
	for i := range b.Values {
		v := &b.Values[i]
		title := thingWords(&b.Thing) + " · " + printable(v.Path)
		if v.Agrees && b.Record == nil {
			title += " · both sides agree"
		}
		p.head(title)
		_, _, leaf := splitPath(v.Path)
		if b.Record != nil {
			p.unusable(b.Record)
		}
		if b.Record == nil || v.Intended != nil {
			p.blamed("Sentral", v.Intended, leaf, names)
		}
		p.blamed("host", v.Observed, leaf, names)
	}
	_, err := io.WriteString(w, p.String())
	return err
}

// BlameJSON writes the same for programs.
func BlameJSON(w io.Writer, b *Blamed) error { return writeJSON(w, b) }

// blamed says of one side what the value is and since when.
func (p *page) blamed(side string, v *history.Value, leaf string, names map[uuid.UUID]string) {
	if v == nil {
		p.fact(side, "says nothing of it")
		return
	}
	value := text(v.Value, leaf)
	switch {
	case v.Changed != nil:
		was, is := sides(v.Changed.Was, v.Value, leaf)
		words := is + ", since " + second(v.Changed.At) + " (" + ago(v.Changed.At, p.now) + ")"
		if v.Changed.Was != nil {
			words += ", before that " + was
			if !v.Changed.LastWas.IsZero() {
				words += " (last seen so at " + second(v.Changed.LastWas) + ")"
			}
		}
		p.fact(side, words)
		p.fact("", causeWords(&v.Changed.Cause, names))
		if at := v.Changed.Cause.ObservedAt; !at.IsZero() {
			p.fact("", "seen at "+second(at)+" by the host's clock")
		}
	case v.Known != nil:
		p.fact(side, value+", for as long as is known: since "+second(v.Known.At)+" ("+ago(v.Known.At, p.now)+") at least")
		p.fact("", causeWords(v.Known, names))
	}
}
