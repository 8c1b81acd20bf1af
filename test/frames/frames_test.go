package frames

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"pgregory.net/rapid"

	"github.com/dataverket/avstem/test/guest"
)

var update = flag.Bool("update", false, "write beside the named topologies what their paths came to")

// TestPaths runs all topologies in one guest: those with a name, and as many
// generated ones as -rapid.checks says. Where it says nothing they are 40, always
// the same, so that a change is not stopped by what it has nothing to do with;
// make frames looks for new ones.
func TestPaths(t *testing.T) {
	uml := guest.UML{
		Modules: []string{"tun", "8021q", "bonding", "bridge", "veth", "macvlan", "macvtap", "vxlan", "openvswitch"},
		Memory:  256, Limit: 30 * time.Minute,
	}
	out := uml.Run(t, func(t *testing.T, out string) {
		if err := startOVS(); err != nil {
			t.Fatal(err)
		}
		t.Run("named", func(t *testing.T) { testNamed(t, out) })
		t.Run("generated", testGenerated)
	})
	got, err := os.ReadFile(filepath.Join(out, "named.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(namedFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(namedFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got; -update rewrites it):\n%s", namedFile, diff)
	}
}

const namedFile = "testdata/named.txtar"

// testNamed checks each topology of the file, and writes beside its commands what
// its paths came to, as lines that begin with "#=".
func testNamed(t *testing.T, out string) {
	archive, err := txtar.ParseFile(namedFile)
	if err != nil {
		t.Fatal(err)
	}
	for i := range archive.Files {
		file := &archive.Files[i]
		t.Run(file.Name, func(t *testing.T) {
			o, err := check(parse(string(file.Data)))
			if err != nil {
				t.Fatal(err)
			}
			file.Data = withSaid(file.Data, o.said)
		})
	}
	if err := os.WriteFile(filepath.Join(out, "named.txtar"), txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

func withSaid(commands []byte, said []string) []byte {
	var b strings.Builder
	for line := range strings.Lines(string(commands)) {
		if !strings.HasPrefix(line, "#=") {
			b.WriteString(line)
		}
	}
	for _, words := range said {
		b.WriteString("#= " + words + "\n")
	}
	return []byte(b.String())
}

func testGenerated(t *testing.T) {
	settings := map[string]string{"rapid.checks": "40", "rapid.seed": "1", "rapid.nofailfile": "true"} // the guest can't write here
	flag.Visit(func(f *flag.Flag) {
		if f.Name == "rapid.checks" {
			settings["rapid.checks"] = f.Value.String()
			delete(settings, "rapid.seed")
		}
	})
	for name, value := range settings {
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	var sum outcome
	rapid.Check(t, func(t *rapid.T) {
		o, err := check(generate().Draw(t, "topology"))
		if errors.Is(err, errRefused) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		sum.add(o)
	})
	sum.said = nil
	t.Logf("%+v", sum)
}
