package main

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

func TestSelection(t *testing.T) {
	f := reconcile.Finding{Kind: "nic.vlan", Severity: reconcile.High,
		Subject: reconcile.Subject{Platform: "libvirt", Site: "osl1", Tenant: "acme", Project: "web"}}
	tests := []struct {
		name  string
		asked selection
		want  bool
		words string
	}{
		{"everything", selection{}, true, ""},
		{"its platform", selection{platform: "libvirt"}, true, "platform libvirt"},
		{"another platform", selection{platform: "incus"}, false, "platform incus"},
		{"its site", selection{site: "osl1"}, true, "site osl1"},
		{"another site", selection{site: "trd1"}, false, "site trd1"},
		{"its tenant", selection{tenant: "acme"}, true, "tenant acme"},
		{"another tenant", selection{tenant: "nordlys"}, false, "tenant nordlys"},
		{"its project", selection{project: "web"}, true, "project web"},
		{"its project in full", selection{project: "acme/web"}, true, "project acme/web"},
		{"another tenant's project", selection{project: "nordlys/web"}, false, "project nordlys/web"},
		{"its severity", selection{severity: "high"}, true, "high or worse"},
		{"a lower severity", selection{severity: "info"}, true, "info or worse"},
		{"a higher severity", selection{severity: "critical"}, false, "critical or worse"},
		{"its kind", selection{kinds: []string{"nic.vlan"}}, true, "kind nic.vlan"},
		{"its kind among others", selection{kinds: []string{"vm", "NIC.*"}}, true, "kind vm or NIC.*"},
		{"another kind", selection{kinds: []string{"nic.model", "vm"}}, false, "kind nic.model or vm"},
		{"a part of a kind's name", selection{kinds: []string{"ni"}}, false, "kind ni"},
		{"all of it", selection{platform: "libvirt", site: "osl1", severity: "high"}, true, "platform libvirt, site osl1, high or worse"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.asked.takes(&f); got != test.want {
				t.Errorf("takes it: %v, want %v", got, test.want)
			}
			if got := test.asked.words(); got != test.words {
				t.Errorf("words %q, want %q", got, test.words)
			}
		})
	}
}

func TestExitCode(t *testing.T) {
	for want, err := range map[int]error{
		exitOK: nil, exitError: errors.New("read: no"), exitUsage: fmt.Errorf("x: %w", usageError{errors.New("no")}), exitDrift: driftError{},
	} {
		if got := exitCode(err); got != want {
			t.Errorf("exitCode(%v) = %d, want %d", err, got, want)
		}
	}
}

// doc is a document of a host's source at a minute past ten.
func doc(host byte, source string, epoch, gen uint64, minute int) *inventory.Observation {
	return &inventory.Observation{Host: uuid.UUID{15: host}, Source: source, Epoch: epoch, Gen: gen,
		ObservedAt: time.Date(2026, 11, 24, 11, minute, 0, 0, time.FixedZone("CET", 3600))}
}

func TestNewest(t *testing.T) {
	a1, a2, a3, b1, a1other := doc(1, "network", 1, 9, 50), doc(1, "network", 2, 1, 10), doc(1, "network", 2, 2, 5), doc(2, "network", 1, 1, 0), doc(1, "storage", 1, 1, 0)
	got := newest([]*inventory.Observation{a2, b1, a3, a1, a1other, a3})
	want := []*inventory.Observation{a3, b1, a1other}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestNewInput(t *testing.T) {
	at := func(hour, minute int) time.Time { return time.Date(2026, 11, 24, hour, minute, 0, 0, time.UTC) }
	observed := func() []*inventory.Observation {
		return []*inventory.Observation{doc(1, "network", 1, 1, 0), doc(1, "storage", 1, 1, 30), doc(2, "network", 1, 1, 10)}
	}
	one, two := uuid.UUID{15: 1}, uuid.UUID{15: 2}
	tests := []struct {
		name     string
		at       time.Time
		now      time.Time
		received []time.Time
		heard    map[uuid.UUID]time.Time
	}{
		{"all as just seen", time.Time{}, at(10, 30), []time.Time{at(10, 30), at(10, 30), at(10, 30)},
			map[uuid.UUID]time.Time{one: at(10, 30), two: at(10, 30)}},
		{"as of a time", at(12, 0), at(12, 0), []time.Time{at(10, 0), at(10, 30), at(10, 10)},
			map[uuid.UUID]time.Time{one: at(10, 30), two: at(10, 10)}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := newInput(&sentral.Inventory{}, observed(), test.at)
			var received []time.Time
			for _, d := range in.Observed {
				received = append(received, d.Received)
				if d.ObservedAt.Location() != time.UTC {
					t.Errorf("%s is not in UTC", d.ObservedAt)
				}
			}
			if !in.Now.Equal(test.now) {
				t.Errorf("now %s, want %s", in.Now, test.now)
			}
			if diff := cmp.Diff(test.received, received); diff != "" {
				t.Errorf("received (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.heard, in.Heard); diff != "" {
				t.Errorf("heard (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSitesOf(t *testing.T) {
	info := `{"name":"avstem-reconcile","endpoints":[{"subject":"avstem.v1.reconcile.osl1.explain"},{"subject":"avstem.v1.reconcile.osl1.status"},{"subject":"other.x.explain"}]}`
	if diff := cmp.Diff([]string{"osl1"}, sitesOf([]byte(info))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := sitesOf([]byte("{")); got != nil {
		t.Errorf("got %v of what is no description", got)
	}
}
