package kvsource

import (
	"regexp"
	"testing"

	"github.com/dataverket/avstem/sentral"
)

// allowed are the keys that NATS takes.
var allowed = regexp.MustCompile(`^[-/_=.a-zA-Z0-9]+$`)

// FuzzKey: every ID makes a key that NATS takes and that is read as the ID.
func FuzzKey(f *testing.F) {
	f.Add("0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001", "20261101")
	f.Add("a/b.c ø", "=")
	f.Add("*", ">")
	f.Fuzz(func(t *testing.T, one, two string) {
		if one == "" || two == "" {
			return
		}
		text := keyOf(&sentral.Image{ID: one, Version: two})
		kind, id, err := parseKey(text)
		if err != nil || kind != "image" || len(id) != 2 || id[0] != one || id[1] != two || !allowed.MatchString(text) {
			t.Errorf("%q of %q, %q is read as %s %q, %v", text, one, two, kind, id, err)
		}
	})
}

// FuzzValue: no key and value make it panic, and they give one record, or say
// that something is lost.
func FuzzValue(f *testing.F) {
	f.Add("vm.a", []byte(`{"id": "a", "name": "a", "nics": [{"mac": "x"}]}`))
	f.Add("vm.a", []byte(`{"id": "a"}], "hosts": [{}`))
	f.Add("vm", []byte(``))
	f.Add("host.=00", []byte(`{"id": "\u0000"}`))
	f.Fuzz(func(t *testing.T, key string, data []byte) {
		v := read("nats-kv:x", key, data)
		lost := len(v.faults) == 1 && v.faults[0].Lost
		if len(v.records) != 1 && !lost {
			t.Errorf("%q = %q: %d records, faults %v", key, data, len(v.records), v.faults)
		}
		for _, r := range v.records {
			if _, out := r.Value.(*sentral.LeftOut); !out && keyOf(r.Value) != key {
				t.Errorf("%q gives the record of %q", key, keyOf(r.Value))
			}
		}
		sentral.Assemble(v.records, v.faults)
	})
}

// FuzzMarker: what is taken is of our schema and has a state.
func FuzzMarker(f *testing.F) {
	f.Add([]byte(`{"schema":"avstem.sentral/v1","state":"complete","records":3}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, err := parseMarker(data); err == nil && (m.Schema != Schema || m.State != stateLoading && m.State != stateComplete) {
			t.Errorf("%q is taken as %+v", data, m)
		}
	})
}
