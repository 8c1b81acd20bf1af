package libvirt

import (
	"context"
	"strings"
	"testing"

	"github.com/dataverket/avstem/collectors/libvirt"
	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/evaluate/probe"
	"github.com/dataverket/avstem/test/rig"
)

// A whole probe on a real libvirtd and QEMU.
func TestProbe(t *testing.T) {
	r := rig.ForTest(t)
	d := &Driver{Sockets: []string{r.Outside("/run/libvirt/libvirt-sock")}, Restart: func(context.Context) (string, error) {
		return "restart libvirtd", r.RestartLibvirtd()
	}}
	defer d.Close()
	c := &libvirt.Collector{Sockets: []string{r.LibvirtReadOnlySocket()}, Root: r.Dir()}
	defer c.Close()
	run, err := probe.Run(t.Context(), probe.Options{Driver: d, Collector: c, Host: "rig", Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range run.Steps {
		t.Logf("%-15s %-12s took %-8s seen %v event %v %s held %v %v %s", s.Step, s.Outcome, s.Took.Round(1e6), s.SeenAfter, s.EventAfter, s.Event, s.Held, s.Changed, s.Error)
		if s.Outcome != evaluate.ProbeWorked {
			t.Errorf("%s: %s: %s", s.Step, s.Outcome, s.Error)
		}
		for what, kept := range s.Held {
			if !kept {
				t.Errorf("%s did not keep %s: %v", s.Step, what, s.Changed)
			}
		}
	}
	if len(run.Left) > 0 {
		t.Errorf("left behind: %v", run.Left)
	}
	for _, args := range [][]string{{"list", "--all", "--name"}, {"net-list", "--all", "--name"}, {"pool-list", "--all", "--name"}} {
		if out, err := r.Virsh(args...); err != nil || strings.Contains(out, probe.Prefix) {
			t.Errorf("virsh %v: %v: %s", args, err, out)
		}
	}
	if out, err := r.Run("sh", "-c", "ls -A /var/lib/libvirt/images; ip -br link"); err != nil || strings.Contains(out, "probe") {
		t.Errorf("%v: %s", err, out)
	}
}
