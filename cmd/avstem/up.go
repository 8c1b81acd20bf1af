package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/bus/auth"
	"github.com/dataverket/avstem/bus/embedded"
	"github.com/dataverket/avstem/cmd/avstem/internal/server"
	"github.com/dataverket/avstem/cmd/avstem/internal/source"
	"github.com/dataverket/avstem/cmd/internal/buildinfo"
	"github.com/dataverket/avstem/cmd/internal/durationflag"
	"github.com/dataverket/avstem/cmd/internal/hostagent"
	"github.com/dataverket/avstem/cmd/internal/natsflags"
	"github.com/dataverket/avstem/inventory"
)

// stopWithin is how long everything together may take to end.
const stopWithin = 5 * time.Second

const upLong = `Run everything in one process on this machine: a NATS server of its own, the
agent that observes this host, and the reconciler that holds what it sees
against the inventory. Nothing is changed on the host but the state directory.

The inventory is read again whenever it changes. What was found is kept over a
restart.

Other commands on this machine find it by themselves, and where they go to
another one, the first lines say so. From elsewhere on the machine's loopback
it takes the token in STATE/nats.token.`

const upExample = `  avstem up --inventory ./inventory

  # as an ordinary user beside another one, without a TCP port
  avstem up --inventory ./inventory --state-dir ~/avstem-lab --listen none`

type upFlags struct {
	inventory string
	policy    string
	listen    string
	interval  time.Duration
	root      string
	qmp       []string
	metrics   metricsFlag
}

func newUpCommand(a *app) *cobra.Command {
	var flags upFlags
	c := &cobra.Command{
		Use:     "up --inventory DIR",
		Short:   "Run NATS, agent and reconciler on this machine",
		Long:    upLong,
		Example: upExample,
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := flags.metrics.check(c); err != nil {
				return err
			}
			return untilStopped(c.Context(), a.up(c.Context(), &flags))
		},
	}
	c.Flags().StringVar(&flags.inventory, "inventory", "", inventoryUsage)
	c.Flags().StringVar(&flags.policy, "policy", "", policyUsage)
	c.Flags().StringVar(&flags.listen, "listen", embedded.DefaultListen, "loopback `ADDRESS` for NATS clients, or none for the unix socket alone")
	flags.metrics.addFlag(c)
	durationflag.Var(c.Flags(), &flags.interval, "interval", 30*time.Second, "`DURATION` between two passes over the host")
	c.Flags().StringVar(&flags.root, "root", "", "`DIR` where the host's file system begins, if that isn't /")
	c.Flags().StringArrayVar(&flags.qmp, "qmp-socket", nil, "QMP `SOCKET` of a QEMU, made for avstem alone: a path or a pattern; may be given more than once")
	return c
}

func (f *upFlags) check() error {
	if err := hostagent.CheckQMPSockets(f.qmp); err != nil {
		return usageError{fmt.Errorf("--qmp-socket %w", err)}
	}
	if f.inventory == "" {
		return usageError{errors.New("avstem up wants --inventory DIR, where Sentral's inventory is")}
	}
	if err := checkInterval(f.interval); err != nil {
		return usageError{fmt.Errorf("--interval %w", err)}
	}
	if f.listen == "none" {
		f.listen = ""
	}
	return nil
}

func checkInterval(every time.Duration) error {
	if every < 100*time.Millisecond {
		return fmt.Errorf("%s is too short: want at least 100ms", every)
	}
	return nil
}

// up runs until ctx ends. What stands in the way is found before anything is
// started, as far as that can be.
func (a *app) up(ctx context.Context, flags *upFlags) error {
	if err := flags.check(); err != nil {
		return err
	}
	log := a.logger()
	judging, err := openPolicy(flags.policy)
	if err != nil {
		return err
	}
	spec, err := source.Find(flags.inventory)
	if err != nil {
		return err
	}
	var intended *intended
	if !spec.OnNATS() {
		if intended, err = a.openInventory(ctx, spec, nil, log); err != nil {
			return err
		}
	}
	stateDir, err := filepath.Abs(bus.StateDir(a.global.stateDir, a.env))
	if err != nil {
		return fmt.Errorf("find the state directory: %w", err)
	}
	link, other, note := runLink(bus.RunLink(a.env), stateDir)
	nats, err := embedded.Start(ctx, embedded.Options{StateDir: stateDir, Listen: flags.listen, Link: link, Logger: log.With("part", "nats")})
	if err != nil {
		return err
	}
	defer nats.Close()
	conn, err := nats.Connect("avstem-reconciler")
	if err != nil {
		return err
	}
	defer conn.Close()
	if spec.OnNATS() { // of this process
		if intended, err = a.openInventory(ctx, spec, func() (*bus.Conn, error) { return conn, nil }, log); err != nil {
			return err
		}
	}
	host, err := hostagent.Open(ctx, hostagent.Options{
		Root: flags.root, QMPSockets: flags.qmp, StateDir: stateDir, Site: intended.site, Version: buildinfo.Read().Version, Interval: flags.interval,
		Connect: func(context.Context) (*bus.Conn, error) { return nats.Connect("avstem-agent") },
		Logger:  log.With("part", "agent"),
	})
	if err != nil {
		return err
	}
	defer host.Close()
	watcher, err := flags.metrics.open(log.With("part", "metrics"))
	if err != nil {
		return err
	}
	defer watcher.Close()
	watcher.Register(host.Metrics())

	sources := sourceLog{log: log, last: map[string]inventory.Outcome{}}
	listening := make(chan struct{})
	reconciler := watcher.reconciler(server.Options{
		Conn: conn, Site: intended.site, Watch: intended.source.Watch, Policy: judging.first, WatchPolicy: judging.watch,
		Keep:   keepAt(stateDir, intended.site),
		Logger: log.With("part", "reconciler"), Observed: sources.observed, Listening: func() { close(listening) },
	})
	observe := func(ctx context.Context) error {
		select {
		case <-listening:
			return host.Run(ctx)
		case <-ctx.Done():
			return nil
		}
	}
	a.printStart(&start{intended: intended, nats: nats, host: host, stateDir: stateDir, interval: flags.interval, other: other, note: note, metrics: watcher.Address()})
	return runTogether(ctx, log, task{"agent", observe}, task{"reconciler", reconciler.Run}, task{"metrics", watcher.run})
}

// runLink says where to put the link by which other commands find this one, and
// where there is to be none, the state directory of the other one that has it, or
// what stands in the way.
func runLink(link, stateDir string) (place, other, note string) {
	if to, err := os.Readlink(link); err == nil && to != stateDir && answers(filepath.Join(to, bus.SocketName)) {
		return "", to, ""
	}
	dir := filepath.Dir(link)
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = unix.Access(dir, unix.W_OK)
	}
	if err != nil {
		return "", "", fmt.Sprintf("there can be no link in %s by which commands find this one: %v", dir, err)
	}
	return link, "", ""
}

// reached says whether a command that names no server comes to the one with this
// socket, and where it goes otherwise.
func (a *app) reached(socket string) (here bool, elsewhere string) {
	plain := *a
	plain.where = natsflags.Flags{}
	plain.env = func(name string) string {
		if name == "STATE_DIRECTORY" { // systemd's word to this service alone
			return ""
		}
		return a.env(name)
	}
	o, err := plain.target("", (*auth.Dir).OncallCreds)
	if err != nil {
		return false, ""
	}
	first, how := o.First()
	if first == "" {
		return false, how
	}
	one, err := os.Stat(socket)
	if err != nil {
		return false, first
	}
	other, err := os.Stat(first)
	if err == nil && os.SameFile(one, other) {
		return true, ""
	}
	if at, err := filepath.EvalSymlinks(first); err == nil {
		first = at
	}
	return false, filepath.Dir(first)
}

// answers says whether somebody listens on a unix socket.
func answers(socket string) bool {
	conn, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// start is what the first lines tell.
type start struct {
	intended *intended
	nats     *embedded.Server
	host     *hostagent.Host
	stateDir string
	interval time.Duration
	other    string // state directory of another up to which the link goes, "" for none
	note     string
	metrics  string // "" where there are none
}

func (a *app) printStart(s *start) {
	where := s.nats.Socket()
	if url := s.nats.URL(); url != "" {
		where += ", and " + url + " with the token in " + filepath.Join(s.stateDir, embedded.TokenName)
	}
	inv := s.intended.first
	fmt.Fprintf(a.stdout, "avstem is up for site %s\n\n", s.intended.site)
	for _, line := range [][2]string{
		{"inventory", fmt.Sprintf("%s: %s, %s", inv.Source, count(len(inv.Hosts), "host"), count(len(inv.VMs), "VM"))},
		{"this host", fmt.Sprintf("%s, looked at every %s: %s", s.host.ID(), s.interval, strings.Join(hostagent.Sources(), ", "))},
		{"NATS", where},
		{"metrics", orNone(s.metrics)},
		{"state", s.stateDir},
	} {
		fmt.Fprintf(a.stdout, "  %-10s %s\n", line[0], line[1])
	}
	command := "avstem drift"
	here, elsewhere := a.reached(s.nats.Socket())
	if !here {
		command += " --state-dir " + s.stateDir
	}
	if s.note != "" {
		fmt.Fprintf(a.stdout, "\n%s\n", s.note)
	}
	switch {
	case !here && elsewhere != "":
		fmt.Fprintf(a.stdout, "\ncommands without --state-dir go to another one: %s\n", elsewhere)
	case here && s.other != "":
		fmt.Fprintf(a.stdout, "\nanother avstem up runs, which commands reach with --state-dir %s\n", s.other)
	}
	if n := len(inv.Problems); n > 0 {
		fmt.Fprintf(a.stdout, "\n%s in the inventory: the log below says where\n", count(n, "problem"))
	}
	fmt.Fprintf(a.stdout, "\nSee what differs: %s\nStop: Ctrl-C\n\n", command)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// sourceLog says how this host's sources are seen, whenever that changes.
type sourceLog struct {
	log  *slog.Logger
	last map[string]inventory.Outcome
}

// observed is called by one goroutine.
func (l *sourceLog) observed(o *inventory.Observation) {
	key := o.Host.String() + " " + o.Source
	if l.last[key] == o.Outcome {
		return
	}
	l.last[key] = o.Outcome
	runtime := strings.HasPrefix(o.Source, "runtime-")
	switch {
	case o.Outcome == inventory.OutcomeAbsent && runtime:
		l.log.Info("runtime is not on this host", "source", o.Source, "looked", firstProblem(o))
	case o.Outcome == inventory.OutcomeComplete && runtime:
		l.log.Info("source is seen", "source", o.Source, "vms", len(o.VMs))
	case o.Outcome == inventory.OutcomeComplete:
		l.log.Info("source is seen", "source", o.Source)
	default:
		l.log.Warn("source is not seen whole", "source", o.Source, "outcome", o.Outcome, "problems", len(o.Problems), "first", firstProblem(o))
	}
}

func firstProblem(o *inventory.Observation) string {
	if len(o.Problems) == 0 {
		return ""
	}
	p := o.Problems[0]
	return strings.TrimSpace(p.Call + ": " + p.Error)
}
