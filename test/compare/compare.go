package compare

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// runtimes are those that are probed, by the names of their platforms.
var runtimes = []string{"libvirt", "qemu", "lxd"}

// settleWithin is how long avstem may take to see and reconcile everything.
const settleWithin = 2 * time.Minute

// Run compares the runtimes on a host in dir with the programs of a build, and
// writes what comes of it into out. It tells progress by say.
func Run(ctx context.Context, dir, build, attested, out string, say func(format string, args ...any)) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	say("a private host with libvirt, QEMU, LXD and Open vSwitch, and its guests …")
	h, err := Start(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { _ = h.Stop() }() // again, where it was not reached below
	a, err := h.StartAvstem(ctx, build)
	if err != nil {
		return err
	}
	settling, cancel := context.WithTimeoutCause(ctx, settleWithin, fmt.Errorf("not everything is seen after %s", settleWithin))
	defer cancel()
	say("what avstem sees of them …")
	if _, err := a.Settled(settling); err != nil {
		return err
	}
	// The numbers are of the fleet as it is, before the probe's guests come and go.
	commands := []struct {
		file string
		args []string
	}{
		{"platforms.txt", []string{"platforms"}}, {"platforms.json", []string{"platforms", "-o", "json"}},
		{"platforms.csv", []string{"platforms", "-o", "csv"}}, {"drift.txt", []string{"drift", "--all"}},
	}
	evidence := []string{"--attested", attested}
	write := func() error {
		for _, c := range commands {
			text, err := a.ask(ctx, c.args...)
			if err == nil {
				err = os.WriteFile(filepath.Join(out, c.file), text, 0o644)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	if err := write(); err != nil {
		return err
	}
	for _, runtime := range runtimes {
		say("a probe of %s …", runtime)
		result, err := a.Probe(ctx, runtime)
		if err != nil {
			return err
		}
		file := filepath.Join(out, "probe-"+runtime+".json")
		if err := os.WriteFile(file, result, 0o644); err != nil {
			return err
		}
		evidence = append(evidence, "--probe", file)
	}
	if _, err := a.Settled(settling); err != nil { // the probe's guests are gone again
		return err
	}
	commands = nil
	for file, format := range map[string]string{"evaluate.txt": "table", "evaluate.md": "markdown", "evaluate.json": "json", "comparison.html": "html"} {
		commands = append(commands, struct {
			file string
			args []string
		}{file, append([]string{"evaluate", "-o", format}, evidence...)})
	}
	if err := write(); err != nil {
		return err
	}
	return h.Stop()
}
