package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/internal/buildinfo"
	"github.com/dataverket/avstem/cmd/internal/choiceflag"
	"github.com/dataverket/avstem/cmd/internal/config"
	"github.com/dataverket/avstem/cmd/internal/configcmd"
	"github.com/dataverket/avstem/cmd/internal/durationflag"
	"github.com/dataverket/avstem/cmd/internal/hostagent"
	"github.com/dataverket/avstem/cmd/internal/interrupt"
	"github.com/dataverket/avstem/cmd/internal/manpage"
	"github.com/dataverket/avstem/cmd/internal/natsflags"
	"github.com/dataverket/avstem/cmd/internal/usage"
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

// app is what every command gets instead of the process's globals, so that a
// whole command line runs in a test's process.
type app struct {
	args           []string
	stdout, stderr io.Writer
	env            func(string) string
	configPath     string            // --config
	file           *config.File      // nil where there is none
	known          *pflag.FlagSet    // what the file may set
	host           hostagent.Options // of the flags that all commands have
	where          natsflags.Flags   // of run and doctor
	logLevel       slog.Level
	metrics        string // address
}

// run is the whole program: it gives the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env func(string) string) int {
	a := &app{args: args, stdout: stdout, stderr: stderr, env: env}
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	if by, is := interrupt.Of(ctx); is {
		fmt.Fprintln(stderr, by.In(err))
		return by.Status()
	}
	fmt.Fprintln(stderr, err)
	if _, usage := errors.AsType[usageError](err); usage {
		fmt.Fprintf(stderr, "see %s --help\n", command.CommandPath())
		return exitUsage
	}
	return exitError
}

const rootLong = `avstem-agent observes a hypervisor host: what it is, its links and disks, and
the VMs that its runtimes have. It changes nothing outside its state directory.

Every flag can be set by an environment variable too, and by a key of the
configuration file: --state-dir by AVSTEM_STATE_DIR and state-dir:, and so on.
The flag goes before the variable, and that before the file. The file is
/etc/avstem/agent.yaml where there is one; "avstem-agent config" says more.

Exit status: 0 all went well; 1 something could not be done; 2 the command line
could not be understood; 130 it was interrupted, save for run, which runs until
it is.`

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "avstem-agent",
		Short: "Observe a hypervisor host",
		Long:  rootLong,
		Example: `  # what would be published from this host
  avstem-agent collect

  # publish it to the "avstem up" on this machine, or to another server
  avstem-agent run
  avstem-agent run --server tls://nats.example.org --creds a.creds --site osl1`,
		Version:       buildinfo.Read().Version,
		Args:          noArguments,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			if configcmd.ReadsNoSettings(c) {
				return nil
			}
			return a.settle(c.Flags())
		},
	}
	root.SuggestionsMinimumDistance = 2
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usageError{usage.Mistyped(c, err)} })
	root.SetUsageFunc(usage.Write)
	flags := root.PersistentFlags()
	flags.SortFlags = false
	flags.StringVar(&a.configPath, "config", "", "configuration `FILE`, or none (default "+defaultConfig+" where there is one)")
	flags.StringVar(&a.host.StateDir, "state-dir", "", "`DIR` of what is kept (default /var/lib/avstem for root, $XDG_STATE_HOME/avstem for others)")
	flags.StringVar(&a.host.Site, "site", bus.DefaultSite, "`SITE` that the host is in")
	flags.StringVar(&a.host.Root, "root", "", "`DIR` where the host's file system begins, if not /; a capture has no links")
	flags.StringArrayVar(&a.host.LibvirtSockets, "libvirt-socket", nil, "libvirt's read-only `SOCKET`; may be given more than once")
	flags.StringVar(&a.host.LibvirtURI, "libvirt-uri", "", "libvirt's driver `URI` (default qemu:///system)")
	flags.StringArrayVar(&a.host.IncusSockets, "incus-socket", nil, "Incus's `SOCKET`, or none to leave Incus alone; may be given more than once")
	flags.StringArrayVar(&a.host.LXDSockets, "lxd-socket", nil, "LXD's `SOCKET`, or none to leave LXD alone; may be given more than once")
	flags.StringArrayVar(&a.host.QMPSockets, "qmp-socket", nil, "QMP `SOCKET` of a QEMU, made for avstem alone: a path or a pattern; may be given more than once")
	flags.StringVar(&a.host.OVSDB, "ovsdb", "", "`SOCKET` of Open vSwitch's database")
	durationflag.Var(flags, &a.host.Timeout, "timeout", 0, "`DURATION` that one pass over one source may take (default 30s)")
	root.AddCommand(a.runCommand(), a.enrollCommand(), a.collectCommand(), a.identityCommand(), a.doctorCommand(), a.settings().Command(noArguments), a.versionCommand(),
		manpage.Command(buildinfo.Read().Version, oneDirectory, a.settings().Page("avstem-agent"), config.Variable))
	choiceflag.Complete(root, map[string][]string{"source": hostagent.Sources(), "log-level": {"debug", "info", "warn", "error"}})
	a.known = keys(root)
	return root
}

// noArguments is cobra's check with an error that exits 2.
func noArguments(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case c.HasSubCommands():
		near := ""
		if names := c.SuggestionsFor(args[0]); len(names) > 0 {
			near = ": did you mean " + strings.Join(names, " or ") + "?"
		}
		return usageError{fmt.Errorf("unknown command %q%s", args[0], near)}
	}
	return usageError{fmt.Errorf("%s takes no argument, and got %q", c.CommandPath(), args[0])}
}

// oneDirectory asks for exactly one.
func oneDirectory(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError{fmt.Errorf("%s wants one directory, and got %d", c.CommandPath(), len(args))}
	}
	return nil
}

// addOutput adds -o with its choices, the first of which is the default.
func addOutput(c *cobra.Command, choices ...string) *string {
	format := new(string)
	c.Flags().VarP(choiceflag.New(format, choices...), "output", "o", "`FORMAT`: "+strings.Join(choices, " or "))
	return format
}
