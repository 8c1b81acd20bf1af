package adopt_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"
	"golang.org/x/tools/txtar"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/adopt"
	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/document"
	"github.com/dataverket/avstem/sentral/edit"
)

var epoch = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// books are what a scenario of the reconciler's tests says at its beginning.
type books struct {
	text     []byte // of the inventory
	observed []reconcile.Document
}

// readBooks gives nil where the scenario's inventory is no file that people would
// have.
func readBooks(t *testing.T, name string) *books {
	t.Helper()
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var b books
	for _, section := range archive.Files {
		switch {
		case section.Name == "intended.yaml" && b.text == nil:
			b.text = section.Data
		case section.Name == "observed.yaml" && b.observed == nil:
			b.observed = readObserved(t, section.Data)
		}
	}
	c := document.Parse("a.yaml", b.text)
	if b.text == nil || c.Broken != nil || len(c.Faults) > 0 || len(sentral.Assemble(c.Records, nil).LeftOut) > 0 {
		return nil
	}
	return &b
}

func readObserved(t *testing.T, data []byte) []reconcile.Document {
	t.Helper()
	var plain any
	if err := yaml.Unmarshal(data, &plain); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(plain)
	if err != nil {
		t.Fatal(err)
	}
	var listed []struct {
		inventory.Observation
		Host string `json:"host"`
		Age  string `json:"age"`
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&listed); err != nil {
		t.Fatal(err)
	}
	var docs []reconcile.Document
	for i := range listed {
		o := listed[i].Observation
		age, _ := time.ParseDuration(listed[i].Age)
		o.Schema, o.Epoch, o.Gen, o.ObservedAt = inventory.Schema, max(o.Epoch, 1), max(o.Gen, 1), epoch.Add(-age)
		if o.Host, err = uuid.Parse(listed[i].Host); err != nil {
			o.Host = uuid.NewSHA1(uuid.NameSpaceDNS, []byte(listed[i].Host))
		}
		if o.Outcome == "" {
			o.Outcome, o.Complete = inventory.OutcomeComplete, true
			if len(o.Problems) > 0 {
				o.Outcome = inventory.OutcomePartial
			}
		}
		if err := o.Seal(); err != nil {
			t.Fatal(err)
		}
		docs = append(docs, reconcile.Document{Observation: &o, Received: o.ObservedAt})
	}
	return docs
}

// reconcile holds a text against what was observed.
func (b *books) reconcile(text []byte) (*reconcile.Result, *sentral.Inventory) {
	intended := sentral.Assemble(document.Parse("a.yaml", text).Records, nil)
	return reconcile.Reconcile(reconcile.Input{Policy: reconcile.DefaultPolicy(), Intended: intended, Observed: b.observed, Now: epoch}), intended
}

// TestMendedFindingsAreGone: in every scenario of the reconciler, a finding that
// a change of Sentral's record is offered for is gone once it is made, and the
// file can still be used.
func TestMendedFindingsAreGone(t *testing.T) {
	scenarios, err := filepath.Glob("../testdata/scenarios/*.txtar")
	if err != nil || len(scenarios) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	kinds := map[reconcile.Kind]int{}
	for _, name := range scenarios {
		b := readBooks(t, name)
		if b == nil {
			continue
		}
		result, intended := b.reconcile(b.text)
		for i := range result.Findings {
			f := &result.Findings[i]
			e, err := reconcile.Explain(result, result.Findings, epoch, f.ID)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			patch, err := adopt.Mend(f, e, intended, adopt.Options{Foreign: true})
			if err != nil {
				continue
			}
			c := document.Parse("a.yaml", b.text)
			r := slices.IndexFunc(c.Records, func(r sentral.Record) bool { return sentral.Identify(r.Value).Label() == patch.Record })
			if r < 0 {
				t.Errorf("%s: %s (%s): there is no %s", name, f.ID, f.Kind, patch.Record)
				continue
			}
			place := c.Records[r].Place("")
			text, err := edit.Apply("a.yaml", b.text, place.Line, place.Column, patch.Changes)
			if err != nil {
				if _, byHand := errAs(err); !byHand {
					t.Errorf("%s: %s: %v", name, f.Kind, err)
				}
				continue
			}
			after, changed := b.reconcile(text)
			if len(changed.LeftOut) > 0 {
				t.Errorf("%s: %s: the record can't be used any more: %v\n%s", name, f.Kind, changed.Problems, text)
			}
			if slices.ContainsFunc(after.Findings, func(g reconcile.Finding) bool { return g.ID == f.ID }) {
				t.Errorf("%s: %s stays after %+v: %s", filepath.Base(name), f.Kind, patch.Changes, f.Message)
			}
			kinds[f.Kind]++
		}
	}
	for _, kind := range []reconcile.Kind{
		reconcile.VMMissing, reconcile.VMState, reconcile.VMLingering, reconcile.VMVCPUs, reconcile.VMMemory, reconcile.VMMachine, reconcile.VMMisplaced,
		reconcile.VMPlacement, reconcile.IdentityChanged, reconcile.IdentityWeak, reconcile.DiskImage, reconcile.NICVLAN, reconcile.NICNetwork,
		reconcile.NICMissing, reconcile.NICUnknown, reconcile.DiskSize, reconcile.DiskSerial, reconcile.DiskSource, reconcile.DiskFormat, reconcile.DiskUnknown,
	} {
		if kinds[kind] == 0 {
			t.Errorf("no scenario's %s was mended", kind)
		}
	}
}

// TestAdoptedIsKnown: in every scenario, what is written down of what Sentral
// doesn't know can be used, and isn't unknown any more.
func TestAdoptedIsKnown(t *testing.T) {
	scenarios, _ := filepath.Glob("../testdata/scenarios/*.txtar")
	written := 0
	for _, name := range scenarios {
		switch filepath.Base(name) {
		case "misplaced-not-without-a-site.txtar": // a record wants a site
			continue
		case "vms-of-one-native-id.txtar": // nothing that lasts tells them apart
			continue
		}
		b := readBooks(t, name)
		if b == nil {
			continue
		}
		result, intended := b.reconcile(b.text)
		adopted, err := adopt.New(result, intended, adopt.Options{Tenant: "lab", Project: "lab", Environment: "test", Foreign: true})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text, err := adopt.YAML(&adopted.Records)
		if err != nil {
			t.Fatal(err)
		}
		c := document.Parse("adopted.yaml", text)
		if c.Broken != nil || len(c.Faults) > 0 {
			t.Fatalf("%s: what was written can't be read: %v %v\n%s", name, c.Broken, c.Faults, text)
		}
		written += len(c.Records)
		after, both := b.reconcile(append(append(slices.Clone(b.text), "\n---\n"...), text...))
		if len(both.LeftOut) > len(intended.LeftOut) {
			t.Errorf("%s: what was written can't be used: %v\n%s", filepath.Base(name), both.Problems, text)
		}
		for _, f := range after.Findings {
			if f.Kind == reconcile.HostUnknown || f.Kind == reconcile.VMUnknown {
				t.Errorf("%s: after it is written down: %s\n%s", filepath.Base(name), f.Message, text)
			}
		}
	}
	if written < 20 {
		t.Errorf("only %d records were written down", written)
	}
}

func errAs(err error) (edit.ByHandError, bool) {
	var by edit.ByHandError
	ok := errors.As(err, &by)
	return by, ok
}
