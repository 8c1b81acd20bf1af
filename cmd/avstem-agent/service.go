package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/dataverket/avstem/agent"
	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/internal/hostagent"
	"github.com/dataverket/avstem/inventory"
)

const (
	// lookEvery is how often the agent's state is told to systemd and compared
	// with what the log said last. It is below half of any sensible WatchdogSec.
	lookEvery = 5 * time.Second
	// sayEvery is how often an agent that is well says so.
	sayEvery = 24 * time.Hour
)

// service runs the agent as a service: it tells systemd and the log how the agent
// is doing, and reloads. The log has a line when something changes and one each
// day, and is quiet otherwise.
type service struct {
	app     *app
	host    *hostagent.Host
	log     *slog.Logger
	level   *slog.LevelVar
	systemd func(state ...string)
	now     func() time.Time

	where atomic.Pointer[bus.Options]

	settings map[string]string // that the agent runs with, by key

	// What the log said last; touched by run alone.
	outcomes map[string]inventory.Outcome
	late     bool // said that documents can't be published
	said     time.Time
	refused  string // why the configuration was not taken at the last reload
}

// notify tells systemd, where it asked to be told.
func notify(state ...string) {
	// An error means that nobody listens, which is nobody's trouble.
	_, _ = daemon.SdNotify(false, strings.Join(state, "\n"))
}

func (d *service) use(where bus.Options) {
	where.Logger = d.log
	d.where.Store(&where)
}

func (d *service) connect(ctx context.Context) (*bus.Conn, error) {
	where := *d.where.Load()
	where.Name = "avstem-agent " + d.host.ID().String()
	return bus.Connect(ctx, where)
}

// run observes until ctx ends.
func (d *service) run(ctx context.Context) error {
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	ended := make(chan error, 1)
	go func() { ended <- d.host.Run(ctx) }()
	d.outcomes, d.said, d.settings = map[string]inventory.Outcome{}, d.now(), map[string]string{}
	for _, o := range d.app.origins() {
		d.settings[o.Key] = o.Value
	}
	// Ready is not connected: a host must boot, and be seen by whoever logs in,
	// with its network away.
	d.systemd(daemon.SdNotifyReady, "STATUS=beginning")
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case err := <-ended: // by itself, or it saw sooner than this that it is to end
			d.systemd(daemon.SdNotifyStopping, "STATUS=stopping")
			return err
		case <-ctx.Done():
			d.systemd(daemon.SdNotifyStopping, "STATUS=stopping")
			return <-ended
		case <-reload:
			d.reload()
		case <-look.C:
		}
		status := d.host.Status()
		d.say(status)
		words := "STATUS=" + status.Words(d.now())
		if d.refused != "" {
			words += "; the configuration was not taken: " + d.refused
		}
		d.systemd(words, daemon.SdNotifyWatchdog)
	}
}

// say logs what changed since the last look.
func (d *service) say(s agent.Status) {
	for _, source := range s.Sources {
		last, known := d.outcomes[source.Source]
		d.outcomes[source.Source] = source.Outcome
		switch whole := source.Outcome == inventory.OutcomeComplete || source.Outcome == inventory.OutcomeAbsent; {
		case last == source.Outcome:
		case !whole:
			d.log.Warn("source is not seen whole", "source", source.Source, "outcome", source.Outcome, "why", s.Why[source.Source], "see", "avstem-agent collect --source "+source.Source)
		case known:
			d.log.Info("source has changed", "source", source.Source, "outcome", source.Outcome, "before", last)
		}
	}
	// Where nothing was ever published, the log has why it can't connect.
	late := s.Waiting > 0 && !s.Published.IsZero() && d.now().Sub(s.Published) > time.Minute
	switch {
	case late && !d.late:
		d.late = true
		d.log.Warn("nothing is published", "documents", s.Waiting, "last", s.Published.UTC().Format(time.RFC3339), "server", s.Server)
	case d.late && s.Waiting == 0:
		d.late = false
		d.log.Info("publishing again")
	}
	if d.now().Sub(d.said) >= sayEvery {
		d.said = d.now()
		d.log.Info("agent is running", "host", d.host.ID(), "epoch", d.host.Epoch(), "status", s.Words(d.now()))
	}
}

// reload reads the configuration again, and takes of it what can be taken. What is
// wrong with it leaves everything as it was.
func (d *service) reload() {
	d.systemd(daemon.SdNotifyReloading, daemon.SdNotifyMonotonicUsec())
	defer d.systemd(daemon.SdNotifyReady)
	changed, restart, err := d.take()
	if err != nil {
		d.refused = strings.ReplaceAll(err.Error(), "\n", "; ")
		d.log.Error("configuration is not taken: the one before stays", "err", err)
		return
	}
	d.refused = ""
	d.log.Info("configuration was read again", "taken", changed, "waitForRestart", restart)
}

// take compares the settings as they are now with those that the program runs
// with, by the command line that it was started with.
func (d *service) take() (changed, restart []string, err error) {
	next := &app{args: d.app.args, stdout: d.app.stdout, stderr: d.app.stderr, env: d.app.env}
	root := next.rootCommand()
	command, rest, err := root.Find(d.app.args)
	if err == nil {
		err = command.ParseFlags(rest)
	}
	if err == nil {
		err = next.settle(command.Flags())
	}
	if err != nil {
		return nil, nil, err
	}
	where, _, err := next.reach()
	if err != nil {
		return nil, nil, err
	}
	for _, o := range next.origins() {
		if o.Value == d.settings[o.Key] {
			continue
		}
		if slices.Contains(next.settings().Reload, o.Key) {
			changed = append(changed, o.Key)
			d.settings[o.Key] = o.Value
		} else { // it runs with the one before, as the next reload will say again
			restart = append(restart, o.Key)
		}
	}
	slices.Sort(changed)
	slices.Sort(restart)
	d.level.Set(next.logLevel)
	// Files may hold something new under the same name, so the connection is made
	// anew in any case.
	d.use(where)
	d.host.Reconnect()
	return changed, restart, nil
}
