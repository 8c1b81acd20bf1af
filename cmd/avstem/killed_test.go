package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/bus/embedded"
)

var rounds = flag.Int("rounds", 3, "how often the reconciler that leads is killed or stopped at a random moment")

// reconciling are the arguments of a reconciler that waits for no host for long: there
// is none that could speak.
func reconciling(t *testing.T, p *place) []string {
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte("schema: avstem.policy/v1\nstaleAfter: 5s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"serve", "--inventory", p.inventory, "--state-dir", p.state, "--site", "lab", "--policy", policy}
}

// TestLeadersKilledAndStoppedAtRandom kills the real program that leads at random
// moments around its writes, and now and then stops it for so long that another one
// takes over and it wakes up as the leader that it was. Each finding is opened once,
// is there once, and keeps its life.
func TestLeadersKilledAndStoppedAtRandom(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	nats, err := embedded.Start(t.Context(), embedded.Options{StateDir: p.state})
	if err != nil {
		t.Fatal(err)
	}
	defer nats.Close()
	binary := built(t)
	type running struct {
		cmd *exec.Cmd
		log *output
	}
	start := func() running {
		cmd, log := p.program(binary, reconciling(t, p)...)
		return running{cmd, log}
	}
	written := 0
	broken := func() { // one finding more
		written++
		p.write(fmt.Sprintf("broken%d.yaml", written), fmt.Sprintf("networks:\n  - {id: n%d, tenant: acme, project: web, vlans: {lab: 9999}}\n", written+10))
	}
	lives := map[string]string{}
	check := func() {
		for _, f := range p.invalid(written) {
			life := fmt.Sprint(f.FirstSeen, f.Since, f.Flaps)
			if was, known := lives[f.ID]; known && was != life {
				t.Errorf("%s had the life %s and has %s", f.ID, was, life)
			}
			lives[f.ID] = life
		}
	}
	leader := start()
	leader.log.await(t, "findings taken up")
	broken()
	check()
	for round := range *rounds {
		standby := start()
		standby.log.await(t, "standing by: another reconciler has this site")
		broken()
		time.Sleep(rand.N(600 * time.Millisecond)) // somewhere between reading and telling
		if round%3 < 2 {
			if err := leader.cmd.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if err := leader.cmd.Wait(); err == nil {
				t.Fatal("it was not killed")
			}
			check()
			leader = standby
			leader.log.await(t, "findings taken up")
			continue
		}
		if err := leader.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		check()
		broken() // which the one that sleeps doesn't know of
		check()
		if err := leader.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		leader.log.await(t, "another reconciler took over: this one stands by")
		check()
		if err := leader.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = leader.cmd.Wait() // it was killed
		leader = standby
		leader.log.await(t, "findings taken up")
	}
	conn, err := nats.Connect("test")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	subject, err := bus.DriftIn("lab")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	var ids []string
	err = conn.Read(t.Context(), bus.Past{Stream: bus.StreamDrift, Subjects: []string{subject}}, func(k bus.Kept) error {
		action := strings.TrimPrefix(k.Subject, "avstem.v1.drift.lab.")
		if !strings.HasSuffix(action, ".inventory.invalid") { // the place's host is missing after a minute
			return nil
		}
		told = append(told, action)
		ids = append(ids, k.Header.Get(jetstream.MsgIDHeader))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ids)
	if len(told) != written || len(slices.Compact(ids)) != written || slices.ContainsFunc(told, func(s string) bool { return s != "opened.inventory.invalid" }) {
		t.Errorf("%d findings were opened, and these events were told: %v", written, told)
	}
}
