package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
)

// A record that is matched by the machine's marks alone has to be found, too.
func TestTheReconcilerIsAskedByEveryMark(t *testing.T) {
	id, system := uuid.MustParse("0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001"), uuid.MustParse("4c4c4544-0042-3510-8052-b4c04f4e3232")
	for name, test := range map[string]struct {
		host self
		want []string
	}{
		"everything": {self{"hv1.example.com", id, inventory.Host{SystemUUID: system, Serial: "CZ3A"}},
			[]string{id.String(), "44454c4c-4200-1035-8052-b4c04f4e3232", system.String(), "CZ3A", "hv1", "hv1.example.com"}},
		"a name":        {self{name: "hv1"}, []string{"hv1"}},
		"a junk serial": {self{name: "hv1", marks: inventory.Host{Serial: "To Be Filled By O.E.M."}}, []string{"hv1"}},
	} {
		if diff := cmp.Diff(test.want, test.host.names()); diff != "" {
			t.Errorf("%s (-want +asked):\n%s", name, diff)
		}
	}
}
