package incus

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
)

func TestParseCPUs(t *testing.T) {
	for text, want := range map[string]int{"1": 1, "16": 16, "0-3": 4, "2,4-5": 3, "0,0,0-1": 2, "0": 0,
		"": -1, "many": -1, "3-1": -1, "1,": -1, "-1": -1, "0-9999": -1, "1-2-3": -1} {
		n, err := parseCPUs(text)
		if (err != nil) != (want < 0) || err == nil && n != want {
			t.Errorf("parseCPUs(%q) is %d, %v: want %d", text, n, err, want)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]inventory.Bytes{"1GiB": inventory.GiB, "10GB": 10e9, "512": 512, "512B": 512, "10 bytes": 10, "0.5MiB": inventory.MiB / 2} {
		if n, err := parseSize(text); err != nil || n != want {
			t.Errorf("parseSize(%q) is %d, %v: want %d", text, n, err, want)
		}
	}
	for _, text := range []string{"", "bytes", "50%", "big", "-1", "1XiB"} {
		if n, err := parseSize(text); err == nil {
			t.Errorf("parseSize(%q) is %d: want an error", text, n)
		}
	}
}

func TestParseVLANs(t *testing.T) {
	for text, want := range map[string]inventory.VLAN{"1": 1, "4094": 4094, "none": 0, "": 0} {
		v, err := parseVLAN(text)
		if err != nil || (v == nil) != (want == 0) || v != nil && *v != want {
			t.Errorf("parseVLAN(%q) is %v, %v: want %d", text, v, err, want)
		}
	}
	for _, text := range []string{"0", "4095", "-1", "x", " 1"} {
		if v, err := parseVLAN(text); err == nil {
			t.Errorf("parseVLAN(%q) is %v: want an error", text, v)
		}
	}
	got, err := parseTagged("30-32, 20")
	if diff := cmp.Diff([]inventory.VLAN{20, 30, 31, 32}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestMapState(t *testing.T) {
	type mapped struct {
		State inventory.State
		Raw   string
	}
	for code, want := range map[int]mapped{
		102: {inventory.StateStopped, "Stopped"}, 103: {inventory.StateRunning, "Running"}, 106: {inventory.StateRunning, "Starting"},
		110: {inventory.StatePaused, "Frozen"}, 112: {inventory.StateUnknown, "Error"}, 113: {inventory.StateRunning, "Ready"},
		0: {inventory.StateUnknown, "status 0"}, 999: {inventory.StateUnknown, "status 999"},
	} {
		word := want.Raw
		if code == 0 || code == 999 {
			word = ""
		}
		state, raw := mapState(code, word)
		if diff := cmp.Diff(want, mapped{state, raw}); diff != "" {
			t.Errorf("%d (-want +got):\n%s", code, diff)
		}
	}
}

func TestParsePath(t *testing.T) {
	for path, want := range map[string]string{
		"/1.0/instances/c1": "default/c1", "/1.0/instances/c1?project=acme": "acme/c1",
		"/1.0/instances/c1/snapshots/s0?project=a%20b": "a b/c1", "/1.0/instances/": "", "/1.0/images/c1": "", "%": "", "": "",
	} {
		project, name, err := parsePath(path)
		if got := project + "/" + name; (err != nil) != (want == "") || err == nil && got != want {
			t.Errorf("parsePath(%q) is %q, %v: want %q", path, got, err, want)
		}
	}
}

// FuzzParsers: no text brings a parser of configuration values down, and sets
// come out sorted and in bounds.
func FuzzParsers(f *testing.F) {
	for _, seed := range []string{"", "2", "0-3,5", "30-32", "none", "1GiB", "10 bytes", "4095", "/1.0/instances/a?project=b", "-", "65536-65537"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = parseSize(text)
		_, _, _ = parsePath(text)
		if n, err := parseCPUs(text); err == nil && (n < 0 || n > 65535) {
			t.Errorf("%q are %d vCPUs", text, n)
		}
		if v, err := parseVLAN(text); err == nil && v != nil && !v.Valid() {
			t.Errorf("%q is VLAN %d", text, *v)
		}
		if vlans, err := parseTagged(text); err == nil && (!slices.IsSorted(vlans) || len(vlans) > 4094 || text != "" && !vlans[0].Valid()) {
			t.Errorf("%q are VLANs %v", text, vlans)
		}
	})
}

// FuzzInstance: whatever a daemon says of an instance, it has a key, and its
// description can be told on.
func FuzzInstance(f *testing.F) {
	var all []json.RawMessage
	if err := json.Unmarshal([]byte(odd), &all); err != nil {
		f.Fatal(err)
	}
	for _, text := range append(all, []byte(`{}`), []byte(`7`), []byte(`{"name": 7, "expanded_devices": {"a": null}}`)) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		i := decodeInstance(text)
		if i.err != nil {
			return
		}
		r := describe(&i)
		if r.vm.Key() == "" || r.vm.UUID == uuid.Nil && r.vm.Key() != i.Project+"/"+i.Name {
			t.Errorf("key is %q", r.vm.Key())
		}
		o := inventory.Observation{Schema: inventory.Schema, Body: inventory.Body{VMs: []inventory.VM{r.vm}}, Problems: r.problems}
		if err := o.Seal(); err != nil {
			t.Error(err)
		}
	})
}
