package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/dataverket/avstem/bus/embedded"
	"github.com/dataverket/avstem/test/fleet"
)

// serve is a process of its own, so that what the fleet and the server take isn't
// counted as the reconciler's. It publishes everything, and then what each line that
// it is told names; after each it says a line: how many documents in how long.
func serve(ctx context.Context, o options, dir string) error {
	nats, err := embedded.Start(ctx, embedded.Options{StateDir: dir})
	if err != nil {
		return err
	}
	defer nats.Close()
	conn, err := nats.Connect("fleet")
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.EnsureStreams(ctx); err != nil {
		return err
	}
	f := fleet.New(o.Plan)
	hosts, world := fleet.NewHosts(f, conn), fleet.NewWorld(f, f.Inventory())
	world.Skip(100) // generations that the bench makes up itself
	begin := time.Now()
	n, err := hosts.All(ctx)
	took := time.Since(begin)
	for lines := bufio.NewScanner(os.Stdin); err == nil; {
		fmt.Printf("published %d %d\n", n, took)
		if !lines.Scan() {
			return lines.Err()
		}
		switch lines.Text() {
		case "churn":
			n, took, err = hosts.Churn(ctx, world, o.churn, o.during)
		case "flood":
			begin := time.Now()
			n, err = hosts.Flood(ctx, world)
			took = time.Since(begin)
		default:
			err = fmt.Errorf("told to publish %q", lines.Text())
		}
	}
	return err
}

// hostProcess is the process that is the hosts.
type hostProcess struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
}

func startHosts(ctx context.Context, o options, dir string) (*hostProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-publish", dir, "-hosts", fmt.Sprint(o.Hosts), "-vms", fmt.Sprint(o.VMs),
		"-sites", fmt.Sprint(o.Sites), "-drift-every", fmt.Sprint(o.DriftEvery), "-churn", fmt.Sprint(o.churn), "-during", fmt.Sprint(o.during))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	h := &hostProcess{cmd: cmd, in: in, lines: bufio.NewScanner(out)}
	n, took, err := h.published()
	if err != nil {
		h.end()
		return nil, err
	}
	figure("published over NATS", n, "documents", fmt.Sprintf("in %.1f s", took.Seconds()))
	return h, nil
}

// told has the hosts publish something.
func (h *hostProcess) told(what string) (documents int, took time.Duration, err error) {
	if _, err := fmt.Fprintln(h.in, what); err != nil {
		return 0, 0, err
	}
	return h.published()
}

func (h *hostProcess) published() (documents int, took time.Duration, err error) {
	if !h.lines.Scan() {
		return 0, 0, fmt.Errorf("the simulated hosts have ended: %v", errors.Join(h.lines.Err(), h.cmd.Wait()))
	}
	_, err = fmt.Sscanf(h.lines.Text(), "published %d %d", &documents, &took)
	return documents, took, err
}

func (h *hostProcess) end() {
	h.in.Close()
	_ = h.cmd.Wait() // it was told to end
}
