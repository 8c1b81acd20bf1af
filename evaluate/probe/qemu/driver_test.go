package qemu

import (
	"os"
	"strings"
	"testing"

	"github.com/dataverket/avstem/collectors/qemu"
	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/evaluate/probe"
)

// A whole probe on real QEMU processes.
func TestProbe(t *testing.T) {
	d := &Driver{Dir: t.TempDir() + "/p"}
	defer d.Close()
	c := &qemu.Collector{Monitors: []string{d.Monitors()}}
	defer c.Close()
	run, err := probe.Run(t.Context(), probe.Options{Driver: d, Collector: c, Host: "here", Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	unsupported := map[string]bool{"restart-daemon": true, "set-metadata": true, "rename": true, "clone": true}
	for _, s := range run.Steps {
		t.Logf("%-15s %-12s took %-8s seen %v event %v %s held %v %v %s", s.Step, s.Outcome, s.Took.Round(1e6), s.SeenAfter, s.EventAfter, s.Event, s.Held, s.Changed, s.Error)
		if want := map[bool]evaluate.ProbeOutcome{true: evaluate.ProbeUnsupported, false: evaluate.ProbeWorked}[unsupported[s.Step]]; s.Outcome != want {
			t.Errorf("%s: %s, want %s: %s", s.Step, s.Outcome, want, s.Error)
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
	if found, err := processes(); err != nil || len(found) > 0 {
		t.Errorf("processes are left: %v: %v", found, err)
	}
	if _, err := os.Stat(d.dir()); !os.IsNotExist(err) {
		t.Errorf("its directory is left: %v", err)
	}
	if links, err := os.ReadFile("/proc/net/dev"); err != nil || strings.Contains(string(links), "avprobe") {
		t.Errorf("a link is left: %v\n%s", err, links)
	}
}
