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
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/adopt"
	"github.com/dataverket/avstem/sentral"
	inventoryfile "github.com/dataverket/avstem/sentral/document"
	"github.com/dataverket/avstem/sentral/edit"
	"github.com/dataverket/avstem/sentral/files"
	"github.com/dataverket/avstem/sentral/lint"
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

// changed are the records with what has been changed.
func (f *inventoryFiles) changed() []sentral.Record {
	records := slices.DeleteFunc(slices.Clone(f.records), func(r sentral.Record) bool { return f.is[r.Place("").Name] != nil })
	for _, name := range slices.Sorted(maps.Keys(f.is)) {
		records = append(records, inventoryfile.Parse(name, f.is[name]).Records...)
	}
	return records
}

// inventory is what the records make, with what has been changed.
func (f *inventoryFiles) inventory() *sentral.Inventory {
	return sentral.Assemble(f.changed(), f.faults)
}

// rejected are the errors that lint finds in what has been changed, and didn't
// before.
func (f *inventoryFiles) rejected() []lint.Note {
	type what struct{ rule, record, key, message string }
	of := func(n lint.Note) what { return what{n.Rule, n.Record, n.Key, n.Message} }
	known := map[what]bool{}
	for _, n := range lint.Check(f.records, f.faults) {
		known[of(n)] = true
	}
	return slices.DeleteFunc(lint.Check(f.changed(), f.faults), func(n lint.Note) bool {
		return n.Level != lint.Error || known[of(n)]
	})
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

// patch is all changes as a unified diff, and the directory that its paths are in:
// the top of the git work tree that the inventory is in, where it is in one.
func (f *inventoryFiles) patch() (out []byte, root string, err error) {
	dir, err := realPath(f.dir)
	if err != nil {
		return nil, "", fmt.Errorf("make a patch: %w", err)
	}
	root = workTree(dir)
	for _, name := range slices.Sorted(maps.Keys(f.is)) {
		inside, err := filepath.Rel(f.dir, name)
		if err == nil {
			inside, err = filepath.Rel(root, filepath.Join(dir, inside))
		}
		if err != nil {
			return nil, "", fmt.Errorf("make a patch of %s: %w", name, err)
		}
		inside = filepath.ToSlash(inside)
		out = append(out, diff.Diff("a/"+inside, f.was[name], "b/"+inside, f.is[name])...)
	}
	return out, root, nil
}

func realPath(name string) (string, error) {
	name, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(name)
}

// workTree is the top of the git work tree that a directory is in, or else the
// directory. Where git would apply nothing, within .git itself, nobody keeps files.
func workTree(dir string) string {
	for top := dir; ; top = filepath.Dir(top) {
		if _, err := os.Lstat(filepath.Join(top, ".git")); err == nil {
			return top
		}
		if top == filepath.Dir(top) {
			return dir
		}
	}
}

// save writes what was changed.
func (f *inventoryFiles) save(a *app) error {
	for _, name := range slices.Sorted(maps.Keys(f.is)) {
		if err := statefile.Replace(name, f.is[name], 0o644); err != nil {
			return fmt.Errorf("write the inventory: %w", err)
		}
		verb := "changed"
		if f.was[name] == nil {
			verb = "wrote"
		}
		fmt.Fprintf(a.stdout, "%s %s\n", verb, name)
	}
	return nil
}

// add puts new records at the end of the file that is for them, without writing it.
func (f *inventoryFiles) add(text []byte) error {
	name := filepath.Join(f.dir, adoptedName)
	before, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.is[name] = text
	case err != nil:
		return fmt.Errorf("read the inventory: %w", err)
	default:
		f.was[name], f.is[name] = before, slices.Concat(before, []byte("---\n"), text)
	}
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
		patch, err := adopt.Mend(f, e, t.intended, t.options)
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
	case changed == 0 && len(findings) > 0 && t.format != "json":
		return fmt.Errorf("adopt %s: its record can resolve none of its %s", target, count(len(findings), "finding"))
	case t.write:
		return t.save()
	}
	t.warn()
	if t.format == "json" {
		return t.app.writeJSON(append([]mended{}, all...))
	}
	patch, root, err := t.files.patch()
	if err != nil {
		return err
	}
	if changed > 0 {
		t.app.notef("to apply it: git -C %s apply, or patch -p1 -d %[1]s", quoted(root))
	}
	_, err = t.app.stdout.Write(patch)
	return err
}

// save writes what was changed, unless lint rejects it.
func (t *adoption) save() error {
	if rejected := t.files.rejected(); len(rejected) > 0 {
		words := make([]string, len(rejected))
		for i, n := range rejected {
			words[i] = n.String()
		}
		return fmt.Errorf("write the inventory: nothing is written, since avstem sentral lint would reject it: %s", strings.Join(firstFew(words), "; "))
	}
	return t.files.save(t.app)
}

// warn says what lint would reject of what isn't written.
func (t *adoption) warn() {
	for _, n := range t.files.rejected() {
		t.app.notef("avstem sentral lint would reject it: %s", n)
	}
}

func firstFew(words []string) []string {
	const few = 5
	if more := len(words) - few; more > 0 {
		return append(words[:few:few], fmt.Sprintf("and %d more", more))
	}
	return words
}

// quoted is a path as a shell takes it.
func quoted(path string) string {
	if path != "" && strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@:,") == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
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
	result, _ := t.reconcile(t.files.inventory())
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
