package network

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/collectors/collectorstest"
	"github.com/dataverket/avstem/inventory"
)

func TestConformance(t *testing.T) {
	o := labOVS(t)
	root := t.TempDir()
	golden(t, "ovs.json", settleTime, o.observe) // links come up while OVS opens them
	collectorstest.Run(t,
		func(*testing.T) collectors.Collector {
			return &Collector{NetNS: o.n.path(), OVSDB: o.socket(), Root: root}
		},
		collectorstest.Down(func(t *testing.T) collectors.Collector {
			return &collectFrom{Collector{}, func(context.Context, request) ([][]byte, error) { return nil, unix.EACCES }}
		}),
		collectorstest.Hanging(func(t *testing.T) collectors.Collector {
			return &collectFrom{Collector{}, func(ctx context.Context, _ request) ([][]byte, error) {
				<-ctx.Done()
				return nil, context.Cause(ctx)
			}}
		}))
}

// Every declared capability is shown by an observation of a kernel or of Open
// vSwitch: of live ones, save what takes hardware, which was recorded.
func TestEveryCapabilityIsShown(t *testing.T) {
	var observations []*inventory.Observation
	for file, test := range map[string]string{
		"host.json": "TestLinksOfAHost", "lab.json": "TestLinksOfALabHost", "lldp.json": "TestNeighboursFromNetworkd",
		"ovs.json": "TestOpenVSwitch", "sriov.json": "TestRecordedVirtualFunctions",
	} {
		data, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		var body struct{ inventory.Body }
		if err := json.Unmarshal(data, &body); err != nil {
			t.Fatal(err)
		}
		o := &inventory.Observation{Capabilities: capabilities, Body: body.Body}
		collectorstest.Prove(t, collectorstest.ProofFile, test, o)
		observations = append(observations, o)
	}
	if unshown := collectorstest.Unshown(observations...); len(unshown) > 0 {
		t.Errorf("no real thing shows %v", unshown)
	}
}

// The table must name each field of the entities that the source has.
func TestCapabilitiesAreWhole(t *testing.T) {
	declared := map[inventory.Field]bool{}
	for _, c := range capabilities {
		declared[c.Field] = true
	}
	for _, info := range inventory.Fields() {
		for _, entity := range []string{"link.*", "portVLAN.*", "ovsBridge.*", "ovsPort.*", "ovsInterface.*"} {
			if of, _ := filepath.Match(entity, string(info.Field)); of && !declared[info.Field] {
				t.Errorf("nothing is said of %s", info.Field)
			}
		}
	}
}
