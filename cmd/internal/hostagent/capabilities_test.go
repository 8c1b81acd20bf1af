package hostagent

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/collectors/collectorstest"
	"github.com/dataverket/avstem/inventory"
)

var update = flag.Bool("update", false, "write docs/collectors.md anew")

// top is the module's directory, seen from here.
const top = "../../.."

const pageHead = `# What is observed, how it is known, and where that is proved

Made of the collectors' tables by ` + "`go test ./cmd/internal/hostagent -run CollectorsPage -update`" + `; a test fails while this page is another.
Each document carries its source's table, so that a reader of the stream can tell a value that is absent from one that nobody looks for.

- **known**: *direct* is the source's own word; *derived* is worked out from it; *absent* says that this source never tells.
- **change**: by *event* a change is told within a second or so; by *poll* it is found by the next pass.
- **proof**: the test that shows the value on an object made by its owner, whatever that is: the kernel, libvirt, QEMU, LXD. *Recorded* is what such an object once said. *Marked* is a real object that carries an absent program's marks, written by hand. What only a fake or a file by documentation shows is *not verified on the real thing*. Each test named here fails where the value isn't shown.

What a source can't read on a host is no matter of this page: it is a problem in the document, with a remedy (` + "`avstem-agent collect`" + `).

`

// TestCollectorsPage holds docs/collectors.md to the tables, and each field of
// each table to a proof by a test that is there.
func TestCollectorsPage(t *testing.T) {
	page := pageOf(t)
	file := filepath.Join(top, "docs/collectors.md")
	if *update {
		if err := os.WriteFile(file, page, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(page), string(have)); diff != "" {
		t.Errorf("docs/collectors.md is stale: go test ./cmd/internal/hostagent -run CollectorsPage -update (-tables +page):\n%s", diff)
	}
}

// source is a package with its sources, which share a table.
type source struct {
	dir    string // below the module
	names  []string
	table  []inventory.Capability
	proofs collectorstest.Proofs
}

func sources(t *testing.T) (all []*source) {
	t.Helper()
	for _, c := range Collectors(Options{}) {
		dir := strings.TrimPrefix(reflect.TypeOf(c).Elem().PkgPath(), "github.com/dataverket/avstem/")
		if i := slices.IndexFunc(all, func(s *source) bool { return s.dir == dir }); i >= 0 {
			all[i].add(t, c)
			continue
		}
		proofs, err := collectorstest.ReadProofs(filepath.Join(top, dir, collectorstest.ProofFile))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, &source{dir, []string{c.Source()}, c.Capabilities(), proofs})
	}
	return all
}

func (s *source) add(t *testing.T, c collectors.Collector) {
	t.Helper()
	if diff := gocmp.Diff(s.table, c.Capabilities()); diff != "" {
		t.Errorf("sources of %s have two tables:\n%s", s.dir, diff)
	}
	s.names = append(s.names, c.Source())
}

func pageOf(t *testing.T) []byte {
	t.Helper()
	var head, body bytes.Buffer
	head.WriteString(pageHead)
	head.WriteString("| source | fields | real | recorded | marked | not verified on the real thing | absent |\n|---|---|---|---|---|---|---|\n")
	for _, s := range sources(t) {
		name := strings.Join(s.names, ", ")
		fmt.Fprintf(&body, "\n## %s\n\n", name)
		s.writeTests(t, &body)
		n := s.writeTable(t, &body)
		fmt.Fprintf(&head, "| %s | %d | %d | %d | %d | %d | %d |\n", name, len(s.table),
			n[collectorstest.Real], n[collectorstest.Recorded], n[collectorstest.Marked], n[collectorstest.Written], n[""])
	}
	return append(head.Bytes(), body.Bytes()...)
}

// writeTests lists the tests, with what they show values on.
func (s *source) writeTests(t *testing.T, out *bytes.Buffer) {
	t.Helper()
	order := []collectorstest.Standing{collectorstest.Real, collectorstest.Recorded, collectorstest.Marked, collectorstest.Written}
	lines := slices.Clone(s.proofs)
	slices.SortStableFunc(lines, func(a, b collectorstest.Proof) int {
		return cmp.Compare(slices.Index(order, a.Standing), slices.Index(order, b.Standing))
	})
	said := map[string]bool{}
	for _, p := range lines {
		if line := fmt.Sprintf("- %s: %s, on %s\n", words[p.Standing], linkTo(t, p), p.On); !said[line] {
			said[line] = true
			out.WriteString(line)
		}
	}
	out.WriteString("\n")
}

var words = map[collectorstest.Standing]string{
	collectorstest.Real: "real", collectorstest.Recorded: "recorded", collectorstest.Marked: "marked",
	collectorstest.Written: "*not verified on the real thing*",
}

// writeTable writes the fields and counts them by how their proof stands, absent
// ones under no name.
func (s *source) writeTable(t *testing.T, out *bytes.Buffer) map[collectorstest.Standing]int {
	t.Helper()
	out.WriteString("| field | known | from | change | proof | note |\n|---|---|---|---|---|---|\n")
	count, used := map[collectorstest.Standing]int{}, map[inventory.Field]bool{}
	for _, c := range s.table {
		p, found := s.proofs.Of(c.Field)
		proof := ""
		switch {
		case c.Known == inventory.KnownAbsent:
			p.Standing = ""
		case !found:
			t.Errorf("%s of %s has no proof in %s", c.Field, s.dir, collectorstest.ProofFile)
		default:
			used[p.Field] = true
			proof = linkTo(t, p)
			if p.Standing != collectorstest.Real {
				proof = words[p.Standing] + ", " + proof
			}
		}
		count[p.Standing]++
		row := []string{string(c.Field), c.Known, c.From, c.Change, proof, c.Note}
		for i, cell := range row {
			row[i] = strings.NewReplacer("|", `\|`).Replace(cell)
			if i == 2 || i == 5 { // they name files as they are written
				row[i] = strings.NewReplacer("*", `\*`, "_", `\_`, "[", `\[`, "<", `\<`).Replace(row[i])
			}
		}
		fmt.Fprintf(out, "| %s |\n", strings.Join(row, " | "))
	}
	for _, p := range s.proofs {
		if !used[p.Field] {
			t.Errorf("%s of %s proves no field: %s", collectorstest.ProofFile, s.dir, p.Field)
		}
	}
	return count
}

// linkTo finds the file that has the test.
func linkTo(t *testing.T, p collectorstest.Proof) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(top, p.Dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("\nfunc "+p.Test+"(t *testing.T)")) {
			return fmt.Sprintf("[%s](../%s/%s)", p.Test, p.Dir, filepath.Base(file))
		}
	}
	t.Errorf("%s has no test %s", p.Dir, p.Test)
	return p.Test
}
