package reconcile_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"
	"golang.org/x/tools/txtar"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// FuzzReconcile feeds whatever an agent can publish and whatever an inventory can
// be decoded from, valid or not: no panic, no finding that breaks the laws of all
// results, and everything can be explained.
func FuzzReconcile(f *testing.F) {
	f.Add([]byte(`[]`), []byte(`{}`))
	f.Add([]byte(`[{"schema":"avstem.observation/v1","source":"runtime-x","complete":true,"vms":[{},{},{"name":"a","nics":[{},{}],"disks":[{},{}]}]}]`),
		[]byte(`{"hosts":[{"id":""},{"id":"h"}],"vms":[{"id":""},{"id":"","nics":[{},{}],"disks":[{},{}]},{"id":"a","host":"h","image":{}}],"networks":[{"id":""}]}`))
	files, err := filepath.Glob("testdata/scenarios/*.txtar")
	if err != nil || len(files) == 0 {
		f.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		observed, intended := scenarioSeed(f, file)
		f.Add(observed, intended)
	}
	f.Fuzz(func(t *testing.T, observed, intended []byte) {
		docs, err := inventory.DecodeObservations(bytes.NewReader(observed), 1<<20)
		if err != nil {
			return
		}
		var inv sentral.Inventory
		if json.Unmarshal(intended, &inv) != nil {
			return
		}
		in := reconcile.Input{Intended: &inv, Policy: reconcile.DefaultPolicy(), Now: epoch}
		seen := map[string]bool{}
		for _, o := range docs {
			if key := o.Host.String() + o.Source; !seen[key] { // at most one for each
				seen[key] = true
				in.Observed = append(in.Observed, reconcile.Document{Observation: o, Received: o.ObservedAt})
			}
		}
		playFuzzed(t, in)
	})
}

func playFuzzed(t *testing.T, in reconcile.Input) {
	result := reconcile.Reconcile(in)
	checkOrder(t, in, result)
	findings, _ := reconcile.Advance(nil, result, in.Policy, in.Now)
	findings, _ = reconcile.Advance(findings, result, in.Policy, in.Now.Add(time.Hour))
	blind := reconcile.Reconcile(reconcile.Input{Intended: in.Intended, Policy: in.Policy, Now: in.Now.Add(time.Hour)})
	reconcile.Advance(findings, blind, in.Policy, in.Now.Add(time.Hour))
	for _, finding := range findings {
		if _, err := reconcile.Explain(result, findings, in.Now, finding.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := reconcile.Explain(result, findings, in.Now, finding.Subject.ID); finding.Subject.Type == "vm" && errors.Is(err, reconcile.ErrNotKnown) && finding.Subject.ID != "" {
			t.Fatal(err)
		}
	}
}

func scenarioSeed(f *testing.F, file string) (observed, intended []byte) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		f.Fatal(err)
	}
	for _, section := range archive.Files {
		var plain any
		name := filepath.Base(section.Name)
		if (name != "observed.yaml" && name != "intended.yaml") || yaml.Unmarshal(section.Data, &plain) != nil || plain == nil {
			continue
		}
		if list, ok := plain.([]any); ok {
			for _, doc := range list {
				fields := doc.(map[string]any)
				fields["schema"], fields["host"] = inventory.Schema, hostID(fields["host"].(string)).String()
				fields["observedAt"] = epoch
			}
			observed, err = json.Marshal(list)
		} else {
			intended, err = json.Marshal(plain)
		}
		if err != nil {
			f.Fatal(err)
		}
	}
	return observed, intended
}

// TestOddInput plays what no agent and no inventory should give.
func TestOddInput(t *testing.T) {
	host := uuid.NewSHA1(uuid.NameSpaceDNS, []byte("h"))
	document := func(host uuid.UUID, body inventory.Body) reconcile.Document {
		return reconcile.Document{Observation: &inventory.Observation{Host: host, Source: "runtime-x", Outcome: inventory.OutcomeComplete, Complete: true, Body: body}, Received: epoch}
	}
	vms := inventory.Body{VMs: []inventory.VM{{}, {}, {NICs: make([]inventory.NIC, 3), Disks: make([]inventory.Disk, 3)}, {UUID: uuid.Max}}}
	for name, in := range map[string]reconcile.Input{
		"nothing":               {},
		"a host without an ID":  {Observed: []reconcile.Document{document(uuid.Nil, vms)}, Policy: reconcile.DefaultPolicy(), Now: epoch},
		"a policy of zeros":     {Observed: []reconcile.Document{document(host, vms)}, Now: epoch.Add(time.Second)},
		"a clock that ran back": {Observed: []reconcile.Document{document(host, vms)}, Policy: reconcile.DefaultPolicy(), Now: epoch.Add(-time.Hour)},
		"a host never heard": {Observed: []reconcile.Document{document(host, vms)}, Heard: map[uuid.UUID]time.Time{host: {}}, Policy: reconcile.DefaultPolicy(), Now: epoch,
			Intended: &sentral.Inventory{Hosts: []sentral.Host{{ID: "h", HostID: host, Site: "s"}}}},
		"an endless policy": {Observed: []reconcile.Document{document(host, vms)}, Policy: reconcile.Policy{StaleAfter: math.MaxInt64, DocumentAge: math.MaxInt64, KeepResolved: math.MaxInt64}, Now: epoch},
		"empty records": {Intended: &sentral.Inventory{Hosts: make([]sentral.Host, 2), VMs: make([]sentral.VM, 2), Networks: make([]sentral.Network, 2), Images: make([]sentral.Image, 2)},
			Observed: []reconcile.Document{document(host, vms)}, Policy: reconcile.DefaultPolicy(), Now: epoch},
		"refusals of nobody": {Refused: []reconcile.Refusal{{}, {Source: "x"}, {Host: host, Reason: "too large"}}, Policy: reconcile.DefaultPolicy(), Now: epoch},
	} {
		t.Run(name, func(t *testing.T) { playFuzzed(t, in) })
	}
}
