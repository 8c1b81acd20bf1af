package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/internal/buildinfo"
	"github.com/dataverket/avstem/cmd/internal/choiceflag"
	"github.com/dataverket/avstem/cmd/internal/durationflag"
	"github.com/dataverket/avstem/cmd/internal/usage"
	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/evaluate/probe"
)

// The exit statuses, which scripts rely on.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// usageError is a command line that can't be understood.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            func(string) string

	runtime   string
	yes       bool
	clean     bool
	guard     bool // we watch over the probe that started us
	output    string
	restart   string
	sockets   []string
	inventory string
	unasked   bool
	site      string
	where     bus.Options
	interval  time.Duration
	limit     time.Duration
}

// run is the whole program: it gives the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env func(string) string) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, env: env}
	root := a.command()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, err)
	if _, wrong := errors.AsType[usageError](err); wrong {
		fmt.Fprintln(stderr, "see avstem-probe --help")
		return exitUsage
	}
	return exitError
}

const long = `avstem-probe makes a throwaway VM (a container, on LXD and Incus) and drives it
through its life: create, start, stop, reboot, a restart of the runtime's daemon,
attach and detach a disk and a NIC, set metadata, rename, snapshot, clone,
delete. For each step it says whether it worked without a person, how long until
it was observed, by which event, and whether the VM's UUID, MAC addresses, disk
serials, NIC order and metadata stayed what they were. avstem evaluate --probe
reads what -o json writes.

This changes the host, and needs root. Everything that it makes is named
avstem-probe-… and is removed at the end: also when it is interrupted, by a second
process when it is killed, and by the next one at the latest (--clean does that
alone). One probe of a runtime runs at a time. The VM is the smallest that there is, on a network that leads nowhere,
and has no guest system.

It refuses to run on a host that Sentral calls active: by --inventory, or else by
the reconciler of --site.`

func (a *app) command() *cobra.Command {
	c := &cobra.Command{
		Use:   "avstem-probe --runtime R --yes-change-this-host",
		Short: "Drive a throwaway VM through its life on a lab host",
		Long:  long,
		Example: `  avstem-probe --runtime libvirt --yes-change-this-host -o json > libvirt.json
  avstem-probe --runtime lxd --yes-change-this-host --inventory ./inventory
  avstem-probe --runtime qemu --clean --yes-change-this-host`,
		Version:       buildinfo.Read().Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unexpected argument %q", args[0])}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return a.main(c.Context()) },
	}
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usageError{usage.Mistyped(c, err)} })
	c.SetUsageFunc(usage.Write)
	flags := c.Flags()
	flags.SortFlags = false
	flags.Var(choiceflag.Optional(&a.runtime, runtimes...), "runtime", "`RUNTIME` to probe: "+strings.Join(runtimes, ", "))
	flags.BoolVar(&a.yes, "yes-change-this-host", false, "say that this host may be changed")
	flags.BoolVar(&a.clean, "clean", false, "only remove what an earlier probe left")
	flags.VarP(choiceflag.New(&a.output, "table", "json"), "output", "o", "`FORMAT`: table or json")
	flags.StringVar(&a.restart, "restart-daemon", "", "shell `COMMAND` that restarts the runtime's daemon; none leaves that step out\n(default systemctl restart of its unit, where systemd runs)")
	flags.StringArrayVar(&a.sockets, "socket", nil, "the daemon's `SOCKET`, read-write; may be given more than once")
	durationflag.Var(flags, &a.interval, "interval", time.Second, "`DURATION` between passes where no event tells of a change")
	durationflag.Var(flags, &a.limit, "limit", 10*time.Second, "`DURATION` within which a change must be observed")
	flags.StringVar(&a.inventory, "inventory", "", "inventory `DIR` that says whether this host is active")
	flags.BoolVar(&a.unasked, "without-sentral", false, "don't ask Sentral about this host: you know that it is a lab's")
	flags.StringVar(&a.site, "site", bus.DefaultSite, "`SITE` whose reconciler is asked about this host")
	flags.StringVar(&a.where.Server, "server", "", "NATS server `URL`; several with commas")
	flags.StringVar(&a.where.Context, "context", "", "NATS context `NAME`, as the nats command keeps them")
	flags.StringVar(&a.where.Creds, "creds", "", "NATS credentials `FILE`")
	flags.StringVar(&a.where.StateDir, "state-dir", "", "the agent's state `DIR`, where the host's ID is (default /var/lib/avstem)")
	flags.BoolVar(&a.guard, "guard", false, "")
	_ = flags.MarkHidden("guard") // it is there
	choiceflag.Complete(c, nil)
	return c
}

func (a *app) main(ctx context.Context) error {
	switch {
	case a.runtime == "":
		return usageError{errors.New("--runtime is missing: " + strings.Join(runtimes, ", "))}
	case !a.yes:
		return usageError{errors.New("this changes the host: say --yes-change-this-host")}
	case a.interval <= 0 || a.limit <= 0:
		return usageError{errors.New("--interval and --limit must be more than nothing")}
	case os.Geteuid() != 0:
		return errors.New("probe: it makes VMs: run it as root")
	}
	target, err := a.target()
	if err != nil {
		return err
	}
	defer target.driver.Close()
	defer target.close()
	if a.guard { // it has its probe's lock
		return a.watchOver(ctx, target.driver)
	}
	var host *self
	if !a.clean {
		if host, err = a.self(ctx); err != nil {
			return err
		}
	}
	lock, err := a.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.Close()
	if a.clean {
		return errors.Join(target.driver.Clean(ctx)...)
	}
	guard, err := a.startGuard(lock)
	if err != nil {
		return fmt.Errorf("probe: start the process that cleans up should this one be killed: %w", err)
	}
	fmt.Fprintf(a.stderr, "probing %s on %s: everything that is made is named %s…\n", a.runtime, host.name, probe.Prefix)
	result, err := probe.Run(ctx, probe.Options{
		Driver: target.driver, Collector: target.collector, Interval: a.interval, Limit: a.limit,
		Host: host.name, HostID: host.id, Version: buildinfo.Read().Version,
		Progress: func(s evaluate.ProbeStep) { fmt.Fprintln(a.stderr, stepLine(&s)) },
	})
	guard.release()
	if result != nil {
		if err := a.write(result); err != nil {
			return fmt.Errorf("write the result: %w", err)
		}
		if len(result.Left) > 0 {
			return fmt.Errorf("probe: something could not be removed:\n  %s", strings.Join(result.Left, "\n  "))
		}
	}
	return err
}
