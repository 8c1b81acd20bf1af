package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestFind(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		where string
		want  Spec
	}{
		"address":             {"https://sentral", Spec{From: "https://sentral"}},
		"directory":           {dir, Spec{From: dir}},
		"what isn't there":    {"gone", Spec{From: "gone"}},
		"paths are relative":  {put("a.yaml", "from: https://s\ntokenFile: t\nca: /etc/ca\ncert: c\nkey: ../k\n"), Spec{From: "https://s", TokenFile: dir + "/t", CA: "/etc/ca", Cert: dir + "/c", Key: filepath.Dir(dir) + "/k"}},
		"directory in a file": {put("b.yaml", "from: inventory\n"), Spec{From: dir + "/inventory"}},
	} {
		got, err := Find(c.where)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(c.want, *got, cmpopts.IgnoreFields(Spec{}, "NetBox")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for name, c := range map[string]struct{ text, says string }{
		"empty":        {"# nothing\n", "it is empty"},
		"an inventory": {"sites: [{id: osl1}]\n", "an inventory's own files are named by their directory"},
		"no YAML":      {"from: [", "line 1: did not find expected node content"},
		"without from": {"ca: x\n", "from is missing"},
		"too large":    {strings.Repeat("#", maxSpec+1), "is larger than"},
	} {
		if _, err := Find(put("bad.yaml", c.text)); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "bad.yaml") {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

func TestReadTokens(t *testing.T) {
	for text, want := range map[string][]string{
		"abc":                          {"abc"},
		"# mine\n\n a.b-c_~+/=\r\nd\n": {"a.b-c_~+/=", "d"},
		"":                             nil,
		"a b\n":                        nil,
		"å\n":                          nil,
		"a\x00b":                       nil,
	} {
		got, err := parseTokens(text)
		if diff := cmp.Diff(want, got); diff != "" || (err == nil) != (want != nil) {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, diff)
		}
	}
}

// FuzzSpec: no file makes it panic, and what is taken is whole.
func FuzzSpec(f *testing.F) {
	f.Add([]byte("from: https://s\ntokenFile: t\nca: c\ncert: d\nkey: e\n"))
	f.Add([]byte("from: &a [*a]\n"))
	f.Add([]byte("sites: []\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := parse(text); err == nil && (s.From == "" || (s.Cert == "") != (s.Key == "")) {
			t.Errorf("it took %+v", s)
		}
	})
}

// FuzzTokens: what is taken can stand in a header.
func FuzzTokens(f *testing.F) {
	f.Add("# x\nabc\n")
	f.Fuzz(func(t *testing.T, text string) {
		tokens, _ := parseTokens(text)
		for _, token := range tokens {
			if strings.ContainsAny(token, " \r\n\t\x00") {
				t.Errorf("it took %q", token)
			}
		}
	})
}
