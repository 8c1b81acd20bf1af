package main

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/bus/embedded"
	"github.com/dataverket/avstem/reconcile"
)

// TestStandbyTakesOverFromAKilledReconciler kills the real program that leads, and
// one that stands by takes over: nothing is lost, doubled or opened anew.
func TestStandbyTakesOverFromAKilledReconciler(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("broken.yaml", "networks:\n  - {id: n2, tenant: acme, project: web, vlans: {lab: 9999}}\n")
	nats, err := embedded.Start(t.Context(), embedded.Options{StateDir: p.state})
	if err != nil {
		t.Fatal(err)
	}
	defer nats.Close()
	binary := built(t)
	serve := reconciling(t, p)
	first, firstLog := p.program(binary, serve...)
	p.drift(reconcile.InventoryInvalid)
	p.write("other.yaml", "networks:\n  - {id: n3, tenant: acme, project: web, vlans: {lab: 9999}}\n")
	before := p.invalid(2)
	if code, _, stderr := p.try("explain", "--state-dir", p.state, before[0].ID); code != 0 || stderr != "" {
		t.Errorf("explaining what is of no site exits %d: %s", code, stderr)
	}
	_, secondLog := p.program(binary, serve...)
	secondLog.await(t, "standing by: another reconciler has this site")

	killed := time.Now()
	if err := first.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := first.Wait(); err == nil {
		t.Fatal("it was not killed")
	}
	secondLog.await(t, "msg=findings ")
	t.Logf("taken over after %s", time.Since(killed).Round(time.Millisecond))
	if log := firstLog.String(); !strings.Contains(log, "msg=findings ") {
		t.Errorf("the first never led:\n%s", log)
	}
	p.write("more.yaml", "networks:\n  - {id: n4, tenant: acme, project: web, vlans: {lab: 9999}}\n") // it is at work
	after := p.invalid(3)
	seen := map[string]string{}
	for _, f := range after {
		seen[f.ID] = fmt.Sprint(f.State, f.FirstSeen, f.Since, f.Flaps)
	}
	for _, f := range before {
		if got, want := seen[f.ID], fmt.Sprint(f.State, f.FirstSeen, f.Since, f.Flaps); got != want {
			t.Errorf("before: %s\nafter: %s", want, got)
		}
	}
	conn, err := nats.Connect("test")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var told []string
	if _, err := conn.DriftEvents(t.Context(), "lab", time.Now().Add(-time.Hour), func(e bus.DriftEvent) { told = append(told, e.ID) }); err != nil {
		t.Fatal(err)
	}
	if len(told) != len(after) {
		t.Errorf("%d findings were opened, and these events were told: %q", len(after), told)
	}
}

// invalid waits until so many records are said to be invalid.
func (p *place) invalid(want int) []reconcile.Finding {
	p.t.Helper()
	var found []reconcile.Finding
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		found = slices.DeleteFunc(p.drift(reconcile.InventoryInvalid), func(f reconcile.Finding) bool { return f.Kind != reconcile.InventoryInvalid })
		if len(found) == want {
			return found
		}
	}
	p.t.Fatalf("%d records are invalid, want %d", len(found), want)
	return nil
}
