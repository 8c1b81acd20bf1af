package document

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// assemble reads one file's text as a directory with that file alone would be.
func assemble(name, text string) (*sentral.Inventory, Content) {
	c := Parse(name, []byte(text))
	faults := c.Faults
	if c.Broken != nil {
		faults = append(faults, *c.Broken)
	}
	return sentral.Assemble(c.Records, faults), c
}

// problems gives an inventory's problems as lines.
func problems(inv *sentral.Inventory) []string {
	var lines []string
	for _, p := range inv.Problems {
		lines = append(lines, p.String())
	}
	return lines
}

func TestWhatYAMLAllows(t *testing.T) {
	four := 4 * inventory.GiB
	base := sentral.VM{Tenant: "acme", Project: "web", Environment: "prod", Site: "osl1", Memory: &four}
	with := func(id, name string, change func(*sentral.VM)) sentral.VM {
		vm := base
		vm.ID, vm.Name = id, name
		if change != nil {
			change(&vm)
		}
		return vm
	}
	const fields = "tenant: acme, project: web, environment: prod, site: osl1, memory: 4GiB"
	for name, c := range map[string]struct {
		text string
		want []sentral.VM
	}{
		"text without quotes": {
			text: "vms:\n- {id: 20261101, name: 1.10, machine: 2026-11-01, antiAffinity: 0x1f, " + fields + "}\n",
			want: []sentral.VM{with("20261101", "1.10", func(vm *sentral.VM) { vm.Machine, vm.AntiAffinity = "2026-11-01", "0x1f" })},
		},
		"merge keys": {
			text: "vms:\n- &base {id: a, name: a, " + fields + "}\n- {<<: *base, id: b, name: b}\n- <<: [{id: c}, *base]\n  name: c\n",
			want: []sentral.VM{with("a", "a", nil), with("b", "b", nil), with("c", "c", nil)},
		},
		"aliases": {
			text: "vms:\n- {id: a, name: a, image: &i {id: x}, " + fields + "}\n- {id: b, name: &n b, image: *i, host: *n, " + fields + "}\n",
			want: []sentral.VM{
				with("a", "a", func(vm *sentral.VM) { vm.Image = &sentral.ImageRef{ID: "x"} }),
				with("b", "b", func(vm *sentral.VM) { vm.Image, vm.Host = &sentral.ImageRef{ID: "x"}, "b" }),
			},
		},
		"several documents": {
			text: "# nothing yet\n---\nvms: [{id: a, name: a, " + fields + "}]\n---\n---\nvms: [{id: b, name: b, " + fields + "}]\n",
			want: []sentral.VM{with("a", "a", nil), with("b", "b", nil)},
		},
		"byte order mark and CRLF": {
			text: "\ufeffvms:\r\n- id: a\r\n  name: a\r\n  tenant: acme\r\n  project: web\r\n  environment: prod\r\n  site: osl1\r\n  memory: 4 GiB\r\n",
			want: []sentral.VM{with("a", "a", nil)},
		},
		"sizes":      {text: "vms: [{id: a, name: a, " + strings.Replace(fields, "4GiB", "4294967296", 1) + "}]\n", want: []sentral.VM{with("a", "a", nil)}},
		"empty text": {text: "vms: [{id: a, name: a, host: '', " + fields + "}]\n", want: []sentral.VM{with("a", "a", nil)}},
		"comments":   {text: "# nothing yet\n"},
		"no records": {text: "vms: []\n"},
	} {
		t.Run(name, func(t *testing.T) {
			_, got := assemble("vms.yaml", c.text)
			var vms []sentral.VM
			for _, r := range got.Records {
				vms = append(vms, *r.Value.(*sentral.VM))
				for _, fault := range r.Faults {
					t.Errorf("%s: %s: %s", fault.Place, fault.Key, fault.Error)
				}
			}
			if diff := cmp.Diff(c.want, vms); diff != "" || got.Broken != nil || got.Faults != nil {
				t.Errorf("(-want +got):\n%s\nbroken: %v, faults: %v", diff, got.Broken, got.Faults)
			}
		})
	}
}

func TestJSON(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"good": {text: "{\n\t\"sites\": [{\"id\": \"osl1\", \"name\": \"Osl\\u00f8 \\ud83d\\ude00\"}]\n}\n"},
		"number for text": {
			text: `{"images": [{"id": "debian", "version": 20261101}]}`,
			want: []string{"a.json:1:41: image debian: version: want text, and not 20261101: put it in quotes"},
		},
		"columns are characters": {
			text: "{\n \"sites\": [{\"name\": \"Øæå\", \"id\": \"Ø\"}]}",
			want: []string{`a.json:2:34: site Ø: id: "Ø" can't be a site's ID, since it is part of NATS subjects: want up to 63 of a-z, 0-9 and -, not - first`},
		},
		"unknown key": {
			text: "{\"sites\": [\n  {\"id\": \"osl1\",\n   \"nmae\": \"Oslo\"}]}",
			want: []string{`a.json:3:4: site osl1: nmae: unknown key: did you mean "name"?`},
		},
		"key twice": {
			text: "{\"sites\": [{\"id\": \"osl1\",\n \"id\": \"trd1\"}]}",
			want: []string{"a.json:2:2: site osl1: id: is given twice: it stands at line 1 too"},
		},
		"null":     {text: `{"sites": [{"id": null}]}`, want: []string{"a.json:1:19: site: id: is empty: give a value, or leave the key out"}},
		"no merge": {text: `{"sites": [{"id": "a", "<<": {"name": "b"}}]}`, want: []string{"a.json:1:24: site a: <<: unknown key: want one of id, name"}},
		"trailing comma": {
			text: "{\"sites\": [\n {\"id\": \"osl1\"},\n]}",
			want: []string{"a.json:3:1: not JSON, or only half of it: invalid character ']' looking for beginning of value"},
		},
		"half-written": {
			text: "{\"sites\": [\n {\"id\": \"osl1\"},\n {\"id\": ",
			want: []string{"a.json:3:8: not JSON, or only half of it: the file ends in the middle"},
		},
		"half-written in text": {
			text: "{\"sites\": [\n {\"id\": \"os",
			want: []string{"a.json:2:12: not JSON, or only half of it: the file ends in the middle"},
		},
		"two documents": {text: "{}\n{}\n", want: []string{"a.json:2:1: not JSON: something follows the document: want one document a file"}},
		"too deep":      {text: strings.Repeat("[", 200), want: []string{"a.json:1:101: nested more than 100 deep"}},
		"a list":        {text: `[{"sites": []}]`, want: []string{"a.json:1:1: a document is a mapping of sites, vms and so on: this is a list"}},
	} {
		t.Run(name, func(t *testing.T) {
			inv, _ := assemble("a.json", c.text)
			if diff := cmp.Diff(c.want, problems(inv)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestSyntaxErrorsNameTheLine holds the lines that are named to those that the
// mistake is on, wherever the YAML parser says that it is.
func TestSyntaxErrorsNameTheLine(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"quote":             {"vms:\n  - id: a\n    name: \"we", "a.yaml:3:5: not YAML, or only half of it: found unexpected end of stream"},
		"dedent":            {"vms:\n  - id: a\n    name: web\n  bad: x\n  - id: b\n", "a.yaml:4:3: not YAML, or only half of it: did not find expected '-' indicator"},
		"dedent of a key":   {"vms:\n  - id: a\n  name: b\n  state: running\n", "a.yaml:3:3: not YAML, or only half of it: did not find expected '-' indicator"},
		"conflict":          {"vms:\n<<<<<<< HEAD\n  - id: a\n=======\n  - id: b\n>>>>>>> other\n", "a.yaml:2:1: a merge of git's was left half done here: keep one of the two sides, and take out the lines of <<<<<<<, ======= and >>>>>>>"},
		"indent":            {"vms:\n  - id: a\n    name: web\n     x: 1\n", "a.yaml:4:6: not YAML, or only half of it: mapping values are not allowed in this context"},
		"brace":             {"sites:\n  - {id: a, name: b}\n  - {id: c, na", "a.yaml:3:3: not YAML, or only half of it: did not find expected ',' or '}'"},
		"bracket":           {"sites:\n  - {id: c}\nvms:\n  - {id: c, nics: [{mac: a},", "a.yaml:4:3: not YAML, or only half of it: did not find expected node content"},
		"tab":               {"vms:\n  - id: a\n\tname: web\n", "a.yaml:2:3: not YAML, or only half of it: found a tab character that violates indentation"},
		"anchor":            {"sites: []\nvms: *x", "a.yaml:2:1: not YAML, or only half of it: unknown anchor 'x' referenced"},
		"key without value": {"vms:\n  - id: a\n    name", "a.yaml:3:5: not YAML, or only half of it: could not find expected ':'"},
		"first line":        {"a: @x\nb: 1\n", "a.yaml:1:1: not YAML, or only half of it: found character that cannot start any token"},
		"empty":             {" \n", "a.yaml:1:1: the file is empty: write something into it, or remove it"},
		"UTF-16":            {"\xff\xfev\x00", "a.yaml:1:1: the file is UTF-16: save it as UTF-8"},
		"byte order mark":   {"a: b\n\ufeff", "a.yaml:2:1: byte order mark in the middle of the file: remove it"},
	} {
		t.Run(name, func(t *testing.T) {
			_, got := assemble("a.yaml", c.text)
			if got.Broken == nil {
				t.Fatal("no fault")
			}
			if line := got.Broken.Place.String() + ": " + got.Broken.Error; line != c.want {
				t.Errorf("got  %s\nwant %s", line, c.want)
			}
		})
	}
}

func TestAliasBombs(t *testing.T) {
	thousand := strings.TrimSuffix(strings.Repeat("*n,", 1000), ",")
	hundred := strings.TrimSuffix(strings.Repeat("*m,", 100), ",")
	for name, text := range map[string]string{
		"lists":  "vms:\n- {id: a, disks: &n [" + strings.TrimSuffix(strings.Repeat("{name: x},", 10000), ",") + "]}\n" + strings.Repeat("- {id: b, disks: *n}\n", 200),
		"merges": "vms:\n- &m {id: a}\n" + strings.Repeat("- &m {<<: ["+hundred+"]}\n", 10),
		"values": "vms:\n- {id: a, nics: [&n {network: x}]}\n" + strings.Repeat("- {id: b, nics: ["+thousand+"]}\n", 1000),
		"itself": "vms:\n- &m {id: a, <<: *m}\n",
	} {
		t.Run(name, func(t *testing.T) {
			inv, _ := assemble("a.yaml", text)
			if len(inv.Problems) == 0 || inv.VMs != nil {
				t.Errorf("it was taken: %v", problems(inv))
			}
			flooded := slices.ContainsFunc(inv.Problems, func(p sentral.Problem) bool { return p.Error == "aliases unfold to more than 1000000 values" })
			if flooded != (name != "itself") {
				t.Errorf("got %d problems, the last of them %s", len(inv.Problems), inv.Problems[len(inv.Problems)-1])
			}
		})
	}
}

// TestLeftOut: whatever can be known of a record that isn't used is remembered.
func TestLeftOut(t *testing.T) {
	const text = `vms:
  - {id: a, name: web, runtimeID: 0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001, memory: lots, nics: [{mac: "52:54:00:00:00:01", network: n}, {mac: bad, network: n}]}
  - {name: [x], id: 0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0002}
  - {id: {}, name: db, vcpus: 1}
hosts:
  - {id: hv1, name: h, hostID: 0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0003, systemUUID: 0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0004, serial: X1, links: [{mac: "52:54:00:00:00:02"}]}
images: [{id: debian}]
projects: [{id: web}]
`
	want := []sentral.LeftOut{
		{Type: "vm", ID: "a", Name: "web", UUID: uuid.MustParse("0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001"), MACs: []inventory.MAC{{0x52, 0x54, 0, 0, 0, 1}}},
		{Type: "vm", ID: "0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0002", UUID: uuid.MustParse("0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0002")},
		{Type: "vm", Name: "db"},
		{
			Type: "host", ID: "hv1", Name: "h", UUID: uuid.MustParse("0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0003"),
			SystemUUID: uuid.MustParse("0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0004"), Serial: "X1", MACs: []inventory.MAC{{0x52, 0x54, 0, 0, 0, 2}},
		},
		{Type: "image", Name: "debian"},
		{Type: "project", Name: "web"},
	}
	inv, _ := assemble("a.yaml", text)
	if diff := cmp.Diff(want, inv.LeftOut); diff != "" || inv.Incomplete {
		t.Errorf("incomplete: %v (-want +got):\n%s", inv.Incomplete, diff)
	}
}
