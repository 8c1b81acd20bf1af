package evaluate

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

func TestCriteriaHoldTogether(t *testing.T) {
	c, err := MASKIN014()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Dimensions) != 5 {
		t.Errorf("%d dimensions, and the record has five", len(c.Dimensions))
	}
	sections := map[string]int{}
	for _, r := range c.Requirements {
		sections[r.Section]++
	}
	// As many as the record lists in each of its sections.
	want := map[string]int{
		"mandatory platform requirements": 6, "inventory and tenancy": 4 + 1, "networking": 4, "images and provisioning": 5,
		"several datacenters": 4, "storage": 4, "operation": 5, "integration": 4, "evaluation model": 4,
	}
	if diff := cmp.Diff(want, sections); diff != "" {
		t.Errorf("requirements by section (-want +have):\n%s", diff)
	}
}

func TestCriteriaWithMistakesAreRefused(t *testing.T) {
	const head = "dimensions: [{id: d, name: D}]\nrequirements:\n  - id: r\n    dimension: d\n    wants: w\n    checks:\n      - "
	for name, test := range map[string]struct{ text, want string }{
		"no checks":         {"dimensions: [{id: d}]\nrequirements: [{id: r, dimension: d}]", "it has no checks"},
		"no such dimension": {"dimensions: [{id: d}]\nrequirements: [{id: r, dimension: e, checks: [{id: a, attested: x}]}]", `no dimension "e"`},
		"two kinds":         {head + "{id: a, fleet: paths, attested: x, levels: [0, 0, 0]}", "exactly one"},
		"unknown number":    {head + "{id: a, fleet: luck, levels: [0, 0, 0]}", `no number "luck"`},
		"unknown field":     {head + "{id: a, fleet: 'seen:vm.luck', levels: [0, 0, 0]}", `"vm.luck" is not counted`},
		"falling levels":    {head + "{id: a, fleet: paths, levels: [1, 0.5, 0]}", "rising levels"},
		"unknown step":      {head + "{id: a, probe: {aspect: worked, steps: [dance]}, levels: [0, 0, 0]}", `no probe step "dance"`},
		"unknown aspect":    {head + "{id: a, probe: {aspect: liked, steps: [start]}, levels: [0, 0, 0]}", `no aspect "liked"`},
		"unknown thing":     {head + "{id: a, probe: {aspect: 'held:hope', steps: [start]}, levels: [0, 0, 0]}", `"hope" is kept`},
		"unknown key":       {head + "{id: a, attested: x, mood: good}", "mood"},
	} {
		if _, err := parseCriteria([]byte(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q in it", name, err, test.want)
		}
	}
}

// small is a record of two dimensions, one of each kind of check.
const small = `
record: R
dimensions: [{id: a, name: A}, {id: b, name: B}]
requirements:
  - {id: seen, dimension: a, wants: w, checks: [{id: state, fleet: "seen:vm.state", levels: [0.5, 0.9, 1]}]}
  - {id: done, dimension: a, wants: w, checks: [{id: steps, probe: {aspect: worked, steps: [create, start]}, levels: [0.5, 1, 1]}, {id: uuid, probe: {aspect: "held:uuid", steps: [start]}, levels: [1, 1, 1]}]}
  - {id: cost, dimension: b, wants: w, checks: [{id: attested, attested: what it costs}]}
  - {id: nice, dimension: b, wants: w, minimum: 1, checks: [{id: attested, attested: how nice it is}]}
`

func numbersOf(platform string, have, of int) Numbers {
	return Numbers{Platform: platform, Runtime: "x", VMs: of, Hosts: Share{1, 1}, Fields: []FieldShare{{Field: "vm.state", Needed: true, Share: Share{have, of},
		Gaps: []Gap{{Why: Refused, Count: of - have, Note: "permission denied", Remedy: "allow it"}}}}}
}

func probeOf(platform string, steps ...ProbeStep) ProbeFile {
	return ProbeFile{Name: platform + ".json", Run: &ProbeRun{Schema: ProbeSchema, Platform: platform, At: now, Limit: time.Second, Steps: steps}}
}

func attest(platform, requirement string, level Level, date string) Attestation {
	return Attestation{Platform: platform, Requirement: requirement, Level: level, Says: "it is so", Source: "doc", Date: date, By: "k", Where: "a.yaml:3"}
}

func TestScore(t *testing.T) {
	c, err := parseCriteria([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	worked := ProbeStep{Step: "create", Outcome: ProbeWorked}
	started := ProbeStep{Step: "start", Outcome: ProbeWorked, Held: map[string]bool{"uuid": true}}
	good := Sources{
		Numbers: []Numbers{numbersOf("p", 10, 10)}, NumbersAt: now, Probes: []ProbeFile{probeOf("p", worked, started)},
		Attested: []Attestation{attest("p", "cost", 2, "2026-10-01"), attest("p", "nice", 1, "2026-10-01")},
	}
	change := func(f func(*Sources)) *Sources {
		s := good
		f(&s)
		return &s
	}
	for name, test := range map[string]struct {
		sources *Sources
		want    string // by dimension and as a whole
		levels  string
		lift    []string
	}{
		"all there":    {&good, "acceptable acceptable acceptable", "3 3 2 1", nil},
		"one VM short": {change(func(s *Sources) { s.Numbers = []Numbers{numbersOf("p", 8, 10)} }), "not acceptable acceptable not acceptable", "1 3 2 1", []string{"bring the share on which vm.state is seen from 80 % to 90 %: vm.state is lacking on 2 of 10 (refused: permission denied); allow it"}},
		"no probe":     {change(func(s *Sources) { s.Probes = nil }), "unknown acceptable unknown", "3 – 2 1", []string{"run avstem-probe on a lab host with p, and give its result with --probe"}},
		"a failed step": {change(func(s *Sources) {
			s.Probes = []ProbeFile{probeOf("p", worked, ProbeStep{Step: "start", Outcome: ProbeFailed, Error: "no memory"})}
		}), "not acceptable acceptable not acceptable", "3 1 2 1", []string{"make it true of start that it works without a person: no memory", "let the probe get through start (see p.json)"}},
		"half a probe": {change(func(s *Sources) { s.Probes = []ProbeFile{probeOf("p", worked)} }), "unknown acceptable unknown", "3 – 2 1", []string{"let the probe get through start (see p.json)"}},
		"no such step": {change(func(s *Sources) {
			s.Probes = []ProbeFile{probeOf("p", worked, ProbeStep{Step: "start", Outcome: ProbeUnsupported})}
		}), "not acceptable acceptable not acceptable", "3 1 2 1", []string{"make it true of start that it works without a person", "find another way to show it: w"}},
		"not held": {change(func(s *Sources) {
			s.Probes = []ProbeFile{probeOf("p", worked, ProbeStep{Step: "start", Outcome: ProbeWorked, Held: map[string]bool{"uuid": false}})}
		}), "not acceptable acceptable not acceptable", "3 0 2 1", []string{"make it true of start that the UUID stays what it was"}},
		"nothing attested":  {change(func(s *Sources) { s.Attested = nil }), "acceptable unknown unknown", "3 3 – –", []string{"attest cost: what it costs", "attest nice: how nice it is"}},
		"attested long ago": {change(func(s *Sources) { s.Attested = []Attestation{attest("p", "cost", 3, "2025-01-01"), good.Attested[1]} }), "acceptable unknown unknown", "3 3 – 1", []string{"attest cost: what it costs, anew"}},
		"attested as bad":   {change(func(s *Sources) { s.Attested = []Attestation{attest("p", "cost", 1, "2026-10-01"), good.Attested[1]} }), "acceptable not acceptable not acceptable", "3 3 1 1", []string{"improve cost, which was attested at level 1: it is so"}},
		"the newest counts": {change(func(s *Sources) { s.Attested = append(good.Attested, attest("p", "cost", 0, "2026-11-01")) }), "acceptable not acceptable not acceptable", "3 3 0 1", []string{"improve cost, which was attested at level 0: it is so"}},
		"only containers":   {change(func(s *Sources) { n := numbersOf("p", 10, 10); n.Type = "container"; s.Numbers = []Numbers{n} }), "unknown acceptable unknown", "– 3 2 1", []string{"let a VM run on p"}},
		"the worse runtime": {change(func(s *Sources) { s.Numbers = []Numbers{numbersOf("p", 10, 10), numbersOf("p", 1, 10)} }), "not acceptable acceptable not acceptable", "0 3 2 1", []string{"bring the share on which vm.state is seen from 10 % to 90 %: vm.state is lacking on 9 of 10 (refused: permission denied); allow it"}},
		"seen twice": {change(func(s *Sources) {
			whole, again := numbersOf("p", 10, 10), numbersOf("p", 1, 10) // a process shows less of a VM than the daemon that started it
			whole.Identity.Durable = Share{9, 9}
			s.Numbers = []Numbers{again, whole}
		}), "acceptable acceptable acceptable", "3 3 2 1", nil},
		"two runtimes that both lead": {change(func(s *Sources) {
			whole, other := numbersOf("p", 10, 10), numbersOf("p", 1, 10)
			whole.Identity.Durable, other.Identity.Unknown = Share{9, 9}, 1
			s.Numbers = []Numbers{other, whole}
		}), "not acceptable acceptable not acceptable", "0 3 2 1", []string{"bring the share on which vm.state is seen from 10 % to 90 %: vm.state is lacking on 9 of 10 (refused: permission denied); allow it"}},
		"another platform's": {change(func(s *Sources) { s.Attested = []Attestation{attest("q", "cost", 3, "2026-10-01"), good.Attested[1]} }), "acceptable unknown unknown", "3 3 – 1", []string{"attest cost: what it costs"}},
	} {
		t.Run(name, func(t *testing.T) {
			card := Score(c, test.sources, []string{"p"}, now)
			p := &card.Platforms[0]
			var gates, levels, lift []string
			for _, d := range p.Dimensions {
				gates = append(gates, string(d.Gate))
				for _, r := range d.Requirements {
					level := "–"
					if r.Level != nil {
						level = string(rune('0' + *r.Level))
					}
					levels = append(levels, level)
				}
			}
			gates = append(gates, string(p.Gate))
			for _, l := range p.Lift {
				lift = append(lift, l.Do)
			}
			if got := strings.Join(gates, " "); got != test.want {
				t.Errorf("gates %q, want %q", got, test.want)
			}
			if got := strings.Join(levels, " "); got != test.levels {
				t.Errorf("levels %q, want %q", got, test.levels)
			}
			if diff := cmp.Diff(test.lift, lift); diff != "" {
				t.Errorf("what would lift it (-want +have):\n%s", diff)
			}
			if p.Selectable != (test.want == "acceptable acceptable acceptable") {
				t.Errorf("selectable is %v", p.Selectable)
			}
		})
	}
}

// Laws over any evidence: a score always has a link to what it rests on, a gate
// that fails or is unknown is never hidden by the ones around it, and whatever
// isn't selectable says what would make it so.
func TestNoScoreWithoutEvidence(t *testing.T) {
	c, err := MASKIN014()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		var s Sources
		var documents = rapid.IntRange(0, 10).Draw(t, "of")
		if documents > 0 {
			s.Numbers = []Numbers{numbersOf("p", rapid.IntRange(0, documents).Draw(t, "have"), documents)}
		}
		s.NumbersAt = now
		if rapid.Bool().Draw(t, "probed") {
			run := &ProbeRun{ID: uuid.New(), Platform: "p", At: now, Limit: time.Second}
			for _, step := range ProbeSteps {
				run.Steps = append(run.Steps, ProbeStep{Step: step,
					Outcome: rapid.SampledFrom([]ProbeOutcome{ProbeWorked, ProbeFailed, ProbeUnsupported, ProbeNotTried}).Draw(t, step),
					Held:    map[string]bool{"uuid": rapid.Bool().Draw(t, "held")}})
			}
			s.Probes = []ProbeFile{{Name: "p.json", Run: run}}
		}
		for _, r := range c.Requirements {
			for _, check := range r.Checks {
				if check.Attested != "" && rapid.Bool().Draw(t, r.ID) {
					s.Attested = append(s.Attested, attest("p", r.ID, Level(rapid.IntRange(0, 3).Draw(t, "level")), "2026-10-01"))
				}
			}
		}
		card := Score(c, &s, []string{"p"}, now)
		p := &card.Platforms[0]
		all := true
		for _, d := range p.Dimensions {
			met := true
			for _, r := range d.Requirements {
				met = met && r.Gate == Met
				for _, check := range r.Checks {
					if (check.Level != nil) != (len(check.Evidence) > 0) || (check.Level == nil) != (check.Missing != "") {
						t.Errorf("%s %s: level %v with evidence %v and missing %q", r.ID, check.ID, check.Level, check.Evidence, check.Missing)
					}
					for _, e := range check.Evidence {
						if e.Link == "" || e.At == "" || e.Says == "" {
							t.Errorf("%s %s: evidence without a link or a date: %+v", r.ID, check.ID, e)
						}
					}
				}
				if r.Level != nil && (*r.Level >= r.Minimum) != (r.Gate == Met) {
					t.Errorf("%s is %s at level %d of %d", r.ID, r.Gate, *r.Level, r.Minimum)
				}
			}
			if met != (d.Gate == Met) {
				t.Errorf("%s is %s, and all of its requirements met is %v", d.Dimension, d.Gate, met)
			}
			all = all && met
		}
		if p.Selectable != all || p.Selectable != (len(p.Lift) == 0) {
			t.Errorf("selectable %v, all met %v, lifts %v", p.Selectable, all, p.Lift)
		}
	})
}

func TestReadAttestations(t *testing.T) {
	c, err := MASKIN014()
	if err != nil {
		t.Fatal(err)
	}
	read, err := ReadAttestations(strings.NewReader("attestations:\n  - {platform: libvirt, requirement: cost, level: 2, says: s, source: d, date: 2026-10-01, by: k}\n"), "a.yaml", c)
	want := []Attestation{{Platform: "libvirt", Requirement: "cost", Level: 2, Says: "s", Source: "d", Date: "2026-10-01", By: "k", Where: "a.yaml:2"}}
	if diff := cmp.Diff(want, read); diff != "" || err != nil {
		t.Errorf("(-want +read) %v\n%s", err, diff)
	}
	const rest = ", says: s, source: d, by: k, "
	for entry, want := range map[string]string{
		"{platform: p, requirement: cost, level: 2, says: s, date: 2026-10-01, by: k}": "line 3: source is missing",
		"{platform: p, requirement: cost, level: 4" + rest + "date: 2026-10-01}":       "line 3: level 4 is not 0 to 3",
		"{platform: p, requirement: cost, level: 2" + rest + "date: yesterday}":        `line 3: date "yesterday"`,
		"{platform: p, requirement: luck, level: 2" + rest + "date: 2026-10-01}":       `line 3: there is no requirement "luck"`,
		"{platform: p, requirement: state, level: 2" + rest + "date: 2026-10-01}":      "line 3: requirement state has nothing to attest: it is measured",
		"{platform: p, requirement: cost, lvel: 2" + rest + "date: 2026-10-01}":        `line 3: unknown key "lvel"`,
		"cheap": "line 3: want an attestation",
	} {
		if _, err := ReadAttestations(strings.NewReader("attestations:\n  # one\n  - "+entry), "a.yaml", c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", entry, err, want)
		}
	}
}

func TestReadProbe(t *testing.T) {
	if _, err := ReadProbe(strings.NewReader(`{"schema":"avstem.probe/v1","platform":"libvirt"}`)); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]string{
		`{"schema":"avstem.probe/v2","platform":"x"}`: "newer than this avstem",
		`{"schema":"avstem.observation/v1"}`:          "is it what avstem-probe wrote?",
		`{"schema":"avstem.probe/v1"}`:                "names no platform",
		`[`:                                           "unexpected",
	} {
		if _, err := ReadProbe(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestReadAttestationsTellsEveryMistake(t *testing.T) {
	c, err := MASKIN014()
	if err != nil {
		t.Fatal(err)
	}
	text := "attestations:\n  - {platform: p, requirement: luck, level: 9, says: s, date: soon, by: k, mood: good}\n  - {level: [1], luck: 3}\n"
	_, err = ReadAttestations(strings.NewReader(text), "a.yaml", c)
	if err == nil {
		t.Fatal("nothing is wrong with it")
	}
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{
		`line 2: unknown key "mood"`, "line 2: source is missing", "line 2: level 9 is not 0 to 3", `line 2: date "soon" is not`,
		`line 2: there is no requirement "luck": there are `, `line 3: unknown key "luck"`, "line 3: line 3: cannot unmarshal !!seq",
	} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Fatalf("line %d is to begin with %q:\n%v", i+1, want, err)
		}
	}
}

func FuzzReadAttestations(f *testing.F) {
	c, err := MASKIN014()
	if err != nil {
		f.Fatal(err)
	}
	f.Add("attestations:\n  - {platform: libvirt, requirement: cost, level: 2, says: s, source: d, date: 2026-10-01, by: k}\n")
	f.Fuzz(func(t *testing.T, text string) {
		read, err := ReadAttestations(strings.NewReader(text), "a.yaml", c)
		for i := range read {
			if err := read[i].check(c); err != nil {
				t.Errorf("took %+v: %v", read[i], err)
			}
		}
		_ = err
	})
}

func TestPercentNeverRoundsUpToAll(t *testing.T) {
	for ratio, want := range map[float64]string{1: "100 %", 0.9999: "99.9 %", 0.5: "50 %", 2.0 / 3: "66.6 %", 0: "0 %", 0.0001: "under 0.1 %", 0.7: "70 %", 0.29: "29 %"} {
		if got := Percent(ratio); got != want {
			t.Errorf("Percent(%v) is %q, want %q", ratio, got, want)
		}
	}
}
