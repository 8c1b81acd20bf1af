package replay

import (
	"cmp"
	"slices"
	"time"

	"github.com/dataverket/avstem/reconcile"
)

// near is how far apart a step of the replay and one of the reconciler's may be that
// came to the same: the one's tick, what the other one needs to hear of it, and how
// late it looks on a busy machine.
const near = 5 * time.Second

// hold holds the replay by the policy of then against what was told then.
func (f *Fidelity) hold(out *Outcome, takes func(*reconcile.Finding) bool) {
	s, r := out.sides[0], out.Recorded
	ids := map[string]bool{}
	for _, told := range []map[telling][]time.Time{s.told, r.told} {
		for key := range told {
			ids[key.id] = true
		}
	}
	for id := range ids {
		about := r.about(id)
		if l := s.lives[id]; about == nil && l != nil {
			about = &l.finding
		}
		if about == nil || !takes(about) {
			continue
		}
		var missing, extra [2][]time.Time
		actions := [2]reconcile.Change{reconcile.Opened, reconcile.Closed}
		for i, action := range actions {
			then := within(r.told[telling{id, action}], out.Until)
			missing[i], extra[i] = unpaired(then, within(s.told[telling{id, action}], out.Until))
			f.Told, f.Same = f.Told+len(then), f.Same+len(then)
		}
		// What was open for no longer than that may have fallen between two steps.
		missing[0], missing[1] = unpaired(missing[0], missing[1])
		extra[0], extra[1] = unpaired(extra[0], extra[1])
		atAnEnd := func(at time.Time) bool { return at.Sub(out.Since) < near || out.Until.Sub(at) < near }
		for i, action := range actions {
			missing[i], extra[i] = slices.DeleteFunc(missing[i], atAnEnd), slices.DeleteFunc(extra[i], atAnEnd)
			f.Same -= len(missing[i])
			for _, at := range missing[i] {
				f.Missing = append(f.Missing, Telling{id, about.Kind, about.Subject.Name, action, at})
			}
			for _, at := range extra[i] {
				f.Extra = append(f.Extra, Telling{id, about.Kind, about.Subject.Name, action, at})
			}
		}
	}
	for _, all := range [][]Telling{f.Missing, f.Extra} {
		slices.SortFunc(all, func(a, b Telling) int {
			return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Action, b.Action))
		})
	}
}

// about is the finding that something was told of; nil where nothing was.
func (r *Recorded) about(id string) *reconcile.Finding {
	if e, has := r.first[id]; has {
		return &e.Finding
	}
	return nil
}

// within keeps what was before the end: what the replay couldn't come to is no part
// of it.
func within(all []time.Time, until time.Time) []time.Time {
	return slices.DeleteFunc(slices.Clone(all), func(at time.Time) bool { return at.After(until) })
}

// unpaired are those times of either list that have none near in the other one, both
// in order.
func unpaired(a, b []time.Time) (onlyA, onlyB []time.Time) {
	for len(a) > 0 && len(b) > 0 {
		switch apart := a[0].Sub(b[0]); {
		case apart < -near:
			onlyA, a = append(onlyA, a[0]), a[1:]
		case apart > near:
			onlyB, b = append(onlyB, b[0]), b[1:]
		default:
			a, b = a[1:], b[1:]
		}
	}
	return append(onlyA, a...), append(onlyB, b...)
}
