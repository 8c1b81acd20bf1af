package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/dataverket/avstem/evaluate/probe"
)

// A guard is a second process of this program, in a session of its own, that
// holds one end of a pipe. When the probe has ended in order it says so on the
// pipe; when the pipe ends without that word it was killed, and the guard cleans
// up in its stead.

const released = "released\n"

// guard is the probe's side of it.
type guard struct {
	pipe *os.File
	cmd  *exec.Cmd
}

func (a *app) startGuard(lock *os.File) (*guard, error) {
	in, pipe, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	arguments := []string{"--runtime", a.runtime, "--yes-change-this-host", "--guard"}
	for _, s := range a.sockets {
		arguments = append(arguments, "--socket", s)
	}
	cmd := exec.Command("/proc/self/exe", arguments...)
	cmd.Stdin, cmd.Stderr = in, os.Stderr
	cmd.ExtraFiles = []*os.File{lock}                    // held until it has cleaned up, too
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a terminal's Ctrl-C is for the probe
	if err := cmd.Start(); err != nil {
		pipe.Close()
		return nil, err
	}
	return &guard{pipe, cmd}, nil
}

// release lets the guard go.
func (g *guard) release() {
	_, err := g.pipe.WriteString(released)
	g.pipe.Close()
	if err == nil {
		_ = g.cmd.Wait() // it has nothing to say
	}
}

// cleanFor is how long a guard tries.
const cleanFor = 2 * time.Minute

// watchOver is the guard's own side.
func (a *app) watchOver(ctx context.Context, driver probe.Driver) error {
	said, _ := bufio.NewReader(a.stdin).ReadString('\n')
	if said == released {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanFor)
	defer cancel()
	if left := driver.Clean(ctx); len(left) > 0 {
		return fmt.Errorf("%w, and something could not be removed: %w", errKilled, errors.Join(left...))
	}
	fmt.Fprintf(a.stderr, "avstem-probe: %v: what it had made is removed\n", errKilled)
	return nil
}
