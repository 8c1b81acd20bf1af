// The demo program shows avstem at work on one machine: a private hypervisor
// host with real guests, a Sentral inventory that disagrees with it, and avstem
// between them. "make demo" and "make demo-down" run it.
//
// Everything is in one directory and in the namespaces of the rig there; "down"
// removes both.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// defaultDir is where the demo lives. It is no directory of avstem's own.
const defaultDir = "/var/lib/avstem-demo"

const usage = `usage: demo [--dir DIR] [--avstem PROGRAM] COMMAND

  up            build the demo's host, start avstem on it, and show what it finds
  in COMMAND…   run a command on the demo's host, such as: in virsh list --all
  down          end everything and remove every trace
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
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	dir := flags.String("dir", defaultDir, "")
	program := flags.String("avstem", "bin/avstem", "")
	flags.Usage = func() { fmt.Fprint(flags.Output(), usage) }
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return errUsage
	}
	d := &demonstration{dir: *dir, out: out}
	var err error
	if d.program, err = filepath.Abs(*program); err != nil {
		return err
	}
	switch command := flags.Arg(0); {
	case command == "up" && flags.NArg() == 1:
		return d.alone(func() error { return d.up(ctx) })
	case command == "down" && flags.NArg() == 1:
		return d.alone(func() error { return d.down(ctx) })
	case command == "in" && flags.NArg() > 1:
		return d.in(ctx, flags.Args()[1:])
	}
	flags.Usage()
	return errUsage
}

// demonstration is the demo in one directory.
type demonstration struct {
	dir     string
	program string // absolute
	out     io.Writer
}

func (d *demonstration) say(format string, args ...any) {
	fmt.Fprintf(d.out, format+"\n", args...)
}

// alone makes sure that one up or down at a time works in the directory. The
// abstract socket (unix(7)) that stands for it leaves no file and ends with us.
func (d *demonstration) alone(do func() error) error {
	held, err := net.Listen("unix", "@avstem-demo"+d.dir)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("another demo up or down is at work in %s: wait for it to end", d.dir)
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", d.dir, err)
	}
	defer held.Close()
	return do()
}
