package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/test/rig"
)

// Avstem is "avstem up" inside the demo's host. What it needs is in the rig's
// directory: bin/avstem, a copy, so that a new build doesn't disturb it;
// inventory; state; and avstem.log.
type Avstem struct{ rig *rig.Rig }

// OpenAvstem is the one that was started in the rig, whether it still runs or not.
func OpenAvstem(r *rig.Rig) *Avstem { return &Avstem{r} }

// StartAvstem starts the program in the rig with the demo's inventory. It
// outlives its starter and ends with the rig.
func StartAvstem(r *rig.Rig, program string) (*Avstem, error) {
	a := OpenAvstem(r)
	if err := copyProgram(program, a.Program()); err != nil {
		return nil, fmt.Errorf("start avstem: %w", err)
	}
	if err := WriteInventory(a.Inventory()); err != nil {
		return nil, err
	}
	// A clean environment: the caller's AVSTEM_ variables are about another one.
	const script = `env -i PATH="$PATH" HOME=/root setsid "$1" up --inventory "$2" --state-dir "$3" --interval 5s \
	</dev/null >"$4" 2>&1 &
echo $! >"$5"
# The process is sh, env and setsid before it is avstem.
while kill -0 $! 2>/dev/null && [ "$(cat /proc/$!/comm)" != avstem ]; do sleep 0.01; done`
	if _, err := r.Run("sh", "-c", script, "sh", a.Program(), a.Inventory(), a.StateDir(), a.LogFile(), a.pidFile()); err != nil {
		return nil, fmt.Errorf("start avstem: %w", err)
	}
	return a, nil
}

// Program is the copy that runs.
func (a *Avstem) Program() string { return a.rig.Dir() + "/bin/avstem" }

// Inventory is the directory that it reads as Sentral's.
func (a *Avstem) Inventory() string { return a.rig.Dir() + "/inventory" }

// StateDir is what --state-dir takes to ask it.
func (a *Avstem) StateDir() string { return a.rig.Dir() + "/state" }

// LogFile has what it wrote.
func (a *Avstem) LogFile() string { return a.rig.Dir() + "/avstem.log" }

func (a *Avstem) pidFile() string { return a.rig.Dir() + "/avstem.pid" } // as inside

// Running says whether it lives.
func (a *Avstem) Running() bool {
	_, err := a.rig.Run("sh", "-c", `test "$(cat /proc/"$(cat "$1")"/comm)" = avstem`, "sh", a.pidFile())
	return err == nil
}

// Command prepares an avstem command that asks it, from outside the rig.
func (a *Avstem) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, a.Program(), append(args, "--state-dir", a.StateDir())...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AVSTEM_") })
	return cmd
}

// Findings are what "avstem drift --all" says now, as its JSON.
func (a *Avstem) Findings(ctx context.Context) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := a.Command(ctx, "drift", "--all", "-o", "json")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("run avstem drift: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return stdout.Bytes(), nil
}

// Progress is how far avstem has come.
type Progress struct {
	Open, Pending int
	// Awaited are the VMs on which both sides differ and that have no open
	// finding yet.
	Awaited []string
	// Problem is why there is no answer, while there is none.
	Problem error
}

// String says it in one line.
func (p Progress) String() string {
	switch {
	case p.Problem != nil:
		return "no answer yet"
	case len(p.Awaited) > 0:
		return fmt.Sprintf("%d findings open, %d pending, none yet on %s", p.Open, p.Pending, strings.Join(p.Awaited, " "))
	}
	return fmt.Sprintf("%d findings open, %d pending", p.Open, p.Pending)
}

// Answers says whether avstem gives findings at all.
func (p Progress) Answers() bool { return p.Problem == nil }

// Settled says whether every VM that disagrees in the world as it was built has
// an open finding, and nothing is pending any more.
func (p Progress) Settled() bool { return p.Answers() && p.Pending == 0 && len(p.Awaited) == 0 }

// lastWords is the end of what avstem has logged.
func (a *Avstem) lastWords() string {
	data, err := os.ReadFile(a.LogFile())
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-2000):])
}

// Await asks until enough is true of what it sees, or ctx ends. It returns the
// last findings, as JSON, and calls show with all that it sees.
func (a *Avstem) Await(ctx context.Context, enough func(Progress) bool, show func(Progress)) ([]byte, error) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	var last Progress
	for {
		if !a.Running() {
			return nil, fmt.Errorf("await findings: avstem has ended: see %s, which ends with\n%s", a.LogFile(), a.lastWords())
		}
		data, p := a.progress(ctx)
		if ctx.Err() == nil {
			last = p
			show(p)
		}
		if enough(p) {
			return data, nil
		}
		select {
		case <-ctx.Done():
			return data, fmt.Errorf("await findings: %w", errors.Join(fmt.Errorf("%w: %s", context.Cause(ctx), last), last.Problem))
		case <-tick.C:
		}
	}
}

func (a *Avstem) progress(ctx context.Context) ([]byte, Progress) {
	data, err := a.Findings(ctx)
	if err != nil {
		return nil, Progress{Problem: err}
	}
	var findings []reconcile.Finding
	if err := json.Unmarshal(data, &findings); err != nil {
		return nil, Progress{Problem: fmt.Errorf("read findings: %w", err)}
	}
	p := Progress{Awaited: Disagreeing()}
	for _, f := range findings {
		switch f.State {
		case reconcile.Pending:
			p.Pending++
		case reconcile.Open:
			p.Open++
			p.Awaited = slices.DeleteFunc(p.Awaited, func(name string) bool { return name == f.Subject.Name })
		}
	}
	return data, p
}

func copyProgram(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}
