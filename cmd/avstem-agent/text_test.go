package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/dataverket/avstem/cmd/internal/hostagent"
	"github.com/dataverket/avstem/inventory"
)

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
