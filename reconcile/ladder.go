package reconcile

import (
	"slices"
)

// rung is one mark of identity by which both sides may be matched.
type rung struct {
	name string
	weak bool // it can be copied or reused
	// intended and observed give the keys of one thing; sharing one makes a
	// candidate.
	intended func(i int) []string
	observed func(o int) []string
	// allowed says whether a candidate may be taken at all; nil means always.
	allowed func(i, o int) bool
	// owns settles a tie: it says whether the observed thing proves by another
	// mark that it is the intended one. Nil means that nothing does.
	owns func(i, o int) bool
}

// climbed is what the ladder came to. Indexes are those of the two sides.
type climbed struct {
	pairs []matched
	ties  []tie
}

type matched struct {
	intended, observed int
	rung               *rung
}

// tie is a group of things that one rung can't tell apart.
type tie struct {
	rung     *rung
	intended []int
	observed []int
}

// edge says that two things could be one.
type edge struct{ intended, observed int }

// climb matches nI intended things with nO observed ones, rung by rung. A thing
// that is matched is out of the later rungs, and so is one that is tied: an
// earlier mark that names several is an answer, and a later one must not guess.
func climb(nI, nO int, rungs []rung) climbed {
	var result climbed
	doneI, doneO := make([]bool, nI), make([]bool, nO)
	for r := range rungs {
		rung := &rungs[r]
		edges := settle(rung, candidates(rung, doneI, doneO))
		lone, tangled := untangle(edges, nI, nO)
		for _, e := range lone {
			doneI[e.intended], doneO[e.observed] = true, true
			result.pairs = append(result.pairs, matched{e.intended, e.observed, rung})
		}
		for _, group := range components(tangled) {
			for _, i := range group.intended {
				doneI[i] = true
			}
			for _, o := range group.observed {
				doneO[o] = true
			}
			group.rung = rung
			result.ties = append(result.ties, group)
		}
	}
	return result
}

// candidates lists what could be one by one rung, in the order of the intended
// side.
func candidates(r *rung, doneI, doneO []bool) []edge {
	type entry struct{ observed, next int }
	var entries []entry // chains of those that have one key, each after its next
	first := map[string]int{}
	for o := range doneO {
		if doneO[o] {
			continue
		}
		for _, key := range r.observed(o) {
			next, shared := first[key]
			if !shared {
				next = -1
			}
			entries = append(entries, entry{o, next})
			first[key] = len(entries) - 1
		}
	}
	if len(entries) == 0 {
		return nil
	}
	edges := make([]edge, 0, len(entries))
	takenBy := make([]int, len(doneO)) // the last intended thing, counted from 1
	for i := range doneI {
		if doneI[i] {
			continue
		}
		for _, key := range r.intended(i) {
			at, found := first[key]
			for ; found && at >= 0; at = entries[at].next {
				o := entries[at].observed
				if takenBy[o] != i+1 && (r.allowed == nil || r.allowed(i, o)) {
					takenBy[o] = i + 1
					edges = append(edges, edge{i, o})
				}
			}
		}
	}
	return edges
}

// settle keeps the one candidate that owns the mark by another proof, and
// leaves those that merely carry a copy of it to the later rungs. It does so from
// either side.
func settle(r *rung, edges []edge) []edge {
	if r.owns == nil {
		return edges
	}
	type tally struct{ all, owners int }
	ofI, ofO := map[int]tally{}, map[int]tally{}
	shared := false
	for _, e := range edges {
		i, o := ofI[e.intended], ofO[e.observed]
		i.all++
		o.all++
		if r.owns(e.intended, e.observed) {
			i.owners++
			o.owners++
		}
		ofI[e.intended], ofO[e.observed] = i, o
		shared = shared || i.all > 1 || o.all > 1
	}
	if !shared {
		return edges
	}
	return slices.DeleteFunc(edges, func(e edge) bool {
		return (ofI[e.intended].owners == 1 || ofO[e.observed].owners == 1) && !r.owns(e.intended, e.observed)
	})
}

// untangle parts the candidates that are each other's only one from those that
// are not.
func untangle(edges []edge, nI, nO int) (lone, tangled []edge) {
	if len(edges) == 0 {
		return nil, nil
	}
	degreeI, degreeO := make([]int, nI), make([]int, nO)
	lone = make([]edge, 0, len(edges))
	for _, e := range edges {
		degreeI[e.intended]++
		degreeO[e.observed]++
	}
	for _, e := range edges {
		if degreeI[e.intended] == 1 && degreeO[e.observed] == 1 {
			lone = append(lone, e)
		} else {
			tangled = append(tangled, e)
		}
	}
	return lone, tangled
}

// components splits the candidates into groups that share none, in the order of
// the intended side.
func components(edges []edge) []tie {
	toO, toI := map[int][]int{}, map[int][]int{}
	for _, e := range edges {
		toO[e.intended] = append(toO[e.intended], e.observed)
		toI[e.observed] = append(toI[e.observed], e.intended)
	}
	var groups []tie
	seenI, seenO := map[int]bool{}, map[int]bool{}
	for _, e := range edges {
		if seenI[e.intended] {
			continue
		}
		var group tie
		seenI[e.intended] = true
		queue := []int{e.intended}
		for len(queue) > 0 {
			i := queue[0]
			queue = queue[1:]
			group.intended = append(group.intended, i)
			for _, o := range toO[i] {
				if seenO[o] {
					continue
				}
				seenO[o] = true
				group.observed = append(group.observed, o)
				for _, other := range toI[o] {
					if !seenI[other] {
						seenI[other] = true
						queue = append(queue, other)
					}
				}
			}
		}
		slices.Sort(group.intended)
		slices.Sort(group.observed)
		groups = append(groups, group)
	}
	return groups
}
