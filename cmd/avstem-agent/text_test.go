package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/cmd/internal/hostagent"
	"github.com/dataverket/avstem/inventory"
)

// A VM that two sources show is named by the first, as a host without a runtime is
// told so without alarm.
func TestVMsAreNamedOnce(t *testing.T) {
	vms := func(n int) []inventory.VM {
		all := make([]inventory.VM, n)
		for i := range all {
			all[i] = inventory.VM{UUID: uuid.UUID{15: byte(i + 1)}, State: inventory.StateRunning}
		}
		return all
	}
	pass := hostagent.Pass{Observations: []*inventory.Observation{
		{Source: "runtime-libvirt", Body: inventory.Body{VMs: vms(1)}},
		{Source: "runtime-qemu", Body: inventory.Body{VMs: vms(2 + maxGuests)}},
		{Source: "runtime-lxd", Outcome: inventory.OutcomeAbsent, Problems: []inventory.Problem{
			{Call: "connect", Why: inventory.WhyAbsent, Error: "LXD is not on this host", Remedy: "none is needed"}}},
	}}
	var b bytes.Buffer
	if err := writePass(&b, pass); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]int{
		"· 00000000-0000-0000-0000-000000000001 running\n": 1, "· 00000000-0000-0000-0000-000000000002 running\n": 1,
		"· and 1 more (-o json)\n": 1, "· 1 of them as above\n": 1,
		"runtime-lxd: absent in 0s\n  LXD is not on this host\n  → none is needed\n": 1,
	} {
		if got := strings.Count(b.String(), text); got != want {
			t.Errorf("%q is there %d times, want %d, in\n%s", text, got, want, b.String())
		}
	}
}

// What no VM shows is said of one.
func TestProblemsOfManyVMs(t *testing.T) {
	problem := func(vm string, fields ...inventory.Field) (all []inventory.Problem) {
		for _, f := range fields {
			all = append(all, inventory.Problem{Entity: "vm:" + vm, Field: f, Call: "/proc/" + vm, Why: "refused", Error: "no"})
		}
		return all
	}
	o := &inventory.Observation{Source: "runtime-qemu"}
	for _, vm := range []string{"1", "2", "3", "4"} {
		o.Problems = append(o.Problems, problem(vm, "nic.link", "disk.number")...)
	}
	o.Problems = append(o.Problems, problem("5", "nic.link")...)
	var b bytes.Buffer
	if err := writePass(&b, hostagent.Pass{Observations: []*inventory.Observation{o}}); err != nil {
		t.Fatal(err)
	}
	want := "\n  ! vm:1 nic.link, disk.number (and 3 more): refused: /proc/1: no\n  ! vm:5 nic.link: refused: /proc/5: no\n"
	if !strings.HasSuffix(b.String(), want) {
		t.Errorf("it is\n%s\nwant at its end\n%s", b.String(), want)
	}
}

// One cause is said once, however many fields it takes away.
func TestProblemsOfOneCause(t *testing.T) {
	refused := inventory.Problem{Field: "ovsBridge.name", Call: "dial", Why: "refused", Error: "permission denied", Remedy: "let it in"}
	ports, other := refused, refused
	ports.Field, other.Field, other.Error = "ovsBridge.ports", "link.mac", "gone"
	o := &inventory.Observation{Source: "network", Problems: []inventory.Problem{refused, ports, other}}
	var b bytes.Buffer
	if err := writePass(&b, hostagent.Pass{Observations: []*inventory.Observation{o}}); err != nil {
		t.Fatal(err)
	}
	want := "  ! ovsBridge.name, ovsBridge.ports: refused: dial: permission denied\n    → let it in\n" +
		"  ! link.mac: refused: dial: gone\n    → let it in\n"
	if !strings.HasSuffix(b.String(), want) {
		t.Errorf("it is\n%s\nwant at its end\n%s", b.String(), want)
	}
}
