package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// settings are flags of every sort.
type settings struct {
	site     string
	sockets  []string
	interval time.Duration
	count    int
}

func flagsOf(s *settings) *pflag.FlagSet {
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	flags.SortFlags = false
	flags.StringVar(&s.site, "site", "default", "`SITE` that the host is in")
	flags.StringArrayVar(&s.sockets, "qmp-socket", nil, "QMP `SOCKET`; may be given more than once")
	flags.DurationVar(&s.interval, "interval", 30*time.Second, "`DURATION` between two passes")
	flags.IntVar(&s.count, "count", 0, "how many")
	flags.String("state-dir", "", "`DIR` of what is kept")
	return flags
}

func TestParseSaysWhatIsWrongByLineAndKey(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"nothing":             {"", nil},
		"comments":            {"# nothing\n#site: a\n", nil},
		"an empty document":   {"---\n", nil},
		"values":              {"site: osl1\nqmp-socket: [/a, /b]\ninterval: 10s\n", nil},
		"one of a list":       {"qmp-socket: /a\n", nil},
		"an alias":            {"site: &a osl1\nstate-dir: *a\n", nil},
		"an unknown key":      {"site: a\ncolour: red\n", []string{"f:2: colour: there is no such key"}},
		"written differently": {"state_dir: /x\n", []string{"f:1: state_dir: there is no such key: did you mean state-dir?"}},
		"in camel case":       {"qmpSockets: /x\n", []string{"f:1: qmpSockets: there is no such key: did you mean qmp-socket?"}},
		"the end of a key":    {"socket: /x\n", []string{"f:1: socket: there is no such key: did you mean qmp-socket?"}},
		"twice":               {"site: a\n\nsite: b\n", []string{"f:3: site: it is set twice, first in line 1"}},
		"no value":            {"site:\n", []string{"f:1: site: it has no value: give it one, or remove the line"}},
		"a list for one":      {"site: [a, b]\n", []string{"f:1: site: it takes one value, and this is a list"}},
		"an empty list":       {"qmp-socket: []\n", []string{"f:1: qmp-socket: the list is empty: remove the line"}},
		"a list in a list":    {"qmp-socket:\n  - [a]\n", []string{"f:1: qmp-socket: line 2: what is in the list must be a text each"}},
		"keys below a key":    {"site:\n  id: a\n", []string{"f:1: site: it takes a value, and this has keys of its own"}},
		"a list":              {"- site\n", []string{"f:1: want lines of the form key: value"}},
		"a word":              {"site\n", []string{"f:1: want lines of the form key: value"}},
		"two documents":       {"site: a\n---\nsite: b\n", []string{"f:2: it holds more than one document: remove all but one"}},
		"a merge":             {"<<: {site: a}\n", []string{"f:1: <<: there is no such key"}},
		"a key that is none":  {"[a]: b\n", []string{"f:1: a key must be a word"}},
		"several":             {"a: 1\nsite: x\nb: 2\n", []string{"f:1: a: there is no such key", "f:3: b: there is no such key"}},
		"not YAML":            {"site: a\n\tcount: 1\n", []string{"f:2: not YAML: found a tab character that violates indentation"}},
	} {
		_, problems := Parse("f", []byte(test.text), flagsOf(&settings{}))
		var got []string
		for _, p := range problems {
			got = append(got, p.In("f"))
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestReadRefusesWhatIsNoFileOfSettings(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, []byte(strings.Repeat("#\n", maxFile)), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		big:                          "is this the file that is meant?",
		dir:                          "is a directory",
		filepath.Join(dir, "nobody"): "no such file",
	} {
		if _, err := Read(path, flagsOf(&settings{})); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if file, err := Open("", filepath.Join(dir, "nobody"), flagsOf(&settings{})); file != nil || err != nil {
		t.Errorf("the usual file isn't there: %v, %v", file, err)
	}
	if file, err := Open(NoFile, big, flagsOf(&settings{})); file != nil || err != nil {
		t.Errorf("no file is wanted: %v, %v", file, err)
	}
}

// A flag goes before its variable, that before the file, and that before the
// default; and what is shown as a value's origin is what gave it.
func TestWhatGoesBeforeWhat(t *testing.T) {
	file := &File{Path: "/etc/f.yaml", Values: []Value{
		{Key: "site", Line: 1, Text: []string{"of-file"}}, {Key: "qmp-socket", Line: 2, Text: []string{"/a", "/b"}},
		{Key: "interval", Line: 4, Text: []string{"3s"}},
	}}
	env := func(name string) string {
		return map[string]string{"AVSTEM_SITE": "of-env", "AVSTEM_INTERVAL": "2s"}[name]
	}
	var s settings
	flags := flagsOf(&s)
	if err := flags.Parse([]string{"--site", "of-flag"}); err != nil {
		t.Fatal(err)
	}
	if err := Apply(flags, file, env); err != nil {
		t.Fatal(err)
	}
	want := settings{"of-flag", []string{"/a", "/b"}, 2 * time.Second, 0}
	if diff := cmp.Diff(want, s, cmp.AllowUnexported(settings{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	origins := []Origin{
		{Key: "site", Value: "of-flag", From: "--site"}, {Key: "qmp-socket", Value: "/a,/b", From: "/etc/f.yaml:2"},
		{Key: "interval", Value: "2s", From: "AVSTEM_INTERVAL"}, {Key: "count", Value: "0", From: Default}, {Key: "state-dir", From: Default},
	}
	if diff := cmp.Diff(origins, Origins(flags, file, env)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAValueThatItsFlagDoesNotTake(t *testing.T) {
	none := func(string) string { return "" }
	file := &File{Path: "f", Values: []Value{{Key: "interval", Line: 7, Text: []string{"soon"}}}}
	err := Apply(flagsOf(&settings{}), file, none)
	if err == nil || err.Error() != `f:7: interval: time: invalid duration "soon"` {
		t.Errorf("got %v", err)
	}
	if got := Check(flagsOf(&settings{}), file); len(got) != 1 || got[0].Line != 7 || got[0].Key != "interval" {
		t.Errorf("got %+v", got)
	}
	err = Apply(flagsOf(&settings{}), nil, func(name string) string { return map[string]string{"AVSTEM_COUNT": "many"}[name] })
	if bad, ok := errors.AsType[*VariableError](err); !ok || bad.Name != "AVSTEM_COUNT" {
		t.Errorf("got %v", err)
	}
}

func TestNoPasswordIsShown(t *testing.T) {
	for in, want := range map[string]string{
		"tls://nats.example.net":              "tls://nats.example.net",
		"nats://u:secret@a:4222,nats://tok@b": "nats://u:xxxxx@a:4222,nats://xxxxx@b",
		"/etc/avstem/agent.creds":             "/etc/avstem/agent.creds",
	} {
		if got := shown(in); got != want {
			t.Errorf("%s is shown as %s, want %s", in, got, want)
		}
	}
}

// Whoever removes every # before a key of the example has a file that is right.
func TestExampleIsRightWhenItsKeysAreSet(t *testing.T) {
	text := Example(flagsOf(&settings{}), "Settings.\nOf a test.", nil)
	if file, problems := Parse("f", []byte(text), flagsOf(&settings{})); len(problems) > 0 || len(file.Values) > 0 {
		t.Errorf("as it is: %+v, %+v", file, problems)
	}
	var set []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "# ") {
			line = line[1:]
		}
		set = append(set, line)
	}
	flags := flagsOf(&settings{})
	file, problems := Parse("f", []byte(strings.Join(set, "")), flags)
	problems = append(problems, Check(flags, file)...)
	if len(problems) > 0 || len(file.Values) != 5 {
		t.Errorf("with its keys set: %+v, %+v\n%s", file, problems, text)
	}
}

func TestSecret(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"right": 0o600, "group": 0o640, "open": 0o644, "writable": 0o602} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil { // whatever the umask
			t.Fatal(err)
		}
	}
	service := func(name string) string { return map[string]string{credentialsDir: dir}[name] }
	nobody := func(string) string { return "" }
	for name, test := range map[string]struct {
		value string
		env   func(string) string
		path  string
		err   string
	}{
		"none":                      {"", nobody, "", ""},
		"a file":                    {dir + "/right", nobody, dir + "/right", ""},
		"a file of a group":         {dir + "/group", nobody, dir + "/group", ""},
		"a file for all":            {dir + "/open", nobody, "", "chmod o-rwx " + dir + "/open"},
		"a file that all may write": {dir + "/writable", nobody, "", "chmod o-rwx"},
		"no file":                   {dir + "/none", nobody, "", "no such file"},
		"a directory":               {dir, nobody, "", "no file"},
		"a credential":              {"right", service, dir + "/right", ""},
		"a credential that is not":  {"none", service, "", "see LoadCredential= in its unit"},
		"a credential of nobody":    {"right", nobody, "", "CREDENTIALS_DIRECTORY"},
	} {
		got, err := Secret(test.value, test.env)
		if got != test.path || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: %q, %v; want %q, %q", name, got, err, test.path, test.err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"site: a\n", "qmp-socket: [a, *b]\n", "a: &a\n  <<: *a\n", "---\n...\n---\n", "\xff", "? [a]\n: b\n", "- - -\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		flags := flagsOf(&settings{})
		file, problems := Parse("f", data, flags)
		for _, v := range file.Values {
			if flags.Lookup(v.Key) == nil || len(v.Text) == 0 || v.Line == 0 {
				t.Errorf("value %+v", v)
			}
		}
		Check(flags, file)
		for _, p := range problems {
			if p.Error == "" {
				t.Errorf("problem %+v", p)
			}
		}
	})
}

// What is filled in is what is read, and nothing else changes.
func TestFill(t *testing.T) {
	example := Example(flagsOf(&settings{}), "Settings.", nil)
	for name, test := range map[string]struct{ text, key, value string }{
		"a commented key":    {example, "site", "osl1"},
		"an empty file":      {"", "state-dir", "/var/lib/x"},
		"without line break": {"interval: 10s", "site", "a"},
		"a value to quote":   {example, "state-dir", "/srv/a: b # c"},
		"a word of YAML's":   {example, "site", "yes"},
		"nothing, in YAML":   {example, "site", "null"},
		"an anchor":          {example, "site", "&a"},
	} {
		text, err := Fill(test.text, test.key, test.value)
		if err != nil {
			t.Fatal(err)
		}
		file, problems := Parse("f", []byte(text), flagsOf(&settings{}))
		if len(problems) > 0 || file.First(test.key) != test.value {
			t.Errorf("%s: it reads %q, %v, want %q:\n%s", name, file.First(test.key), problems, test.value, text)
		}
		before, _ := Parse("f", []byte(test.text), flagsOf(&settings{}))
		if len(file.Values) != len(before.Values)+1 {
			t.Errorf("%s: there were %d keys, and now %d", name, len(before.Values), len(file.Values))
		}
		if strings.Contains(test.text, "#"+test.key+":") && strings.Count(text, "\n") != strings.Count(test.text, "\n") {
			t.Errorf("%s: the comment stays beside it:\n%s", name, text)
		}
	}
}
