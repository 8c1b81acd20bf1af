package sourcetest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/document"
)

//go:embed inventory.yaml
var everything []byte

// Records are an inventory as it is carried: the records of each list as JSON
// has them, good ones and bad ones.
type Records map[string][]map[string]any

// Everything is an inventory with every kind of record and every key.
func Everything(t testing.TB) Records {
	t.Helper()
	var records Records
	if err := yaml.Unmarshal(everything, &records); err != nil {
		t.Fatal(err)
	}
	return records.clone(t)
}

// JSON is the records as one document.
func (r Records) JSON(t testing.TB) []byte {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Inventory is what the records are to be read as.
func (r Records) Inventory(t testing.TB) *sentral.Inventory {
	t.Helper()
	c := document.Parse("records.json", r.JSON(t))
	if c.Broken != nil {
		t.Fatal(c.Broken.Error)
	}
	return sentral.Assemble(c.Records, c.Faults)
}

func (r Records) clone(t testing.TB) Records {
	t.Helper()
	var again Records
	if err := json.Unmarshal(r.JSON(t), &again); err != nil {
		t.Fatal(err)
	}
	return again
}

// with is a copy with one more record in a list.
func (r Records) with(t testing.TB, list string, record map[string]any) Records {
	again := r.clone(t)
	again[list] = append(again[list], record)
	return again
}

// vm is a good VM of the inventory in inventory.yaml, with its own identity.
func vm(n int) map[string]any {
	return map[string]any{
		"id": fmt.Sprintf("0b7e2f6e-6d3a-4d43-9d0c-00000000%04x", n), "name": fmt.Sprintf("more-%d", n),
		"tenant": "acme", "project": "web", "environment": "prod", "site": "osl1", "state": "running", "vcpus": 2, "memory": "4GiB",
		"nics":  []any{map[string]any{"mac": fmt.Sprintf("52:54:00:bb:%02x:%02x", n>>8, n&0xff), "network": "web-prod"}},
		"disks": []any{map[string]any{"name": "root", "size": "20GiB", "serial": fmt.Sprintf("more-%d-root", n)}},
	}
}

// many is a copy with n more VMs.
func (r Records) many(t testing.TB, n int) Records {
	again := r.clone(t)
	for i := range n {
		again["vms"] = append(again["vms"], vm(i))
	}
	return again
}

// Many is Everything with n more VMs.
func Many(t testing.TB, n int) Records { return Everything(t).many(t, n) }

// vmIDs are the VMs of an inventory, sorted.
func vmIDs(inv *sentral.Inventory) []string {
	var ids []string
	for i := range inv.VMs {
		ids = append(ids, inv.VMs[i].ID)
	}
	slices.Sort(ids)
	return ids
}
