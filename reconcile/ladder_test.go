package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/dataverket/avstem/reconcile/internal/seed"
)

// words makes a rung of keys that are written as words.
func words(name string, intended, observed []string) rung {
	return rung{name: name,
		intended: func(i int) []string { return strings.Fields(intended[i]) },
		observed: func(o int) []string { return strings.Fields(observed[o]) }}
}

func climbText(c climbed) string {
	var lines []string
	for _, m := range c.pairs {
		lines = append(lines, fmt.Sprintf("%s %d=%d", m.rung.name, m.intended, m.observed))
	}
	for _, t := range c.ties {
		lines = append(lines, fmt.Sprintf("%s %d~%d", t.rung.name, t.intended, t.observed))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestClimb(t *testing.T) {
	for name, c := range map[string]struct {
		rungs []rung
		nI    int
		nO    int
		want  string
	}{
		"nothing": {want: ""},
		"an earlier rung decides": {nI: 2, nO: 2, want: "a 0=1\nb 1=0", rungs: []rung{
			words("a", []string{"x", ""}, []string{"", "x"}),
			words("b", []string{"y", "y"}, []string{"y", "y"}),
		}},
		"a tie is out of later rungs": {nI: 1, nO: 2, want: "a [0]~[0 1]", rungs: []rung{
			words("a", []string{"x"}, []string{"x", "x"}),
			words("b", []string{"y"}, []string{"y", ""}),
		}},
		"two keys in common are one candidate": {nI: 1, nO: 1, want: "a 0=0", rungs: []rung{
			words("a", []string{"x y"}, []string{"y x"}),
		}},
		"a chain is one tie, beside a pair": {nI: 3, nO: 3, want: "a 2=1\na [0 1]~[0 2]", rungs: []rung{
			words("a", []string{"x y", "y", "z"}, []string{"x", "z", "y"}),
		}},
		"the owner has it, and the copy climbs on": {nI: 2, nO: 2, want: "a 0=1\nb 1=0", rungs: []rung{
			{name: "a", intended: words("", []string{"x", ""}, nil).intended, observed: words("", nil, []string{"x", "x"}).observed,
				owns: func(_, o int) bool { return o == 1 }},
			words("b", []string{"y", "y"}, []string{"y", "y"}),
		}},
		"the owned has it, from the other side": {nI: 2, nO: 1, want: "a 1=0", rungs: []rung{
			{name: "a", intended: words("", []string{"x", "x"}, nil).intended, observed: words("", nil, []string{"x"}).observed,
				owns: func(i, _ int) bool { return i == 1 }},
		}},
		"two owners are a tie": {nI: 1, nO: 2, want: "a [0]~[0 1]", rungs: []rung{
			{name: "a", intended: words("", []string{"x"}, nil).intended, observed: words("", nil, []string{"x", "x"}).observed,
				owns: func(_, _ int) bool { return true }},
		}},
		"what isn't allowed is no candidate": {nI: 1, nO: 2, want: "a 0=0", rungs: []rung{
			{name: "a", intended: words("", []string{"x"}, nil).intended, observed: words("", nil, []string{"x", "x"}).observed,
				allowed: func(_, o int) bool { return o == 0 }},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, climbText(climb(c.nI, c.nO, c.rungs))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestClimbMatchesEachOnce: nothing is in two pairs or ties, and nothing that
// shares a key on a rung with somebody is left over by that rung.
func TestClimbMatchesEachOnce(t *testing.T) {
	keys := rapid.SliceOfN(rapid.SampledFrom([]string{"", "a", "b", "a b", "b c", "d"}), 0, 6)
	seed.Fix(t)
	rapid.Check(t, func(rt *rapid.T) {
		want, have := keys.Draw(rt, "intended"), keys.Draw(rt, "observed")
		r := words("r", want, have)
		c := climb(len(want), len(have), []rung{r})
		i, o := map[int]int{}, map[int]int{}
		for _, m := range c.pairs {
			i[m.intended]++
			o[m.observed]++
		}
		for _, tie := range c.ties {
			if len(tie.intended)+len(tie.observed) < 3 {
				rt.Fatalf("a tie of two: %v", tie)
			}
			for _, n := range tie.intended {
				i[n]++
			}
			for _, n := range tie.observed {
				o[n]++
			}
		}
		for a := range want {
			linked := slices.ContainsFunc(have, func(h string) bool { return shareKey(strings.Fields(want[a]), strings.Fields(h)) })
			if (i[a] == 1) != linked || i[a] > 1 {
				rt.Fatalf("intended %d (%q) is in %d groups", a, want[a], i[a])
			}
		}
		for b := range have {
			if o[b] > 1 {
				rt.Fatalf("observed %d is in %d groups", b, o[b])
			}
		}
	})
}

func TestPolicyStepEnds(t *testing.T) {
	for _, c := range []struct{ d, limit, want int64 }{
		{45, 30, 30}, {60, 30, 60}, {1<<63 - 1, 30, 30 << 58}, {5, 0, 0}, {10, 30, 30},
	} {
		if got := policyStep(time.Duration(c.d), time.Duration(c.limit)); got != time.Duration(c.want) {
			t.Errorf("policyStep(%d, %d) = %d, want %d", c.d, c.limit, got, c.want)
		}
	}
}
