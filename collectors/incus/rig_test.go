package incus

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/test/rig"
)

// runtime is a real daemon in a rig.
type runtime struct {
	flavor Flavor
	rig    *rig.Rig
	socket string
	client func(args ...string) (string, error)
	kill   func() error
	pause  func() error
}

// shared is the rig of the tests that leave their daemons alive. Two daemons take
// some seconds to start, so there is one, which TestMain ends.
var shared struct {
	sync.Once
	dir string
	rig *rig.Rig
	err error
}

func TestMain(m *testing.M) {
	if socket := os.Getenv(socketVariable); socket != "" {
		if err := json.NewEncoder(os.Stdout).Encode(pass(&Collector{Sockets: []string{socket}})); err != nil {
			panic(err)
		}
		return
	}
	code := m.Run()
	if shared.dir != "" {
		if err := rig.Clean(shared.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// real is a daemon that runs.
func real(t testing.TB, flavor Flavor) *runtime {
	t.Helper()
	shared.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "avstem-rig-"); shared.err != nil {
			return
		}
		o := rig.Options{Hostname: "hv-1", LXD: true, Incus: true}
		if shared.rig, shared.err = rig.Start(context.Background(), shared.dir, o); shared.err == nil {
			_, shared.err = shared.rig.Run("ip", "link", "add", "br0", "type", "bridge")
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return on(shared.rig, flavor)
}

func on(r *rig.Rig, flavor Flavor) *runtime {
	if flavor.name == LXD.name {
		return &runtime{LXD, r, r.LXDSocket(), r.LXC, r.KillLXD, r.PauseLXD}
	}
	return &runtime{Incus, r, r.IncusSocket(), r.IncusCtl, r.KillIncus, r.PauseIncus}
}

// forBoth runs a test on either daemon.
func forBoth(t *testing.T, test func(*testing.T, *runtime)) {
	for _, flavor := range []Flavor{LXD, Incus} {
		t.Run(flavor.name, func(t *testing.T) { test(t, real(t, flavor)) })
	}
}

// do runs commands of the daemon's client, one a line, and drops what it says.
func (r *runtime) do(t testing.TB, commands string) {
	t.Helper()
	for line := range strings.Lines(commands) {
		args := strings.Fields(line)
		if len(args) == 0 {
			continue
		}
		switch incus := r.flavor.name == Incus.name; {
		case args[0] == "snapshot" && incus:
			args = append([]string{"snapshot", "create"}, args[1:]...)
		case args[0] == "snapshot-restore" && incus:
			args = append([]string{"snapshot", "restore"}, args[1:]...)
		case args[0] == "snapshot-restore":
			args[0] = "restore"
		}
		if _, err := r.client(args...); err != nil {
			t.Fatal(err)
		}
	}
}

// launch starts a container that goes with the test.
func (r *runtime) launch(t testing.TB, name string, args ...string) {
	t.Helper()
	if _, err := r.client(append([]string{"launch", "tiny", name}, args...)...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.remove(t, name) })
}

func (r *runtime) remove(t testing.TB, name string) {
	if _, err := r.client("delete", "--force", name); err != nil && !strings.Contains(err.Error(), "not found") {
		t.Error(err)
	}
}

func (r *runtime) collector() *Collector {
	return &Collector{Flavor: r.flavor, Sockets: []string{r.socket}}
}

// pass makes one pass.
func pass(c collectors.Collector) *inventory.Observation {
	return (&collectors.Runner{Collector: c}).Run(context.Background())
}

// complete is a pass that must see everything.
func complete(t testing.TB, c collectors.Collector) *inventory.Observation {
	t.Helper()
	o := pass(c)
	if o.Outcome != inventory.OutcomeComplete {
		t.Fatalf("outcome %s: %+v", o.Outcome, o.Problems)
	}
	return o
}

// vmOf finds an instance by project/name.
func vmOf(t testing.TB, o *inventory.Observation, nativeID string) *inventory.VM {
	t.Helper()
	for i := range o.VMs {
		if o.VMs[i].NativeID == nativeID {
			return &o.VMs[i]
		}
	}
	t.Fatalf("no %s among %d instances", nativeID, len(o.VMs))
	return nil
}
