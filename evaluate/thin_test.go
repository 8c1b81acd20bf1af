package evaluate

import (
	"strings"
	"testing"
	"time"
)

// Evidence that must not open a gate: from the future, out of date, contradicted,
// or measured against a limit that its maker has chosen.
func TestEvidenceThatDoesNotCount(t *testing.T) {
	c, err := parseCriteria([]byte(`
record: R
dimensions: [{id: a, name: A}]
requirements:
  - {id: cost, dimension: a, wants: w, checks: [{id: c, attested: what it costs}]}
  - {id: seen, dimension: a, wants: w, checks: [{id: s, probe: {aspect: seen, steps: [start]}, levels: [0, 1, 1]}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	soon := time.Second / 2
	probed := func(change func(*ProbeRun)) []ProbeFile {
		run := probeOf("p", ProbeStep{Step: "start", Outcome: ProbeWorked, SeenAfter: &soon})
		run.Run.At = now.Add(-time.Hour)
		change(run.Run)
		return []ProbeFile{run}
	}
	asIs := func(*ProbeRun) {}
	fine := []Attestation{attest("p", "cost", 3, "2026-10-01")}
	late := 50 * time.Second
	for name, test := range map[string]struct {
		sources   Sources
		gate      Gate
		mentioned string
	}{
		"all is well":             {Sources{Probes: probed(asIs), Attested: fine}, Met, ""},
		"attested in the future":  {Sources{Probes: probed(asIs), Attested: []Attestation{attest("p", "cost", 3, "2027-10-01")}}, Undecided, "in the future"},
		"the future doesn't hide": {Sources{Probes: probed(asIs), Attested: append(fine[:1:1], attest("p", "cost", 0, "2027-10-01"))}, Met, ""},
		"contradicted on one day": {Sources{Probes: probed(asIs), Attested: append(fine[:1:1], attest("p", "cost", 0, "2026-10-01"))}, Failed, ""},
		"probed long ago":         {Sources{Probes: probed(func(r *ProbeRun) { r.At = now.Add(-attestedFor - time.Hour) }), Attested: fine}, Undecided, "more than a year old"},
		"probed in the future":    {Sources{Probes: probed(func(r *ProbeRun) { r.At = now.Add(48 * time.Hour) }), Attested: fine}, Undecided, "in the future"},
		"its own limit": {Sources{Probes: probed(func(r *ProbeRun) {
			r.Limit, r.Steps[0].SeenAfter = time.Hour, &late
		}), Attested: fine}, Failed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			card := Score(c, &test.sources, []string{"p"}, now)
			p := &card.Platforms[0]
			if p.Gate != test.gate {
				t.Errorf("the gate is %s, want %s", p.Gate, test.gate)
			}
			var missing []string
			for _, r := range p.Dimensions[0].Requirements {
				missing = append(missing, r.Checks[0].Missing)
			}
			if !strings.Contains(strings.Join(missing, "\n"), test.mentioned) {
				t.Errorf("missing is %q, want %q in it", missing, test.mentioned)
			}
		})
	}
}

// What a probe left behind is said wherever its result is used.
func TestWhatAProbeLeftIsSaid(t *testing.T) {
	c, err := parseCriteria([]byte("dimensions: [{id: a}]\nrequirements: [{id: r, dimension: a, checks: [{id: c, probe: {aspect: worked, steps: [start]}, levels: [0, 1, 1]}]}]"))
	if err != nil {
		t.Fatal(err)
	}
	file := probeOf("p", ProbeStep{Step: "start", Outcome: ProbeWorked})
	file.Run.Left = []string{"a disk"}
	card := Score(c, &Sources{Probes: []ProbeFile{file}}, []string{"p"}, now)
	if says := card.Platforms[0].Dimensions[0].Requirements[0].Checks[0].Evidence[0].Says; !strings.Contains(says, "left behind: a disk") {
		t.Errorf("it says %q", says)
	}
}

func TestPlatformsAskedForTwiceAreScoredOnce(t *testing.T) {
	c, err := parseCriteria([]byte("dimensions: [{id: a}]\nrequirements: [{id: r, dimension: a, checks: [{id: c, attested: x}]}]"))
	if err != nil {
		t.Fatal(err)
	}
	card := Score(c, &Sources{}, []string{"q", "p", "q"}, now)
	if len(card.Platforms) != 2 || card.Platforms[0].Platform != "q" {
		t.Errorf("scored %d: %+v", len(card.Platforms), card.Platforms)
	}
}

func TestSecondDocumentOfAttestationsIsRefused(t *testing.T) {
	c, err := MASKIN014()
	if err != nil {
		t.Fatal(err)
	}
	const entry = "attestations:\n  - {platform: libvirt, requirement: cost, level: 2, says: s, source: d, date: 2026-10-01, by: k}\n"
	if read, err := ReadAttestations(strings.NewReader(entry+"---\n"+entry), "a.yaml", c); err == nil {
		t.Errorf("read %d attestations and passed the rest over", len(read))
	}
}

func TestProbeFilesWithLiesAreRefused(t *testing.T) {
	const head = `{"schema":"avstem.probe/v1","platform":"p","steps":[`
	for text, want := range map[string]string{
		head + `{"step":"start","outcome":"worked"},{"step":"start","outcome":"failed"}]}`: "step start is there twice",
		head + `{"step":"start","outcome":"sure"}]}`:                                       `outcome "sure"`,
		head + `{"step":"start","outcome":"worked","seenAfterNanos":-1}]}`:                 "before",
	} {
		if _, err := ReadProbe(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
