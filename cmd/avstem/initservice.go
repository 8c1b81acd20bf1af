package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/avstem/internal/setup"
	"github.com/dataverket/avstem/report"
)

const (
	unitName = "avstem.service"
	// upWithin is how long the service may take until its reconciler answers.
	upWithin = 60 * time.Second
)

// unit is avstem.service, where systemd runs and the service is the one that reads
// the configuration that was written.
type unit struct {
	there bool
	start string // what to type to start it
}

func (a *app) unit(p *plan) unit {
	if p.path != defaultConfig {
		return unit{start: "avstem serve --config " + p.path}
	}
	_, err := os.Stat("/run/systemd/system") // sd_booted(3)
	return unit{there: err == nil, start: "systemctl enable --now " + unitName}
}

// check refuses a place that the service can't write in.
func (u unit) check(stateDir string) error {
	if !u.there || stateDir == serverStateDir {
		return nil
	}
	return fmt.Errorf("keep the state in %s: %s can write in %s alone (ProtectSystem=strict): leave --state-dir, and mount a larger disk there if it needs one; or have a service of your own, with another --config",
		stateDir, unitName, serverStateDir)
}

func (u unit) active() bool {
	if !u.there {
		return false
	}
	return exec.Command("systemctl", "--quiet", "is-active", unitName).Run() == nil
}

// unitState is what became of the service.
type unitState struct {
	Name  string `json:"name"`
	State string `json:"state"`          // "started", "runs" or "stopped"
	Type  string `json:"type,omitempty"` // what is to be typed for it
}

// startUnit starts the service, and waits until its reconciler answers.
func (a *app) startUnit(c *cobra.Command, u unit, r *initResult, flags *initFlags, anew bool) error {
	r.Service = unitState{Name: unitName, State: "stopped", Type: u.start}
	switch {
	case u.active():
		r.Service = unitState{Name: unitName, State: "runs"}
		if anew && !flags.dryRun {
			r.Service.Type = "systemctl restart " + unitName
		}
		return nil
	case !u.there || flags.noStart || flags.dryRun:
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(c.Context(), upWithin, fmt.Errorf("it doesn't answer within %s", upWithin))
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", "enable", "--now", unitName).CombinedOutput()
	if err == nil {
		err = a.settle(c)
	}
	if err == nil {
		err = a.awaitReconciler(ctx, r.Site)
	}
	if err != nil {
		return fmt.Errorf("start %s: %w\n%s%severything else is set up: mend what it says, then run this again, or: systemctl restart avstem; systemctl status avstem",
			unitName, err, out, lastWords())
	}
	r.Service = unitState{Name: unitName, State: "started"}
	return nil
}

// awaitReconciler waits until the reconciler of the site answers.
func (a *app) awaitReconciler(ctx context.Context, site string) error {
	for {
		err := func() error {
			conn, err := a.connect(ctx)
			if err != nil {
				return err
			}
			defer conn.Close()
			_, err = ask(ctx, conn, site, "status", nil)
			return err
		}()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// lastWords are what the service logged last.
func lastWords() string {
	out, err := exec.Command("journalctl", "--no-pager", "--quiet", "--output=cat", "--lines=5", "--unit="+unitName).Output()
	if err != nil || len(bytes.TrimSpace(out)) == 0 {
		return ""
	}
	return "it says:\n" + report.Printable(string(out)) + "\n"
}

// lendContext gives the service a NATS context of its own: a copy whose files it may
// read, in its home.
func (a *app) lendContext(s *setup.Setup, p *plan) error {
	own, named, err := bus.ContextFiles(p.context, a.ownEnv)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(own)
	if err != nil {
		return fmt.Errorf("lend NATS context: %w", err)
	}
	var context map[string]any
	if err := json.Unmarshal(data, &context); err != nil {
		return fmt.Errorf("lend NATS context: read %s: %w", own, err)
	}
	home := filepath.Join(p.stateDir, ".config", "nats")
	for _, key := range slices.Sorted(maps.Keys(named)) {
		path := named[key]
		to := filepath.Join(home, p.context+"-"+key)
		data, err := os.ReadFile(path)
		if err == nil {
			err = s.State(data, to, key+" of NATS context "+p.context)
		}
		if err != nil {
			return fmt.Errorf("lend NATS context: %w", err)
		}
		context[key] = to
	}
	if data, err = json.MarshalIndent(context, "", "  "); err != nil {
		return fmt.Errorf("lend NATS context: %w", err)
	}
	return s.State(append(data, '\n'), filepath.Join(home, "context", p.context+".json"), "NATS context "+p.context)
}

// writeInit says what was done and what to type next.
func (a *app) writeInit(r *initResult) {
	words := map[setup.Did]string{setup.Made: "made", setup.Changed: "changed", setup.Kept: "kept"}
	if r.DryRun {
		words[setup.Made], words[setup.Changed] = "would make", "would change"
	}
	width := 0
	for _, step := range r.Steps {
		width = max(width, len(step.Path))
	}
	for _, step := range r.Steps {
		fmt.Fprintf(a.stdout, "%-12s  %-*s  %s\n", words[step.Did], width, step.Path, step.What)
	}
	switch r.Service.State {
	case "started":
		fmt.Fprintf(a.stdout, "%-12s  %-*s  its reconciler answers\n", "started", width, unitName)
	case "runs":
		fmt.Fprintf(a.stdout, "%-12s  %-*s  it runs\n", "kept", width, unitName)
	}
	switch {
	case r.DryRun && !anew(r.Steps):
		fmt.Fprintf(a.stdout, "\nThere is nothing to do.\n")
	case r.DryRun:
		fmt.Fprintf(a.stdout, "\nNothing was done: this was --dry-run.\n")
		return
	case !anew(r.Steps) && r.Service.State != "started":
		fmt.Fprintf(a.stdout, "\nAll of it was there already: nothing was changed.\n")
	}
	if r.Service.Type != "" {
		why := "Start the service"
		if r.Service.State == "runs" {
			why = "Take it into use"
		}
		fmt.Fprintf(a.stdout, "\n%s:\n\n  %s\n", why, r.Service.Type)
	}
	if r.Issuer == "" {
		fmt.Fprintf(a.stdout, "\nHosts get credentials from whoever runs the NATS server at %s: /usr/share/doc/avstem/install.md,\n\"A NATS server of your own\".\n\nThen, here:\n\n  avstem doctor\n  avstem hosts\n  avstem drift\n", r.Server)
		return
	}
	fmt.Fprintf(a.stdout, "\nHosts reach this server at %s and %s: open both TCP ports.\nIf they know it by another name: avstem init --name NAME\n", r.Server, r.Issuer)
	if r.Token != "" {
		fmt.Fprintf(a.stdout, `
On the first host, as root, before %s:

  apt install ./avstem-agent_*.deb
  avstem-agent enroll --server %s --token %s

The token lets one host in, once. The host makes a key that never leaves it, and
trusts nobody but the CA whose SHA-256 is
%s
`, r.Expires.Local().Format("15:04 MST"), strings.TrimPrefix(r.Issuer, "https://"), r.Token, r.CASHA256)
	} else if !r.Expires.IsZero() {
		fmt.Fprintf(a.stdout, `
No host is in yet. A token that was made before holds until %s, and can't be
shown again; this makes another:

  avstem enroll token --auto-approve
`, r.Expires.Local().Format("2006-01-02 15:04 MST"))
	}
	fmt.Fprintf(a.stdout, `
For each further host:

  avstem enroll token --host NAME     # then, once it has asked: avstem enroll approve NAME

Then, here:

  avstem hosts      # which hosts are seen, and how well
  avstem drift      # what differs from the inventory in %s
  avstem doctor     # what works on this server, and what doesn't

Back up %s, and let nobody have it: whoever has it is everybody.
`, r.Inventory, filepath.Join(r.StateDir, "auth"))
}
