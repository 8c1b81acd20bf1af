package incus

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dataverket/avstem/collectors/incus"
	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/evaluate/probe"
	"github.com/dataverket/avstem/test/rig"
)

// waiter is the smallest init: it waits until it is told to end.
const waiter = `package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGPWR, syscall.SIGTERM, os.Interrupt)
	<-told
}
`

func buildInit(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(waiter), 0o644); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "init"), filepath.Join(dir, "main.go"))
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(dir, "init"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A whole probe on a real LXD, with a container.
func TestProbe(t *testing.T) {
	r := rig.ForTestWith(t, rig.Options{LXD: true})
	d := &Driver{Runtime: "lxd", Sockets: []string{r.LXDSocket()}, Init: buildInit(t), Restart: func(context.Context) (string, error) {
		if err := r.KillLXD(); err != nil {
			return "", err
		}
		return "restart lxd", r.RestartLXD()
	}}
	defer d.Close()
	run, err := probe.Run(t.Context(), probe.Options{Driver: d, Collector: &incus.Collector{Flavor: incus.LXD, Sockets: []string{r.LXDSocket()}}, Host: "rig", Version: "test"})
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
	for _, args := range [][]string{{"list", "--format", "csv"}, {"network", "list", "--format", "csv"}, {"storage", "list", "--format", "csv"}, {"image", "list", "--format", "csv"}} {
		if out, err := r.LXC(args...); err != nil || strings.Contains(out, "probe") {
			t.Errorf("lxc %v: %v: %s", args, err, out)
		}
	}
}
