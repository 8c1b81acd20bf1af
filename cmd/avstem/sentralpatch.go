package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/adopt"
	"github.com/dataverket/avstem/sentral"
	inventoryfile "github.com/dataverket/avstem/sentral/document"
	"github.com/dataverket/avstem/sentral/edit"
	"github.com/dataverket/avstem/sentral/files"
	"github.com/dataverket/avstem/statefile"
)

// adoptedName is the file that new records go into.
const adoptedName = "adopted.yaml"

// inventoryFiles is a directory of records, with what is to be written into it.
type inventoryFiles struct {
	dir     string
	records []sentral.Record
	faults  []sentral.Fault
	was, is map[string][]byte // by path
}

func readInventoryFiles(ctx context.Context, dir string) (*inventoryFiles, error) {
	source, err := files.Open(dir)
	if err != nil {
		return nil, err
	}
	f := &inventoryFiles{dir: filepath.Clean(dir), was: map[string][]byte{}, is: map[string][]byte{}}
	f.records, f.faults, err = source.Records(ctx)
	return f, err
}

// inventory is what the records make, with what has been changed.
func (f *inventoryFiles) inventory() *sentral.Inventory {
	records := f.records
	if len(f.is) > 0 {
		records = slices.DeleteFunc(slices.Clone(f.records), func(r sentral.Record) bool { return f.is[r.Place("").Name] != nil })
		for _, name := range slices.Sorted(maps.Keys(f.is)) {
			records = append(records, inventoryfile.Parse(name, f.is[name]).Records...)
		}
	}
	return sentral.Assemble(records, f.faults)
}

// change makes a patch.
func (f *inventoryFiles) change(p *adopt.Patch) error {
	of := func(records []sentral.Record) (sentral.Place, bool) {
		i := slices.IndexFunc(records, func(r sentral.Record) bool { return sentral.Identify(r.Value).Label() == p.Record })
		if i < 0 {
			return sentral.Place{}, false
		}
		return records[i].Place(""), true
	}
	place, found := of(f.records)
	if !found {
		return fmt.Errorf("there is no %s in %s", p.Record, f.dir)
	}
	name := place.Name
	if f.was[name] == nil {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		f.was[name], f.is[name] = text, text
	}
	// Changes before may have moved it.
	if place, found = of(inventoryfile.Parse(name, f.is[name]).Records); !found {
		return fmt.Errorf("%s changes while it is read: try again", name)
	}
	next, err := edit.Apply(name, f.is[name], place.Line, place.Column, p.Changes)
	if err != nil {
		return err
	}
	f.is[name] = next
	return nil
}

// patch is all changes as a unified diff.
func (f *inventoryFiles) patch() []byte {
	var out []byte
	for _, name := range slices.Sorted(maps.Keys(f.is)) {
		out = append(out, diff.Diff("a/"+filepath.ToSlash(name), f.was[name], "b/"+filepath.ToSlash(name), f.is[name])...)
	}
	return out
}

// save writes what was changed.
func (f *inventoryFiles) save(a *app) error {
	for _, name := range slices.Sorted(maps.Keys(f.is)) {
		if err := statefile.Replace(name, f.is[name], 0o644); err != nil {
			return fmt.Errorf("write the inventory: %w", err)
		}
		fmt.Fprintf(a.stdout, "changed %s\n", name)
	}
	return nil
}

// add puts new records at the end of the file that is for them.
func (f *inventoryFiles) add(a *app, text []byte) error {
	name := filepath.Join(f.dir, adoptedName)
	before, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("write the inventory: %w", err)
	default:
		text = append(append(before, "---\n"...), text...)
	}
	if err := statefile.Replace(name, text, 0o644); err != nil {
		return fmt.Errorf("write the inventory: %w", err)
	}
	fmt.Fprintf(a.stdout, "wrote %s\n", name)
	return nil
}

// mended is one finding and what became of it.
type mended struct {
	Finding string      `json:"finding"`
	Kind    string      `json:"kind"`
	Record  string      `json:"record,omitempty"`
	Changes []madeValue `json:"changes,omitempty"`
	Why     string      `json:"why,omitempty"` // there is no change
}

// madeValue is a change of a record; null takes the key out.
type madeValue struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

// mend resolves findings by changing records, and makes sure that they are gone
// then.
func (t *adoption) mend(target string, findings []reconcile.Finding, e *reconcile.Explanation) error {
	var all []mended
	var last error
	changed := 0
	for i := range findings {
		f := &findings[i]
		m := mended{Finding: f.ID, Kind: string(f.Kind)}
		patch, err := adopt.Mend(f, e, t.intended)
		if err == nil {
			m.Record = patch.Record
			for _, c := range patch.Changes {
				m.Changes = append(m.Changes, madeValue{c.Key, plainValue(c.Value)})
			}
			err = t.files.change(patch)
		}
		if err != nil {
			last, m.Why, m.Changes = err, err.Error(), nil
		} else {
			changed++
		}
		all = append(all, m)
	}
	switch {
	case len(findings) == 0:
		t.app.notef("%s agrees with its record", target)
	case changed == 0 && len(findings) == 1:
		return last
	}
	t.notes(findings, all)
	switch {
	case t.write:
		return t.files.save(t.app)
	case t.format == "json":
		return t.app.writeJSON(append([]mended{}, all...))
	}
	_, err := t.app.stdout.Write(t.files.patch())
	return err
}

// plainValue is a change's value as JSON has it.
func plainValue(value any) any {
	fields, is := value.(edit.Fields)
	if !is {
		return value
	}
	plain := map[string]any{}
	for _, f := range fields {
		plain[f.Key] = plainValue(f.Value)
	}
	return plain
}

// notes says what is not resolved, and what the changes bring about.
func (t *adoption) notes(findings []reconcile.Finding, all []mended) {
	after := t.files.inventory()
	for _, p := range after.Problems {
		if !slices.ContainsFunc(t.intended.Problems, func(q sentral.Problem) bool { return q.Record == p.Record && q.Key == p.Key }) {
			t.app.notef("after it: %s", p)
		}
	}
	result, _ := t.reconcile(after)
	for i, m := range all {
		still := slices.ContainsFunc(result.Findings, func(f reconcile.Finding) bool { return f.ID == findings[i].ID })
		switch {
		case m.Why != "":
			t.app.notef("%s stays: %s", findings[i].Message, m.Why)
		case still:
			t.app.notef("%s: that stays, whatever the record says", findings[i].Message)
		}
	}
}
