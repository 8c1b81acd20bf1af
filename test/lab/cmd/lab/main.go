// The lab program runs two hypervisor hosts to log in to, and the tests that need
// such hosts. "make lab", "make lab-down" and "make lab-test" run it.
//
// Everything of the hosts is in one directory and in the namespaces of the lab
// there, which "down" removes; the root file system that they begin with stays in
// the cache.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/dataverket/avstem/test/lab"
)

// defaultDir is where the lab lives. It is no directory of avstem's own.
const defaultDir = "/var/lib/avstem-lab"

const usage = `usage: lab [--dir DIR] [--agent PROGRAM] [--hosts N] COMMAND

  up                   start hosts with bonds, bridges, LVM, multipath, a VM, and the agent's program
  in HOST [COMMAND…]   log in to a host (hv1, hv2 …), or run a command there
  down                 end the hosts and remove every trace of them
  test                 run every test that needs a lab, at full size, and say what each case proved
`

// errUsage ends the program with status 2; what was wrong has been said.
var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if errors.Is(err, errUsage) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("lab", flag.ContinueOnError)
	dir := flags.String("dir", defaultDir, "")
	agent := flags.String("agent", "bin/avstem-agent", "")
	hosts := flags.Int("hosts", 2, "")
	flags.Usage = func() { fmt.Fprint(flags.Output(), usage) }
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return errUsage
	}
	p := &program{dir: *dir, agent: *agent, hosts: *hosts, out: out}
	switch command := flags.Arg(0); {
	case *hosts < 1 || *hosts > 9:
		return fmt.Errorf("a lab has 1 to 9 hosts, not %d", *hosts)
	case command == "up" && flags.NArg() == 1:
		return p.alone(func() error { return p.up(ctx) })
	case command == "down" && flags.NArg() == 1:
		return p.alone(p.down)
	case command == "in" && flags.NArg() > 1:
		return p.in(ctx, flags.Arg(1), flags.Args()[2:])
	case command == "test" && flags.NArg() == 1:
		return p.test(ctx)
	}
	flags.Usage()
	return errUsage
}

// program is the lab in one directory.
type program struct {
	dir   string
	agent string
	hosts int
	out   io.Writer
}

func (p *program) say(format string, args ...any) {
	fmt.Fprintf(p.out, format+"\n", args...)
}

// alone makes sure that one up or down at a time works in the directory. The
// abstract socket (unix(7)) that stands for it leaves no file and ends with us.
func (p *program) alone(do func() error) error {
	held, err := net.Listen("unix", "@avstem-lab"+p.dir)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("another lab up or down is at work in %s: wait for it to end", p.dir)
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", p.dir, err)
	}
	defer held.Close()
	return do()
}

// down removes the lab, whatever there is of it.
func (p *program) down() error {
	if _, err := os.Lstat(p.dir); errors.Is(err, os.ErrNotExist) {
		p.say("There is no lab: nothing to remove.")
		return nil
	}
	if l, err := lab.Open(p.dir); err == nil {
		for _, h := range l.Hosts() {
			p.say("ends     %s", h.Name())
		}
	}
	if err := lab.Clean(p.dir); err != nil {
		return err
	}
	p.say("removed  %s", p.dir)
	return nil
}

// in runs a command on a host with our terminal, or a shell there.
func (p *program) in(ctx context.Context, name string, command []string) error {
	l, err := lab.Open(p.dir)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(strings.TrimPrefix(name, "hv"))
	if err != nil || n < 1 || n > len(l.Hosts()) {
		return fmt.Errorf("there is no host %q: want hv1 to hv%d", name, len(l.Hosts()))
	}
	cmd := l.Host(n-1).Login(ctx, command...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, p.out, os.Stderr
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() && len(command) > 0 {
		return fmt.Errorf("%s ended with status %d", filepath.Base(command[0]), exit.ExitCode())
	} else if ok { // a shell ends with the status of whatever came last
		return nil
	}
	return err
}
