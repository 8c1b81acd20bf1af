package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/internal/buildinfo"
	"github.com/dataverket/avstem/cmd/internal/choiceflag"
	"github.com/dataverket/avstem/cmd/internal/config"
	"github.com/dataverket/avstem/cmd/internal/configcmd"
	"github.com/dataverket/avstem/cmd/internal/interrupt"
	"github.com/dataverket/avstem/cmd/internal/manpage"
	"github.com/dataverket/avstem/cmd/internal/usage"
	"github.com/dataverket/avstem/inventory/near"
)

// run is the whole program: it gives the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env func(string) string) int {
	a := newApp(stdin, stdout, stderr, env)
	root := newRootCommand(a)
	root.SetArgs(args)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	if by, is := interrupt.Of(ctx); is {
		a.notef("%s", by.In(err))
		return by.Status()
	}
	a.complain(command, err)
	return exitCode(err)
}

const rootLong = `avstem holds what hypervisor hosts show against what Sentral, the system of
record, says, and shows where they differ. It changes nothing on a host, and of
Sentral's files only what "avstem sentral adopt --write" is told to.

Exit status: 0 all went well; 1 something could not be done; 2 the command line
could not be understood, or names a site, platform, tenant or project that there
isn't; 3 --fail-on found something that severe or worse; 130 it was interrupted,
save for up and serve, which run until they are.

The NATS server is the one that --server, --context or --state-dir names, else
AVSTEM_SERVER, AVSTEM_CONTEXT or AVSTEM_STATE_DIR, else the one in the
configuration file (/etc/avstem/avstem.yaml; see "avstem config"), else the NATS
context that the nats command has selected, else the "avstem up" in the default
state directory (/var/lib/avstem for root, ~/.local/state/avstem for others),
else the one that runs on this machine with another.

NO_COLOR is obeyed, and what goes into a pipe or a file has no colour.`

func newRootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "avstem",
		Short: "Find where hypervisor hosts and Sentral differ",
		Long:  rootLong,
		Example: `  # everything on this machine in one process
  avstem up --inventory ./inventory

  # what differs now, and why
  avstem drift
  avstem explain web-01

  # a server for many hosts
  avstem init`,
		Version:       buildinfo.Read().Version,
		Args:          noArguments,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			// init writes what others read.
			if configcmd.ReadsNoSettings(c) || c.Name() == "init" && c.Parent() == c.Root() {
				return nil
			}
			return a.settle(c)
		},
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usageError{usage.Mistyped(c, err)} })
	root.SetUsageFunc(usage.Write)
	a.addGlobalFlags(root)
	add := func(id, title string, commands ...*cobra.Command) {
		root.AddGroup(&cobra.Group{ID: id, Title: title})
		for _, c := range commands {
			c.GroupID = id
		}
		root.AddCommand(commands...)
	}
	add("look", "See what differs, and why:",
		newDriftCommand(a), newExplainCommand(a), newHostsCommand(a), newHistoryCommand(a), newBlameCommand(a), newBundleCommand(a), newDiffCommand(a))
	add("judge", "Judge platforms and policies:",
		newReportCommand(a), newPlatformsCommand(a), newEvaluateCommand(a), newReplayCommand(a), newPolicyCommand(a))
	add("decide", "Decide:",
		newAckCommand(a), newUnackCommand(a), newSentralCommand(a), newInventoryCommand(a))
	add("run", "Run it:",
		newUpCommand(a), newInitCommand(a), newServeCommand(a), newAuthCommand(a), newEnrollCommand(a), newDoctorCommand(a), a.settings().Command(noArguments))
	root.AddCommand(
		newVersionCommand(a),
		manpage.Command(buildinfo.Read().Version, oneArgument("directory"), a.settings().Page("avstem"), config.Variable),
	)
	addCompletion(root)
	choiceflag.Complete(root, flagWords())
	a.completeArguments(root)
	return root
}

func (a *app) addGlobalFlags(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.SortFlags = false
	a.where.Add(flags)
	flags.StringVar(&a.configPath, "config", "", "configuration `FILE`, or none (default "+defaultConfig+" where there is one)")
	flags.StringVar(&a.global.stateDir, "state-dir", "", "state `DIR` of avstem up on this machine")
	flags.StringVar(&a.global.site, "site", "", "`SITE` that is meant; without it all are asked, and up and serve take the inventory's only one")
}

// noArguments, exactly and atLeast are cobra's checks with errors that exit 2.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if c.HasSubCommands() {
		return usageError{fmt.Errorf("unknown command %q%s", args[0], suggestions(c, args[0]))}
	}
	return usageError{fmt.Errorf("%s takes no argument, and got %q", c.CommandPath(), args[0])}
}

func suggestions(c *cobra.Command, name string) string {
	var known []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			known = append(known, sub.Name())
		}
	}
	meant := near.Names(name, slices.Values(known), 2)
	if len(meant) == 0 {
		return ""
	}
	return ": did you mean " + strings.Join(meant, " or ") + "?"
}

// oneArgument asks for exactly one, called what.
func oneArgument(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return usageError{fmt.Errorf("%s wants one %s, and got %s", c.CommandPath(), what, count(len(args), "argument"))}
	}
}

// complain writes an error for a person.
func (a *app) complain(command *cobra.Command, err error) {
	if errors.Is(err, driftError{}) {
		return
	}
	a.notef("%v", err)
	if none, ok := errors.AsType[*bus.NoServerError](err); ok {
		for _, place := range none.Tried {
			fmt.Fprintf(a.stderr, "  looked for %s\n", place)
		}
	}
	if errors.Is(err, nats.ErrNoResponders) {
		fmt.Fprintln(a.stderr, "  is JetStream switched on there? nats-server -js, or jetstream {} in its configuration")
	}
	if _, ok := errors.AsType[usageError](err); ok {
		fmt.Fprintf(a.stderr, "see %s --help\n", command.CommandPath())
	}
}
