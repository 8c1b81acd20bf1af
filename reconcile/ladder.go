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

// climb matches nI intended things with nO observed ones, rung by rung. A thing
// that is matched is out of the later rungs, and so is one that is tied: an
// earlier mark that names several is an answer, and a later one must not guess.
func climb(nI, nO int, rungs []rung) climbed {
	var result climbed
	doneI, doneO := make([]bool, nI), make([]bool, nO)
	for r := range rungs {
		rung := &rungs[r]
		edges := candidates(rung, doneI, doneO)
		edges = settle(rung, edges)
		for _, group := range components(edges) {
			for _, i := range group.intended {
				doneI[i] = true
			}
			for _, o := range group.observed {
				doneO[o] = true
			}
			if len(group.intended) == 1 && len(group.observed) == 1 {
				result.pairs = append(result.pairs, matched{group.intended[0], group.observed[0], rung})
				continue
			}
			group.rung = rung
			result.ties = append(result.ties, group)
		}
	}
	return result
}

// candidates lists the observed candidates of each intended thing on one rung.
func candidates(r *rung, doneI, doneO []bool) map[int][]int {
	byKey := map[string][]int{}
	for o := range doneO {
		if doneO[o] {
			continue
		}
		for _, key := range r.observed(o) {
			byKey[key] = append(byKey[key], o)
		}
	}
	edges := map[int][]int{}
	for i := range doneI {
		if doneI[i] {
			continue
		}
		for _, key := range r.intended(i) {
			for _, o := range byKey[key] {
				if slices.Contains(edges[i], o) || (r.allowed != nil && !r.allowed(i, o)) {
					continue
				}
				edges[i] = append(edges[i], o)
			}
		}
	}
	return edges
}

// settle keeps the one candidate that owns the mark by another proof, and
// leaves those that merely carry a copy of it to the later rungs.
func settle(r *rung, edges map[int][]int) map[int][]int {
	if r.owns == nil {
		return edges
	}
	for i, observed := range edges {
		if len(observed) < 2 {
			continue
		}
		owners := slices.DeleteFunc(slices.Clone(observed), func(o int) bool { return !r.owns(i, o) })
		if len(owners) == 1 {
			edges[i] = owners
		}
	}
	return edges
}

// components splits the candidates into groups that share none, in the order of
// the intended side.
func components(edges map[int][]int) []tie {
	back := map[int][]int{}
	var order []int
	for i, observed := range edges {
		order = append(order, i)
		for _, o := range observed {
			back[o] = append(back[o], i)
		}
	}
	slices.Sort(order)
	var groups []tie
	seenI, seenO := map[int]bool{}, map[int]bool{}
	for _, start := range order {
		if seenI[start] || len(edges[start]) == 0 {
			continue
		}
		var group tie
		queue := []int{start}
		seenI[start] = true
		for len(queue) > 0 {
			i := queue[0]
			queue = queue[1:]
			group.intended = append(group.intended, i)
			for _, o := range edges[i] {
				if seenO[o] {
					continue
				}
				seenO[o] = true
				group.observed = append(group.observed, o)
				for _, other := range back[o] {
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
