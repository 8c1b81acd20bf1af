package edit

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/document"
)

const block = `# the web
vms:
  - id: a   # ours
    name: "web"
    vcpus: 2 # as bought
    memory: 4GiB
    image: {id: debian, version: "1"}
    nics:
      - {mac: "52:54:00:00:00:01", network: n1} # first
      # the second is for backups
      - mac: "52:54:00:00:00:02"
        network: n2
    disks: [{name: root, size: 20GiB}, {name: data}]
    host: hv1
# the end
  - {id: b, name: b}
`

func TestApply(t *testing.T) {
	for name, c := range map[string]struct {
		text         string // block, if ""
		file         string
		line, column int // 3:5, if 0
		changes      []Change
		was, is      string // what is replaced, once
		fails        string
	}{
		"number":              {changes: []Change{{"vcpus", 4}}, was: "vcpus: 2 #", is: "vcpus: 4 #"},
		"text keeps quotes":   {changes: []Change{{"name", "db"}}, was: `"web"`, is: `"db"`},
		"size":                {changes: []Change{{"memory", "8GiB"}}, was: "4GiB", is: "8GiB"},
		"text that needs any": {changes: []Change{{"host", "yes"}}, was: "hv1", is: `"yes"`},
		"MAC":                 {changes: []Change{{"nics[1].mac", "52:54:00:00:00:03"}}, was: "00:02", is: "00:03"},
		"in a flow":           {changes: []Change{{"image.version", "2"}}, was: `"1"`, is: `"2"`},
		"element in a flow":   {changes: []Change{{"nics[0].network", "n3"}}, was: "n1", is: "n3"},
		"new key":             {changes: []Change{{"state", "stopped"}}, was: "host: hv1\n", is: "host: hv1\n    state: stopped\n"},
		"new key in a flow":   {changes: []Change{{"disks[1].size", "1GiB"}}, was: "{name: data}", is: "{name: data, size: 1GiB}"},
		"new element":         {changes: []Change{{"nics[2]", Fields{{"mac", "52:54:00:00:00:04"}, {"network", "n1"}}}}, was: "network: n2\n", is: "network: n2\n      - {mac: \"52:54:00:00:00:04\", network: n1}\n"},
		"new element, flow":   {changes: []Change{{"disks[2]", Fields{{"name", "log"}}}}, was: "{name: data}]", is: "{name: data}, {name: log}]"},
		"no more key":         {changes: []Change{{"host", nil}}, was: "    host: hv1\n", is: ""},
		"no more element":     {changes: []Change{{"nics[1]", nil}}, was: "      - mac: \"52:54:00:00:00:02\"\n        network: n2\n", is: ""},
		"no more, flow":       {changes: []Change{{"disks[0]", nil}}, was: "{name: root, size: 20GiB}, ", is: ""},
		"no more, flow's end": {changes: []Change{{"disks[1]", nil}}, was: ", {name: data}", is: ""},
		"no more key, flow":   {changes: []Change{{"disks[0].size", nil}}, was: ", size: 20GiB", is: ""},
		"what isn't there":    {changes: []Change{{"state", nil}}, was: "vcpus", is: "vcpus"},
		"several":             {changes: []Change{{"vcpus", 4}, {"host", "hv2"}}, was: "vcpus", is: "vcpus"},
		"nothing before": {
			text: "vms:\n  - {id: b, name: b}\n", line: 2, column: 5, changes: []Change{{"nics[0]", Fields{{"network", "n1"}}}}, was: "name: b", is: "name: b, nics: [{network: n1}]",
		},
		"new map": {text: "networks:\n- id: n\n  tenant: a", line: 2, column: 3, changes: []Change{{"vlans.osl1", 110}}, was: "tenant: a", is: "tenant: a\n  vlans: {osl1: 110}"},
		"JSON":    {text: "{\"vms\": [\n {\"id\": \"b\", \"vcpus\": 2}\n]}", file: "a.json", line: 2, column: 2, changes: []Change{{"vcpus", 4}, {"host", "hv1"}}, was: "2}", is: "4, \"host\": \"hv1\"}"},
		"CRLF":    {text: "vms:\r\n  - id: a\r\n    name: b\r\n", line: 2, column: 5, changes: []Change{{"host", "c"}}, was: "name: b\r\n", is: "name: b\r\n    host: c\r\n"},
		"letters of several bytes": {
			text: "sites:\n  - {name: Tromsø, id: \"a\"}\n", line: 2, column: 5, changes: []Change{{"id", "b"}}, was: `"a"`, is: `"b"`,
		},
		"anchor":      {text: "vms:\n  - &x {id: a, name: b}\n  - {<<: *x, id: c}\n", line: 2, column: 5, changes: []Change{{"name", "d"}}, fails: "anchor"},
		"alias":       {text: "vms:\n  - {id: a, image: &i {id: x}}\n  - {id: b, image: *i}\n", line: 3, column: 5, changes: []Change{{"image.id", "y"}}, fails: "anchor"},
		"merged":      {text: "vms:\n  - &x {id: a, name: b}\n  - {<<: *x, id: c}\n", line: 3, column: 5, changes: []Change{{"name", nil}}, fails: "merged in"},
		"gone":        {line: 4, column: 5, changes: []Change{{"name", "x"}}, fails: "isn't there any more"},
		"bad key":     {changes: []Change{{"nics[x]", "x"}}, fails: "is no key"},
		"unknown key": {changes: []Change{{"colour", "red"}}, fails: "could not be used afterwards"},
		"bad value":   {changes: []Change{{"vcpus", "many"}}, fails: "could not be used afterwards"},
		"beyond":      {changes: []Change{{"nics[7]", Fields{}}}, fails: "the list has 2 elements"},
		"only one":    {text: "vms:\n- id: a\n  nics:\n  - network: n\n", line: 2, column: 3, changes: []Change{{"nics[0]", nil}}, fails: "only element"},
	} {
		t.Run(name, func(t *testing.T) {
			text, file, line, column := c.text, c.file, c.line, c.column
			if text == "" {
				text = strings.Replace(block, "# the end\n", "", 1)
			}
			if file == "" {
				file = "a.yaml"
			}
			if line == 0 {
				line, column = 3, 5
			}
			got, err := Apply(file, []byte(text), line, column, c.changes)
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("%v, want %q\n%s", err, c.fails, got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Replace(text, c.was, c.is, 1)
			if name == "several" {
				want = strings.NewReplacer("vcpus: 2", "vcpus: 4", "hv1", "hv2").Replace(text)
			}
			if diff := cmp.Diff(want, string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzApply: no file makes it panic, and what comes out can be read, has the
// change, and has changed nothing else.
func FuzzApply(f *testing.F) {
	f.Add([]byte(block), true)
	f.Add([]byte("vms:\n- {id: a, name: b, vcpus: 1}\n"), false)
	f.Add([]byte("vms: [{id: a, 'name': 'it''s', vcpus: 01}]\n"), false)
	f.Add([]byte("vms:\n- id: a\n  # x\n\n- id: b\n  name: |\n    x\n"), false)
	f.Add([]byte(`{"vms": [{"id": "a"}]}`), true)
	f.Fuzz(func(t *testing.T, text []byte, second bool) {
		c := document.Parse("a.yaml", text)
		for i, record := range c.Records {
			vm, is := record.Value.(*sentral.VM)
			if !is || len(record.Faults) > 0 || vm.VCPUs != nil && *vm.VCPUs == 7 {
				continue
			}
			place := record.Place("")
			change := Change{"vcpus", 7}
			if second {
				change = Change{"host", "a b"}
			}
			out, err := Apply("a.yaml", text, place.Line, place.Column, []Change{change})
			if err != nil {
				if _, by := errors.AsType[ByHandError](err); !by {
					t.Errorf("%v", err)
				}
				continue
			}
			again := document.Parse("a.yaml", out)
			if again.Broken != nil || len(again.Records) != len(c.Records) {
				t.Fatalf("it can't be read any more:\n%s", out)
			}
			got := again.Records[i].Value.(*sentral.VM)
			want := *vm
			if second {
				want.Host = "a b"
			} else {
				seven := 7
				want.VCPUs = &seven
			}
			if diff := cmp.Diff(&want, got); diff != "" {
				t.Errorf("%s\nbecame\n%s\n(-want +got):\n%s", text, out, diff)
			}
		}
	})
}
