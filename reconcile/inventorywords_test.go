package reconcile

import (
	"testing"

	"github.com/dataverket/avstem/sentral"
)

func TestInventoryWords(t *testing.T) {
	for want, problem := range map[string]sentral.Problem{
		`vms.yaml:16:5: memroy of vm web-01: unknown key`: {Where: "vms.yaml:16:5", Record: "vm 0b7e", Name: "vm web-01", Key: "memroy", Error: "unknown key"},
		`vms.yaml:16:5: memroy of vm 0b7e: unknown key`:   {Where: "vms.yaml:16:5", Record: "vm 0b7e", Key: "memroy", Error: "unknown key"},
		`vms.yaml:16:5: vm 0b7e: no record`:               {Where: "vms.yaml:16:5", Record: "vm 0b7e", Error: "no record"},
		`vms.yaml:1:1: hots: unknown key`:                 {Where: "vms.yaml:1:1", Key: "hots", Error: "unknown key"},
		`vms.yaml: not text`:                              {Where: "vms.yaml", Error: "not text"},
		`read /inv: it holds no file`:                     {Where: "/inv", Error: "read /inv: it holds no file"},
	} {
		if got := inventoryWords(&problem); got != want {
			t.Errorf("it is %q, want %q", got, want)
		}
	}
}
