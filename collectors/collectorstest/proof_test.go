package collectorstest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/inventory"
)

func TestReadProofs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "proof.txt")
	read := func(text string) (Proofs, error) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return ReadProofs(file)
	}
	got, err := read("# how\n\nreal     *          a/b  TestC: d: e\nwritten  link.vlan  a/b TestF: g\n")
	want := Proofs{{Real, "*", "a/b", "TestC", "d: e"}, {Written, "link.vlan", "a/b", "TestF", "g"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for text, fault := range map[string]string{
		"real * a/b TestC":                              "is not: standing",
		"real a/b TestC: d":                             "is not: standing",
		"true * a/b TestC: d":                           "no standing",
		"real * a/b TestC: d\nwritten * a/b TestC: d\n": "stands twice",
	} {
		if _, err := read(text); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%q: %v, want one with %q", text, err, fault)
		}
	}
}

func TestProofOfAField(t *testing.T) {
	all := Proofs{{Test: "TestAll", Field: "*"}, {Test: "TestLinks", Field: "link.*"}, {Test: "TestVLAN", Field: "link.vlan"}}
	for field, want := range map[inventory.Field]string{"vm.uuid": "TestAll", "link.mtu": "TestLinks", "link.vlan": "TestVLAN"} {
		if p, found := all.Of(field); !found || p.Test != want {
			t.Errorf("%s: %s, want %s", field, p.Test, want)
		}
	}
	if p, found := all[1:].Of("vm.uuid"); found {
		t.Errorf("vm.uuid has proof %+v", p)
	}
}

func TestProofFaults(t *testing.T) {
	declared := func(fields ...inventory.Field) (all []inventory.Capability) {
		for _, f := range fields {
			all = append(all, inventory.Capability{Field: f, Known: inventory.KnownDirect})
		}
		return all
	}
	seen := []*inventory.Observation{{
		Capabilities: append(declared("link.kind", "link.master", "link.mtu", "link.name"), inventory.Capability{Field: "link.up", Known: inventory.KnownAbsent}),
		Body:         inventory.Body{Links: []inventory.Link{{Name: "a", Kind: "bridge"}}},
	}}
	all := Proofs{{Real, "link.name", "a", "TestA", ""}, {Written, "link.kind", "a", "TestB", ""}, {Marked, "link.master", "a", "TestA", ""}}
	want := []string{"link.kind is not only written by hand: TestA shows it", "TestA does not show link.master", "link.mtu has no proof"}
	if diff := cmp.Diff(want, all.faults("TestA", seen)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want = []string{"link.kind is not only written by hand: TestC shows it"}
	if diff := cmp.Diff(want, append(all, Proof{Real, "*", "a", "TestD", ""}).faults("TestC", seen)); diff != "" {
		t.Errorf("of another test (-want +got):\n%s", diff)
	}
}
