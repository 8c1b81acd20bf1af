// Package arch holds the architecture: who may import whom, what the agent's
// binary must not link, and that every package says why it exists.
package arch

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/dataverket/avstem/"

// arrows says for each package which of ours it may import, docs/architecture.md
// in code. A pattern ending in /* stands for the packages below.
var arrows = []struct {
	from string
	to   []string
}{
	{"inventory", nil},
	{"inventory/near", nil},
	{"inventory/duration", nil},
	{"inventory/plainjson", nil},
	{"inventory/packed", nil},
	{"statefile", []string{"statefile/asuser"}},
	{"statefile/asuser", nil},
	{"collectors", []string{"inventory"}},
	{"collectors/collectorstest", []string{"inventory", "collectors"}},
	{"collectors/internal/*", []string{"inventory", "collectors"}},
	{"collectors/images", []string{"inventory", "collectors", "statefile"}},
	{"collectors/*", []string{"inventory", "collectors", "collectors/internal/*"}},
	{"bus", []string{"inventory", "inventory/plainjson"}},
	{"bus/embedded", []string{"bus", "inventory", "statefile", "statefile/asuser"}},
	{"bus/auth", []string{"bus", "inventory", "agent/hostid", "statefile", "statefile/asuser"}},
	{"enroll", []string{"bus", "inventory", "agent/hostid", "statefile"}},
	{"enroll/issuer", []string{"enroll", "bus", "bus/auth", "inventory", "agent/hostid", "statefile", "statefile/asuser"}},
	{"agent", []string{"collectors", "inventory", "bus", "agent/hostid"}},
	{"agent/hostid", []string{"inventory", "statefile"}},
	{"sentral", []string{"inventory"}},
	{"sentral/document", []string{"inventory", "inventory/near", "sentral"}},
	{"sentral/*", []string{"inventory", "inventory/near", "sentral", "sentral/document", "sentral/internal/*"}},
	{"reconcile", []string{"inventory", "inventory/packed", "sentral"}},
	{"reconcile/policy", []string{"inventory", "inventory/duration", "sentral", "sentral/document", "reconcile"}},
	{"reconcile/adopt", []string{"inventory", "sentral", "sentral/edit", "reconcile"}},
	{"reconcile/*", []string{"inventory", "inventory/near", "sentral", "reconcile"}},
	{"evaluate", []string{"inventory", "sentral", "reconcile"}},
	{"evaluate/probe", []string{"inventory", "collectors", "evaluate"}},
	{"evaluate/probe/*", []string{"inventory", "evaluate/probe"}},
	{"history", []string{"inventory", "sentral", "reconcile"}},
	{"replay", []string{"inventory", "sentral", "reconcile", "reconcile/engine", "history"}},
	{"resolve", []string{"inventory", "sentral", "reconcile"}},
	{"bundle", []string{"inventory", "sentral", "reconcile", "history"}},
	{"report", []string{"inventory", "sentral", "reconcile", "evaluate", "history", "resolve", "replay", "report/drift"}},
	{"report/drift", []string{"inventory", "reconcile", "evaluate", "resolve"}},
	{"cmd/*", []string{"*"}},
	{"packaging/*", nil},
	{"test/*", []string{"*"}},
}

type goPackage struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
	Deps       []string
}

func list(t *testing.T, args ...string) []goPackage {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-json"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		switch err := decoder.Decode(&p); err {
		case nil:
			packages = append(packages, p)
		case io.EOF:
			return packages
		default:
			t.Fatal(err)
		}
	}
}

func matches(pattern, name string) bool {
	below, wild := strings.CutSuffix(pattern, "*")
	return pattern == name || (wild && strings.HasPrefix(name, below))
}

func TestArrows(t *testing.T) {
	for _, p := range list(t, module+"...") {
		name := strings.TrimPrefix(p.ImportPath, module)
		i := slices.IndexFunc(arrows, func(a struct {
			from string
			to   []string
		}) bool {
			return matches(a.from, name)
		})
		if i < 0 {
			t.Errorf("%s has no place in the architecture: add it to docs/architecture.md and here", name)
			continue
		}
		for _, imported := range p.Imports {
			target, ours := strings.CutPrefix(imported, module)
			if ours && !slices.ContainsFunc(arrows[i].to, func(to string) bool { return matches(to, target) }) {
				t.Errorf("%s imports %s; it may import %v", name, target, arrows[i].to)
			}
		}
	}
}

func TestAgentLinksOnlyWhatAHostNeeds(t *testing.T) {
	agent := list(t, module+"cmd/avstem-agent")[0]
	for _, dep := range agent.Deps {
		for _, forbidden := range []string{
			"github.com/nats-io/nats-server/", module + "reconcile", module + "sentral", module + "report", module + "evaluate", "testing",
		} {
			if strings.HasPrefix(dep, forbidden) {
				t.Errorf("avstem-agent links %s", dep)
			}
		}
	}
}

// TestAgentIsSmallAndStatic builds the agent as it ships: no interpreter (so no C
// library is looked for on the host), and below the 20 MiB of DESIGN.md §13.
func TestAgentIsSmallAndStatic(t *testing.T) {
	program := filepath.Join(t.TempDir(), "avstem-agent")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, module+"cmd/avstem-agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	if limit := int64(20 << 20); info.Size() >= limit {
		t.Errorf("avstem-agent has %d bytes, the limit is %d", info.Size(), limit)
	}
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_INTERP || segment.Type == elf.PT_DYNAMIC {
			t.Errorf("avstem-agent is linked dynamically (%s)", segment.Type)
		}
	}
}

func TestCollectorsRunNoPrograms(t *testing.T) {
	for _, p := range list(t, module+"collectors/...") {
		if slices.Contains(p.Imports, "os/exec") && !strings.HasSuffix(p.ImportPath, "test") {
			t.Errorf("%s imports os/exec: collectors read, they run nothing", p.ImportPath)
		}
	}
}

// TestDependenciesAreExplained: what go.mod requires directly has a line in
// docs/dependencies.md.
func TestDependenciesAreExplained(t *testing.T) {
	page, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{if not (or .Indirect .Main)}}{{.Path}}{{end}}", "all").Output()
	if err != nil {
		t.Fatalf("go list -m: %v", err)
	}
	for module := range strings.FieldsSeq(string(out)) {
		if !bytes.Contains(page, []byte(module)) {
			t.Errorf("docs/dependencies.md doesn't say what %s is for", module)
		}
	}
}

func TestEveryPackageSaysWhyItExists(t *testing.T) {
	for _, p := range list(t, module+"...") {
		said := len(p.GoFiles) == 0 // tests only: the test file's own comment
		for _, file := range p.GoFiles {
			parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			said = said || parsed.Doc.Text() != ""
		}
		if !said {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

// TestEveryPackageHasARow: the table of docs/architecture.md says of each package why
// it exists, by name or as one of those below another; tests are left out.
func TestEveryPackageHasARow(t *testing.T) {
	page, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([a-z*/]+)`")
	named := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); len(cells) == 5 { // with what is before the first and behind the last
			for _, name := range quoted.FindAllStringSubmatch(cells[1]+cells[2], -1) {
				named[name[1]] = true
			}
		}
	}
	for _, p := range list(t, module+"...") {
		name := strings.TrimPrefix(p.ImportPath, module)
		if !strings.HasPrefix(name, "test/") && !named[name] && !named[path.Dir(name)+"/*"] {
			t.Errorf("docs/architecture.md has no row that names %s", name)
		}
	}
}
