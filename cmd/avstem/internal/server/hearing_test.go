package server

import (
	"fmt"
	"testing"
	"time"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/reconcile"
)

// A host whose clock is an hour behind is judged like any other, and the clock is
// found; so is a document of which it speaks and that isn't there.
func TestWrongClockAndLostDocument(t *testing.T) {
	r := newRig(t)
	r.skew = -time.Hour
	r.shows(2)
	r.reconciler(nil)
	found := func(kind reconcile.Kind, so func(*reconcile.Finding) bool) func() error {
		return func() error {
			findings, lines, err := r.stored()
			if err != nil {
				return err
			}
			for _, f := range findings {
				if f.Kind == kind && so(&f) {
					return nil
				}
			}
			return fmt.Errorf("there are %v", lines)
		}
	}
	r.until("the clock is found", found(reconcile.ObserveClock, func(f *reconcile.Finding) bool {
		return f.State != reconcile.Resolved && f.Observed == "at least 42m40s behind"
	}))
	r.shows(4) // newer by (epoch, gen), whatever the clock says
	r.until("the newer document is judged", found(reconcile.VMVCPUs, func(f *reconcile.Finding) bool { return fmt.Sprint(f.Observed) == "4" }))
	r.lost = []bus.SourceState{{Source: "network", Gen: 7, Digest: "sha256:lost"}}
	r.until("the gap is found", found(reconcile.ObserveGap, func(f *reconcile.Finding) bool {
		return f.Field == "network" && f.State != reconcile.Resolved
	}))
}
