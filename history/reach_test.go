package history

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

func TestReachSaysWhatIsNotKnown(t *testing.T) {
	p := newPast(t)
	nothing := func(*inventory.Observation) {}
	p.observe(10, "network", nothing)
	p.docs["network"].Gen += 3 // three that never arrived
	p.observe(20, "network", nothing)
	p.observe(70, "network", nothing) // fifty minutes of silence
	p.intend(30, func(inv *sentral.Inventory) { inv.VMs[0].Name = "web-1" })
	reach := ReachOf(p.entries, 25*time.Minute, 5)
	got := map[string]SourceReach{}
	for _, s := range reach.Sources {
		got[s.Source] = s
	}
	network := got["network"]
	if network.Kept != 4 || !network.Dropped || !network.Oldest.Equal(at(0)) || !network.Newest.Equal(at(70)) {
		t.Errorf("network: %+v", network)
	}
	if diff := cmp.Diff([]Gap{{From: at(10), To: at(20), Lost: 3}, {From: at(20), To: at(70)}}, network.Gaps); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	if identity := got["identity"]; identity.Kept != 1 || !identity.Dropped { // its first is gen 2
		t.Errorf("identity: %+v", identity)
	}
	if !reach.Intended.Equal(at(0)) || reach.Versions != 2 {
		t.Errorf("intended since %s in %d versions", reach.Intended, reach.Versions)
	}
	if none := ReachOf(nil, time.Minute, 5); !none.Intended.IsZero() || len(none.Sources) != 0 {
		t.Errorf("of nothing: %+v", none)
	}
}

func TestEntitiesOfPathsWhoseKeysHoldAnything(t *testing.T) {
	for path, want := range map[string][]string{
		"memory":                           nil,
		"image.id":                         nil,
		"nics[52:54:00:aa:00:01].vlan":     {"nics[52:54:00:aa:00:01]"},
		"a[1].b[2.3].c":                    {"a[1]", "a[1].b[2.3]"},
		"disks[/var/x.y].backing[/z].size": {"disks[/var/x.y]", "disks[/var/x.y].backing[/z]"},
		"disks[x]":                         {"disks[x]"},
	} {
		if diff := cmp.Diff(want, entities(path)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	for path, want := range map[string]string{
		"memory": "memory", "nics[x].vlan": "nic.vlan", "disks[a].backing[b].source": "backing.source", "links[eno1]": "link", "image.id": "image.id",
	} {
		if got := fieldOf(path); got != want {
			t.Errorf("field of %s is %s, want %s", path, got, want)
		}
	}
}

// The past is judged by the policy of then, where it is known.
func TestPolicyOfThenIsUsed(t *testing.T) {
	of := func(grace time.Duration) reconcile.Policy {
		p := reconcile.DefaultPolicy()
		p.DocumentAge, p.Source = grace, "policy.yaml"
		p.Problems = []sentral.Problem{{Error: "a newer one is broken"}}
		return p
	}
	books := NewBooks()
	if got := books.Input(at(0), of(time.Minute)).Policy.DocumentAge; got != time.Minute || books.Policy() != nil {
		t.Errorf("where none is known: %s", got)
	}
	said := Judged(of(time.Hour))
	text, _, err := said.Content()
	if err != nil {
		t.Fatal(err)
	}
	kept := Entry{Cause: said.Cause}
	if err := kept.SetContent(text, false); err != nil {
		t.Fatal(err)
	}
	if news, first := books.Take(kept); news || !first {
		t.Errorf("a policy changes a side: %v, or isn't the first: %v", news, first)
	}
	want := of(time.Hour)
	want.Problems = nil
	if diff := cmp.Diff(want, books.Input(at(0), of(time.Minute)).Policy); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
