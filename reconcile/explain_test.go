package reconcile_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

const (
	webUUID   = "0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001"
	strayUUID = "0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0002"

	systemUUID = "4c4c4544-0042-3510-8052-b4c04f4e3232"
)

func document(host, source string, body inventory.Body) reconcile.Document {
	return reconcile.Document{Observation: &inventory.Observation{Host: hostID(host), Site: "osl1", Source: source, Outcome: inventory.OutcomeComplete, Complete: true, Body: body}, Received: epoch}
}

// explainable has VMs and hosts whose names overlap.
func explainable() (*reconcile.Result, []reconcile.Finding) {
	failed := document("hv2", "runtime-libvirt", inventory.Body{})
	failed.Outcome, failed.Complete = inventory.OutcomeFailed, false
	in := reconcile.Input{
		Policy: reconcile.DefaultPolicy(), Now: epoch,
		Intended: &sentral.Inventory{
			Hosts: []sentral.Host{{ID: "hv1", Name: "hv1.example.com", HostID: hostID("hv1"), Site: "osl1", SystemUUID: uuid.MustParse(systemUUID), Serial: "CZ3A"}, {ID: "hv2", HostID: hostID("hv2"), Site: "osl1"}},
			VMs: []sentral.VM{
				{ID: "vm-7", RuntimeID: uuid.MustParse(webUUID), Name: "web", Tenant: "acme", Project: "shop", Site: "osl1", NICs: []sentral.NIC{{MAC: inventory.MAC{0x52, 0x54, 0, 0, 0, 1}}}},
				{ID: "vm-8", Name: "db", Tenant: "acme", Project: "shop", Site: "osl1"},
				{ID: "vm-9", Name: "db", Tenant: "globex", Project: "pay", Site: "osl1"},
				{ID: "vm-10", Name: "hv1", Tenant: "acme", Project: "shop", Site: "osl1"},
			},
		},
		Observed: []reconcile.Document{
			document("hv1", "runtime-libvirt", inventory.Body{VMs: []inventory.VM{
				{UUID: uuid.MustParse(webUUID), Name: "web-runtime", State: inventory.StateStopped, NICs: []inventory.NIC{{MAC: inventory.MAC{0x52, 0x54, 0, 0, 0, 1}}}},
				{UUID: uuid.MustParse(strayUUID), NativeID: "shop/stray", Name: "stray"},
			}}),
			document("hv1", "identity", inventory.Body{Identity: &inventory.Host{Hostname: "node-a"}}),
			failed,
			document("x", "identity", inventory.Body{Identity: &inventory.Host{Hostname: "same"}}),
			document("y", "identity", inventory.Body{Identity: &inventory.Host{Hostname: "same"}}),
		},
		Refused: []reconcile.Refusal{{Host: hostID("z"), Source: "network", Reason: "too large"}},
	}
	result := reconcile.Reconcile(in)
	findings, _ := reconcile.Advance(nil, result, in.Policy, epoch)
	findings, _ = reconcile.Advance(findings, result, in.Policy, epoch.Add(time.Minute))
	return result, findings
}

func TestExplainByName(t *testing.T) {
	result, findings := explainable()
	for query, want := range map[string]string{
		"vm-7": "vm vm-7", "VM-7": "vm vm-7", webUUID: "vm vm-7", strings.ToUpper(webUUID): "vm vm-7",
		"web": "vm vm-7", "web-runtime": "vm vm-7", "acme/shop/web": "vm vm-7",
		"52:54:00:00:00:01": "vm vm-7", "52-54-00-00-00-01": "vm vm-7",
		"acme/shop/db": "vm vm-8", "globex/pay/db": "vm vm-9",
		"stray": "vm " + strayUUID, "shop/stray": "vm " + strayUUID, strayUUID: "vm " + strayUUID,
		"hv1": "host hv1", "hv1.example.com": "host hv1", "node-a": "host hv1", hostID("hv1").String(): "host hv1",
		systemUUID: "host hv1", strings.ToUpper(systemUUID): "host hv1", "cz3a": "host hv1",
		"hv2": "host hv2", hostID("x").String(): "host same",
		"": "unknown", "nobody": "unknown", "00000000-0000-0000-0000-000000000000": "unknown", "00:00:00:00:00:00": "unknown", "f-none": "unknown",
		"db":   `explain "db": 2 things answer to it: VM acme/shop/db (vm-8) and VM globex/pay/db (vm-9); ask for one by its ID`,
		"same": `explain "same": 2 things answer to it: host same (` + hostID("x").String() + `) and host same (` + hostID("y").String() + `); ask for one by its ID`,
	} {
		e, err := reconcile.Explain(result, findings, epoch, query)
		if got := explained(e, err); got != want {
			t.Errorf("%q is explained as %s, want %s", query, got, want)
		}
	}
}

func explained(e *reconcile.Explanation, err error) string {
	switch {
	case errors.Is(err, reconcile.ErrNotKnown):
		return "unknown"
	case err != nil:
		return err.Error()
	case e.VM != nil && e.Host != nil:
		return "both"
	case e.VM != nil && e.VM.Intended != nil:
		return "vm " + e.VM.Intended.ID
	case e.VM != nil:
		return "vm " + e.VM.Observed.UUID.String()
	case e.Host != nil && e.Host.Intended != nil:
		return "host " + e.Host.Intended.ID
	case e.Host != nil:
		return "host " + e.Host.Observed.Identity.Hostname
	}
	return "neither"
}

func TestExplainFindings(t *testing.T) {
	result, findings := explainable()
	about := map[reconcile.Kind]string{
		reconcile.VMState: "vm vm-7", reconcile.VMUnknown: "vm " + strayUUID, reconcile.ObserveBlind: "host hv2",
		reconcile.HostUnknown: "host same", reconcile.ObserveRefused: "neither",
	}
	seen := map[reconcile.Kind]bool{}
	for _, f := range findings {
		e, err := reconcile.Explain(result, findings, epoch, f.ID)
		if err != nil || len(e.Findings) != 1 || e.Findings[0].ID != f.ID {
			t.Fatalf("%s: %v, %+v", f.Message, err, e)
		}
		if want := about[f.Kind]; want != "" {
			seen[f.Kind] = true
			if got := explained(e, err); got != want {
				t.Errorf("%s is explained as of %s, want %s", f.Message, got, want)
			}
		}
	}
	for kind := range about {
		if !seen[kind] {
			t.Errorf("there is no finding %s", kind)
		}
	}
	for query, want := range map[string]int{"vm-7": 2, "hv2": 1, "vm-8": 0, hostID("x").String(): 1} {
		e, err := reconcile.Explain(result, findings, epoch, query)
		if err != nil || len(e.Findings) != want {
			t.Errorf("%s has %d findings (%v), want %d", query, len(e.Findings), err, want)
		}
	}
}

// A host whose record can't be used isn't one that Sentral hasn't: it is said which
// record that may be, and what is wrong with it.
func TestExplainHostOfUnusableRecord(t *testing.T) {
	fault := sentral.Problem{Where: "hosts.yaml:3:5", Record: "host hv1", Key: "serial", Error: "is no text"}
	in := reconcile.Input{
		Policy: reconcile.DefaultPolicy(), Now: epoch,
		Intended: &sentral.Inventory{LeftOut: []sentral.LeftOut{{Type: "host", ID: "hv1", UUID: hostID("hv1")}}, Problems: []sentral.Problem{fault}},
		Observed: []reconcile.Document{document("hv1", "identity", inventory.Body{Identity: &inventory.Host{Hostname: "node-a"}})},
	}
	result := reconcile.Reconcile(in)
	findings, _ := reconcile.Advance(nil, result, in.Policy, epoch)
	want := &reconcile.UnusableRecord{Label: "host hv1", Faults: []string{"hosts.yaml:3:5: serial of host hv1: is no text"}}
	for _, query := range []string{"node-a", "hv1"} { // as it calls itself, and as its record does
		e, err := reconcile.Explain(result, findings, epoch, query)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want, e.Host.Record); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
		if len(e.Findings) != 1 || e.Findings[0].Kind != reconcile.InventoryInvalid {
			t.Errorf("the findings of %s are %+v", query, e.Findings)
		}
	}
}
