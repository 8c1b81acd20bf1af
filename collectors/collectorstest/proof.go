package collectorstest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/dataverket/avstem/inventory"
)

// ProofFile is where a collector's package says which test shows each field of
// its table, and on what:
//
//	real      *          collectors/storage TestLabHost: devices of Linux 6.1 in a guest
//	written   host.junk  collectors/identity TestFixtures: a tree written by hand
//
// A field without a line of its own has that of its entity, as link.*, or the one
// of everything, *.
const ProofFile = "testdata/proof.txt"

// Standing is how far a proof goes.
type Standing string

const (
	Real     Standing = "real"     // an object made by its owner, live in the test
	Recorded Standing = "recorded" // what such an object once said
	Marked   Standing = "marked"   // a real object with an absent program's marks, written by hand
	Written  Standing = "written"  // a fake or a file by documentation: not verified on the real thing
)

// Proof is one line.
type Proof struct {
	Standing Standing
	Field    inventory.Field
	Dir      string // the test's package, below the module
	Test     string
	On       string // what the value is shown on
}

// Proofs are a package's lines.
type Proofs []Proof

// ReadProofs reads a package's [ProofFile].
func ReadProofs(file string) (Proofs, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read proofs: %w", err)
	}
	var all Proofs
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		words, on, found := strings.Cut(line, ": ")
		fields := strings.Fields(words)
		if !found || len(fields) != 4 {
			return nil, fmt.Errorf("read proofs of %s: %q is not: standing field package test: on what", file, line)
		}
		p := Proof{Standing(fields[0]), inventory.Field(fields[1]), fields[2], fields[3], on}
		if !slices.Contains([]Standing{Real, Recorded, Marked, Written}, p.Standing) {
			return nil, fmt.Errorf("read proofs of %s: %q is no standing", file, p.Standing)
		}
		if slices.ContainsFunc(all, func(q Proof) bool { return q.Field == p.Field }) {
			return nil, fmt.Errorf("read proofs of %s: %s stands twice", file, p.Field)
		}
		all = append(all, p)
	}
	return all, nil
}

// Of finds a field's proof.
func (all Proofs) Of(field inventory.Field) (Proof, bool) {
	entity, _, _ := strings.Cut(string(field), ".")
	for _, name := range []inventory.Field{field, inventory.Field(entity + ".*"), "*"} {
		if i := slices.IndexFunc(all, func(p Proof) bool { return p.Field == name }); i >= 0 {
			return all[i], true
		}
	}
	return Proof{}, false
}

// Prove holds a package's proofs to what a test saw of real objects: what the
// file claims for the test was seen, and nothing that it says only fakes show.
func Prove(t *testing.T, file, test string, seen ...*inventory.Observation) {
	t.Helper()
	all, err := ReadProofs(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range all.faults(test, seen) {
		t.Errorf("%s: %s", file, fault)
	}
}

func (all Proofs) faults(test string, seen []*inventory.Observation) (faults []string) {
	unshown := Unshown(seen...)
	asked := map[inventory.Field]bool{}
	for _, o := range seen {
		for _, c := range o.Capabilities {
			if c.Known == inventory.KnownAbsent || asked[c.Field] {
				continue
			}
			asked[c.Field] = true
			p, found := all.Of(c.Field)
			shown := !slices.Contains(unshown, c.Field)
			switch {
			case !found:
				faults = append(faults, fmt.Sprintf("%s has no proof", c.Field))
			case p.Standing == Written && shown:
				faults = append(faults, fmt.Sprintf("%s is not only written by hand: %s shows it", c.Field, test))
			case p.Standing != Written && p.Test == test && !shown:
				faults = append(faults, fmt.Sprintf("%s does not show %s", test, c.Field))
			}
		}
	}
	return faults
}
