package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/dataverket/avstem/test/lab"
	"github.com/dataverket/avstem/test/rig"
)

// agentOn is where the agent's program is on a host.
const agentOn = "/usr/local/bin/avstem-agent"

// up starts the lab, unless it runs, and says what to do with it.
func (p *program) up(ctx context.Context) error {
	agent, err := os.ReadFile(p.agent)
	if err != nil {
		return fmt.Errorf("read the agent's program (make build makes it): %w", err)
	}
	_, err = lab.Open(p.dir)
	switch {
	case err == nil && exists(p.finished()):
		p.say("The lab runs already, in %s: make lab-down ends it.", p.dir)
		p.say(next, p.dir)
		return nil
	case err != nil && !errors.Is(err, rig.ErrNotRunning):
		return err
	case exists(p.dir):
		p.say("An interrupted lab left its traces in %s: starting over.", p.dir)
		if err := lab.Clean(p.dir); err != nil {
			return err
		}
	}
	if err := p.build(ctx, agent); err != nil {
		if ctx.Err() != nil { // whatever it broke off in
			err = errors.New("interrupted: what was built is removed again")
		}
		return errors.Join(err, lab.Clean(p.dir))
	}
	p.say(next, p.dir)
	return nil
}

// finished is a file that is there once a lab is as it should be.
func (p *program) finished() string { return filepath.Join(p.dir, "finished") }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func (p *program) build(ctx context.Context, agent []byte) error {
	var l *lab.Lab
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"the root file system: some minutes the first time", func() error {
			_, err := lab.Root(ctx)
			return err
		}},
		{fmt.Sprintf("%d hosts: systemd, networks, ssh", p.hosts), func() (err error) {
			l, err = lab.Start(ctx, p.dir, lab.Options{Hosts: p.hosts, Persist: true})
			return err
		}},
		{"avstem-agent, bond, bridge, multipath, LVM, Open vSwitch", func() error {
			return each(l, func(h *lab.Host) error {
				return errors.Join(h.Put(ctx, agentOn, agent, 0o755), h.Furnish(ctx))
			})
		}},
		{"libvirt with a VM on each", func() error {
			return each(l, func(h *lab.Host) error { return h.StartVM(ctx) })
		}},
	} {
		began := time.Now()
		if err := step.do(); err != nil {
			return err
		}
		p.say("%-62s %5.1f s", step.what, time.Since(began).Seconds())
	}
	return os.WriteFile(p.finished(), nil, 0o644)
}

// each does something on all hosts at once.
func each(l *lab.Lab, do func(*lab.Host) error) error {
	failed := make([]error, len(l.Hosts()))
	var doing sync.WaitGroup
	for i, h := range l.Hosts() {
		doing.Go(func() { failed[i] = do(h) })
	}
	doing.Wait()
	return errors.Join(failed...)
}

// next takes the lab's directory.
const next = `
Try next:

  go run ./test/lab/cmd/lab in hv1                   log in (root); exit or Ctrl-D leaves
  go run ./test/lab/cmd/lab in hv1 avstem-agent collect
  go run ./test/lab/cmd/lab in hv1 avstem-agent identity show
  go run ./test/lab/cmd/lab in hv1 "bridge vlan; multipath -ll; lsblk; virsh list --all"
  go run ./test/lab/cmd/lab in hv2 ping -c 3 10.110.0.1
                                                     over switch, bond and VLAN 110
  go run ./test/lab/cmd/lab in hv2 "hostname other; avstem-agent collect | head -1"
                                                     another name, the same host

  What the kernels say: %s/hosts/*/console

  make lab-down                                      ends them and removes every trace`
