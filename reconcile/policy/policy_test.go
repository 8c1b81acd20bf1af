package policy_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/policy"
)

// TestExample holds that the example in the docs says what its comments say.
func TestExample(t *testing.T) {
	const name = "../../docs/examples/policy.yaml"
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	got, err := policy.Parse(name, data)
	if err != nil {
		t.Fatal(err)
	}
	want := reconcile.DefaultPolicy()
	want.Source = name
	want.Severity = map[reconcile.Kind]reconcile.Severity{reconcile.NICModel: reconcile.Info, reconcile.VMPlacement: reconcile.High}
	want.Grace = map[reconcile.Kind]time.Duration{reconcile.VMMissing: time.Minute, reconcile.VMState: time.Minute}
	want.Tolerance = map[reconcile.Kind]reconcile.Tolerance{reconcile.VMMemory: {Bytes: 64 * inventory.MiB}, reconcile.DiskSize: {Share: 0.01}}
	want.Overcommit = reconcile.Ratios{VCPUs: 4, Memory: 1, Storage: 1.2}
	want.Suppressions = []reconcile.Suppression{{
		ID: "cache-01-memory", Match: reconcile.Match{Kind: "vm.memory", Subject: "acme/data/cache-01"}, Value: "8GiB",
		Reason: "resized by hand during the outage of 14 November, the record follows with the next release",
		Owner:  "kari.nordmann", Expires: time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC), Where: got.Suppressions[0].Where,
	}, {
		ID: "legacy-labels", Match: reconcile.Match{Kind: "vm.placement", Tenant: "globex", Platform: "libvirt*"}, Value: "*",
		Reason: "globex labels its VMs itself until its migration is over",
		Owner:  "team-platform", Expires: time.Date(2027, 6, 30, 12, 0, 0, 0, time.UTC), Where: got.Suppressions[1].Where,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(got.Suppressions[0].Where, name+":") {
		t.Errorf("the first suppression is at %q", got.Suppressions[0].Where)
	}
}

func TestNothingButTheSchemaChangesNothing(t *testing.T) {
	got, err := policy.Parse("p.yaml", []byte("schema: avstem.policy/v1\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := reconcile.DefaultPolicy()
	want.Source = "p.yaml"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// As with a configuration file, what says nothing decides nothing.
func TestNothingIsTheDefault(t *testing.T) {
	for _, file := range []string{"", " \n", "# nothing\n", "---\n", "---\n# nothing\n...\n"} {
		got, err := policy.Parse("p.yaml", []byte(file))
		want := reconcile.DefaultPolicy()
		want.Source = "p.yaml"
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%q: %v (-want +got):\n%s", file, err, diff)
		}
	}
	for _, file := range []string{"{}", "[]", "''", "\x00"} {
		if _, err := policy.Parse("p.yaml", []byte(file)); err == nil {
			t.Errorf("%q was taken", file)
		}
	}
}

func TestFaultsNameFileLineAndKey(t *testing.T) {
	const entry = "schema: avstem.policy/v1\nsuppressions:\n- id: a\n  match: {kind: vm.state}\n  value: running\n  reason: r\n  owner: o\n  expires: 2027-01-01\n"
	for name, test := range map[string]struct {
		file string
		want []string
	}{
		"two documents":  {"schema: avstem.policy/v1\n---\nschema: avstem.policy/v1\n", []string{"p.yaml:3:1: the file holds more than one document"}},
		"not YAML":       {"schema: [\n", []string{"p.yaml:1:1: not YAML, or only half of it: did not find expected node content"}},
		"a list":         {"- a\n", []string{"p.yaml:1:1: want a mapping of keys to values, and not a list", "p.yaml:1:1: schema: is missing: write schema: avstem.policy/v1"}},
		"no schema":      {"staleAfter: 1m\n", []string{"p.yaml:1:1: schema: is missing: write schema: avstem.policy/v1"}},
		"another schema": {"schema: avstem.policy/v2\n", []string{`p.yaml:1:9: schema: "avstem.policy/v2" is not known: want avstem.policy/v1`}},
		"unknown key":    {"schema: avstem.policy/v1\nstaleAftr: 1m\n", []string{`p.yaml:2:1: staleAftr: unknown key: did you mean "staleAfter"?`}},
		"key twice":      {"schema: avstem.policy/v1\ngraces: {vm.state: 1m, vm.state: 2m}\n", []string{"p.yaml:2:24: graces.vm.state: is given twice: it stands at line 2 too"}},
		"no duration":    {"schema: avstem.policy/v1\nstaleAfter: soon\n", []string{`p.yaml:2:13: staleAfter: "soon" is not a length of time: want one such as 90s, 15m, 8h or 7d`}},
		"too short":      {"schema: avstem.policy/v1\nstaleAfter: 1s\n", []string{"p.yaml:2:13: staleAfter: 1s is too short: want 5s at least"}},
		"too long":       {"schema: avstem.policy/v1\nkeepResolved: 9999d\n", []string{`p.yaml:2:15: keepResolved: "9999d" is longer than ten years`}},
		"unknown kind":   {"schema: avstem.policy/v1\nseverities:\n  policy.valid: low\n", []string{`p.yaml:3:17: severities.policy.valid: there is no kind "policy.valid": want one of policy.expired, policy.invalid, policy.unmatched`}},
		"unknown group":  {"schema: avstem.policy/v1\ngraces: {cpu.heat: 1m}\n", []string{`p.yaml:2:20: graces.cpu.heat: there is no kind "cpu.heat": /usr/share/doc/avstem/findings.md lists them`}},
		"severity":       {"schema: avstem.policy/v1\nseverities: {vm.state: bad}\n", []string{`p.yaml:2:24: severities.vm.state: "bad" is not a severity: want critical, high, medium, low or info`}},
		"tolerance":      {"schema: avstem.policy/v1\ntolerances: {vm.memory: a little}\n", []string{`p.yaml:2:25: tolerances.vm.memory: "a little" is neither a size such as 64MiB nor a share such as 1%`}},
		"tolerance of":   {"schema: avstem.policy/v1\ntolerances: {vm.vcpus: 1%}\n", []string{"p.yaml:2:24: tolerances.vm.vcpus: is not tolerated by degrees: want vm.memory or disk.size"}},
		"share":          {"schema: avstem.policy/v1\nmass: {share: 0.3}\n", []string{`p.yaml:2:15: mass.share: "0.3" is not a share: want one such as 30%, more than 0% and 100% at most`}},
		"no number":      {"schema: avstem.policy/v1\nmass: {hosts: 1}\n", []string{"p.yaml:2:15: mass.hosts: want a number from 2 to 1000000000, and not 1"}},
		"ratio":          {"schema: avstem.policy/v1\novercommit: {memory: 0}\n", []string{`p.yaml:2:22: overcommit.memory: "0" is not a ratio: want a number above 0, such as 1.5`}},
		"bare entry": {"schema: avstem.policy/v1\nsuppressions:\n- {}\n", []string{
			"p.yaml:3:3: suppressions[0].expires: is missing: until when it is accepted, such as 2026-12-31",
			"p.yaml:3:3: suppressions[0].id: is missing: a name of its own, for findings to point to",
			"p.yaml:3:3: suppressions[0].match: is missing: which findings it is for, by kind, subject, field, tenant, project, site, host or platform",
			"p.yaml:3:3: suppressions[0].owner: is missing: whom to ask about it",
			"p.yaml:3:3: suppressions[0].reason: is missing: why it is accepted",
			`p.yaml:3:3: suppressions[0].value: is missing: the observed value that is accepted, as avstem drift -o json has it; "*" accepts any`,
		}},
		"kind of an entry": {strings.Replace(entry, "vm.state", "vm.stat", 1), []string{`p.yaml:4:17: suppressions[0].match.kind: there is no kind "vm.stat": want one of ` + kindsOf("vm")}},
		"date":             {strings.Replace(entry, "2027-01-01", "next year", 1), []string{`p.yaml:8:12: suppressions[0].expires: "next year" is not a date: want one such as 2026-12-31, or a time such as 2026-12-31T12:00:00Z`}},
		"ID twice":         {entry + "- id: a\n  match: {kind: vm.vcpus}\n  value: 2\n  reason: r\n  owner: o\n  expires: 2027-01-01\n", []string{`p.yaml:9:7: suppressions[1].id: "a" is the one at p.yaml:3:3, too: each has its own`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := policy.Parse("p.yaml", []byte(test.file))
			broken, is := errors.AsType[*policy.Error](err)
			if !is {
				t.Fatalf("got %v", err)
			}
			var got []string
			for _, p := range broken.Problems {
				got = append(got, p.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func kindsOf(group string) string {
	var all []string
	for _, info := range reconcile.Kinds() {
		if strings.HasPrefix(string(info.Kind), group+".") {
			all = append(all, string(info.Kind))
		}
	}
	return strings.Join(all, ", ")
}

func TestAcceptedValueMayBeNothing(t *testing.T) {
	got, err := policy.Parse("p.json", []byte(`{"schema": "avstem.policy/v1", "suppressions": [{"id": "a", "match": {"kind": "vm.missing"},
		"value": null, "reason": "r", "owner": "o", "expires": "2027-01-01"}]}`))
	if err != nil || len(got.Suppressions) != 1 || got.Suppressions[0].Value != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

// FuzzParse: no bytes make it panic, a fault has a place, and a policy has what
// judging needs.
func FuzzParse(f *testing.F) {
	example, err := os.ReadFile("../../docs/examples/policy.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Add([]byte("schema: avstem.policy/v1\n"))
	f.Add([]byte("a: &a [*a]\nschema: *a\n"))
	f.Add([]byte("suppressions: [{value: {a: [1, null]}}, {<<: {id: x}}]\n"))
	f.Add([]byte(`{"schema": "avstem.policy/v1", "mass": {"share": "200%"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, name := range []string{"p.yaml", "p.json"} {
			p, err := policy.Parse(name, data)
			if err == nil {
				if p.StaleAfter < time.Second || p.DocumentAge <= 0 || p.Mass.Hosts < 1 {
					t.Errorf("%+v can't be judged by", p)
				}
				continue
			}
			broken, is := errors.AsType[*policy.Error](err)
			if !is || len(broken.Problems) == 0 {
				t.Fatalf("%v is no list of problems", err)
			}
			for _, problem := range broken.Problems {
				if !strings.HasPrefix(problem.Where, name+":") || problem.Error == "" {
					t.Errorf("%q has no place", problem.String())
				}
			}
		}
	})
}
