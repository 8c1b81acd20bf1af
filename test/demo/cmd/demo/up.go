package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/term"

	"github.com/dataverket/avstem/test/demo"
	"github.com/dataverket/avstem/test/rig"
)

// findingsWithin is how long avstem may take to find everything: a pass over the
// host, and the 15 s for which some kinds stay pending.
const findingsWithin = 90 * time.Second

// up shows the demo, and builds it first unless it runs.
func (d *demonstration) up(ctx context.Context) error {
	if _, err := os.Stat(d.program); err != nil {
		return fmt.Errorf("look for avstem (make build makes it): %w", err)
	}
	a, err := d.current()
	if err != nil {
		return err
	}
	// In a demo that somebody has played with, not everything need differ still.
	enough, what := demo.Progress.Answers, "what avstem finds"
	if a != nil {
		d.say("The demo runs already, in %s.", d.dir)
	} else {
		enough, what = demo.Progress.Settled, "what avstem finds: each kind is pending for up to 15 s first"
		if a, err = d.build(ctx); err != nil {
			if ctx.Err() != nil { // whatever it broke off in
				err = errors.New("interrupted: what was built is removed again")
			}
			// What is half built is of no use to anybody.
			return errors.Join(err, rig.Clean(d.dir))
		}
	}
	err = d.await(ctx, a, enough, what)
	if ctx.Err() != nil {
		return errors.New("interrupted: the demo itself runs on; make demo shows it again, make demo-down removes it")
	}
	if err != nil {
		return fmt.Errorf("%w\nthe demo is left as it is: see %s; make demo-down removes it", err, a.LogFile())
	}
	return d.show(ctx, a)
}

// current returns the demo that runs. One that is broken, half built or of
// another build of avstem is removed.
func (d *demonstration) current() (*demo.Avstem, error) {
	r, err := rig.Open(d.dir)
	why := "An interrupted demo left its traces"
	if err == nil {
		a := demo.OpenAvstem(r)
		switch {
		case !a.Running():
			why = "There is a demo without a running avstem"
		case !same(d.program, a.Program()):
			why = "There is a demo of another build of avstem"
		default:
			return a, nil
		}
	} else if !errors.Is(err, rig.ErrNotRunning) {
		return nil, err
	}
	if _, err := os.Lstat(d.dir); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	d.say("%s in %s: starting over.", why, d.dir)
	return nil, rig.Clean(d.dir)
}

func (d *demonstration) build(ctx context.Context) (*demo.Avstem, error) {
	var r *rig.Rig
	err := d.step("a private host "+demo.Hostname+": libvirtd and Open vSwitch", func() (err error) {
		r, err = rig.Start(ctx, d.dir, rig.Options{Hostname: demo.Hostname, Persist: true})
		return err
	})
	if err != nil {
		return nil, err
	}
	all, running := demo.Guests()
	err = d.step(fmt.Sprintf("its guests: %d real VMs, %d of them running", all, running), func() error {
		return demo.Build(ctx, r)
	})
	if err != nil {
		return nil, err
	}
	return demo.StartAvstem(r, d.program)
}

// step does something and says how long it took.
func (d *demonstration) step(what string, do func() error) error {
	start := time.Now()
	status := statusLine(d.out)
	status(what + " …")
	err := do()
	status("")
	if err != nil {
		return err
	}
	d.say("%-62s %5.1f s", what, time.Since(start).Seconds())
	return nil
}

// await waits for the findings, which is called what. On a terminal it shows what
// for.
func (d *demonstration) await(ctx context.Context, a *demo.Avstem, enough func(demo.Progress) bool, what string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, findingsWithin, fmt.Errorf("not all findings are there after %s", findingsWithin))
	defer cancel()
	status := statusLine(d.out)
	return d.step(what, func() error {
		_, err := a.Await(ctx, enough, func(p demo.Progress) { status("what avstem finds: " + p.String()) })
		return err
	})
}

// statusLine returns a function that replaces the terminal's current line; where
// out is no terminal it does nothing.
func statusLine(out io.Writer) func(string) {
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return func(string) {}
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 2 {
		width = 80
	}
	return func(text string) {
		// Carriage return, erase to the end of the line (ECMA-48 EL).
		fmt.Fprintf(f, "\r\x1b[K%.*s", width-1, text)
	}
}

func (d *demonstration) show(ctx context.Context, a *demo.Avstem) error {
	for _, args := range [][]string{{"drift"}, {"explain", "web-01"}} {
		d.say("\n$ avstem %s", joined(args))
		cmd := a.Command(ctx, args...)
		cmd.Stdout, cmd.Stderr = d.out, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("run avstem %s: %w", joined(args), err)
		}
	}
	linked, err := d.makeLink(a.StateDir())
	if err != nil {
		return err
	}
	point := ""
	if !linked { // another avstem is what commands find by themselves
		point = "  export AVSTEM_STATE_DIR=" + a.StateDir() + "\n"
	}
	d.say(next, point, a.Inventory())
	return nil
}

func joined(args []string) string {
	var b bytes.Buffer
	for i, arg := range args {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(arg)
	}
	return b.String()
}

// next takes the line that points commands here, where one is needed, and the
// inventory's directory.
const next = `
Try next:

%s  bin/avstem drift --severity high        the worst of it
  bin/avstem explain cache-01             a NIC on another tenant's VLAN
  bin/avstem explain dns-01               known by its MAC alone
  bin/avstem drift -o markdown            for a ticket

  go run ./test/demo/cmd/demo in virsh start queue-01
  bin/avstem drift                        within seconds it is gone from the list

  Edit %s/vms.yaml: it is read again when saved.

  make demo-down                          ends it and removes every trace`

// in runs a command on the demo's host with our terminal.
func (d *demonstration) in(ctx context.Context, args []string) error {
	r, err := rig.Open(d.dir)
	if err != nil {
		return err
	}
	cmd := r.Command(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, d.out, os.Stderr
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return fmt.Errorf("%s ended with status %d", filepath.Base(args[0]), exit.ExitCode())
	}
	return err
}

// same says whether two files have the same content.
func same(a, b string) bool {
	x, err := os.ReadFile(a)
	if err != nil {
		return false
	}
	y, err := os.ReadFile(b)
	return err == nil && bytes.Equal(x, y)
}
