package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/internal/choiceflag"
	"github.com/dataverket/avstem/cmd/internal/doctor"
	"github.com/dataverket/avstem/cmd/internal/durationflag"
	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/files"
)

const doctorLong = `Tries what the reconciler of a site needs, and says of each thing what was
tried, what happened, what that means and what to type. Nothing is changed.

It listens for heartbeats for a while, which each agent sends each 10 s.

Exit status: 0 nothing is broken, though there may be warnings; 1 something is.`

func newDoctorCommand(a *app) *cobra.Command {
	var offline bool
	var listen time.Duration
	var output string
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say what works on the server side, what doesn't, and what to do",
		Long:  doctorLong,
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			results := a.examineFiles()
			from := a.setting("inventory", "AVSTEM_INVENTORY")
			if from != "" || offline {
				results = append(results, a.examineInventory(c.Context(), from))
			}
			if !offline {
				results = append(results, a.examineServer(c.Context(), listen, from == "")...)
			}
			if c.Context().Err() != nil {
				return fmt.Errorf("examine this site: %w", context.Cause(c.Context()))
			}
			width := 0
			if a.isTerminal {
				width = a.width
			}
			return doctor.Write(a.stdout, results, output == "json", width)
		},
	}
	c.Flags().BoolVar(&offline, "offline", false, "leave out everything that needs the NATS server")
	durationflag.Var(c.Flags(), &listen, "listen-for", 12*time.Second, "`DURATION` for which agents are listened for")
	c.Flags().VarP(choiceflag.New(&output, "text", "json"), "output", "o", "`FORMAT`: text or json")
	return c
}

// setting is what the environment or the file says of a key that is another
// command's flag.
func (a *app) setting(key, variable string) string {
	if value := a.env(variable); value != "" {
		return value
	}
	return a.file.First(key)
}

func (a *app) examineFiles() []doctor.Result {
	file := "none; defaults are in effect"
	if a.file != nil {
		file = fmt.Sprintf("%s, keys set: %d", a.file.Path, len(a.file.Values))
	}
	results := []doctor.Result{doctor.Good("configuration", "read the configuration file", file), doctor.KernelClock()}
	if dir := bus.StateDir(a.global.stateDir, a.env); exists(dir) {
		results = append(results, doctor.StateDirectory(dir, "avstem", "what hosts and the reconciler say can't be kept, and no host be let in"))
	}
	return results
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (a *app) examineInventory(ctx context.Context, from string) doctor.Result {
	const check = "inventory"
	switch {
	case from == "":
		return noInventory(nil)
	case !exists(from) && strings.Contains(from, ":"):
		return doctor.Skip(check, "read "+from, "only a directory is read here; avstem serve says how it does")
	}
	tried := "read " + from
	source, err := files.Open(from)
	var inv *sentral.Inventory
	if err == nil {
		inv, err = source.Read(ctx)
	}
	return judgeInventory(check, tried, from, inv, err)
}

func judgeInventory(check, tried, from string, inv *sentral.Inventory, err error) doctor.Result {
	switch {
	case err != nil:
		return doctor.Bad(check, tried, err, "hosts can't be held against anything", "ls -l "+from)
	case len(inv.Problems) > 0:
		return doctor.Weak(check, tried, fmt.Sprintf("problems: %d, the first: %v", len(inv.Problems), inv.Problems[0]),
			"the records with a mistake are left out", "avstem sentral lint "+from)
	}
	return doctor.Good(check, tried, fmt.Sprintf("%s, %s", count(len(inv.Hosts), "host"), count(len(inv.VMs), "VM")))
}

// noInventory is where neither a configuration names one nor a reconciler uses one,
// for the reason that is given.
func noInventory(err error) doctor.Result {
	found := "no configuration names one"
	if err != nil {
		found += ", and no reconciler says which it uses: " + err.Error()
	}
	return doctor.Weak("inventory", "find where Sentral's inventory is", found, "hosts can't be held against anything by who starts avstem serve without --inventory", "inventory: /srv/inventory in "+defaultConfig)
}

// examineUsed asks the reconcilers, who may have been told by a flag, which
// inventory they use.
func (a *app) examineUsed(ctx context.Context, conn *bus.Conn) []doctor.Result {
	const check, tried = "inventory", "ask the reconciler of site "
	states, err := statuses(ctx, conn, a.site(), "")
	if err != nil {
		return []doctor.Result{noInventory(err)}
	}
	var results []doctor.Result
	for _, s := range states {
		used := &s.Inventory
		found := "it uses " + used.Source
		if !used.ReadAt.IsZero() {
			found += ", read " + used.ReadAt.UTC().Format(time.RFC3339)
		}
		switch {
		case used.Source == "":
			results = append(results, doctor.Weak(check, tried+s.Site, "it has none yet"+because(s.Waiting), "hosts can't be held against anything", "see its log"))
		case used.Held != "":
			results = append(results, doctor.Weak(check, tried+s.Site, found+"; a newer one is held back, as too much is gone in it", "hosts are held against the one before", "avstem inventory confirm, if it is right"))
		case used.Problems > 0:
			results = append(results, doctor.Weak(check, tried+s.Site, fmt.Sprintf("%s; problems: %d", found, used.Problems), "the records with a mistake are left out", "avstem sentral lint "+used.Source))
		default:
			results = append(results, doctor.Good(check, tried+s.Site, found))
		}
	}
	return results
}

func (a *app) examineServer(ctx context.Context, listen time.Duration, askInventory bool) []doctor.Result {
	began := time.Now()
	conn, err := a.connectLogged(ctx, "avstem doctor", slog.New(slog.DiscardHandler))
	results := []doctor.Result{doctor.Connection("connect as the reconciler does", conn, err).Lasting(time.Since(began))}
	if err != nil {
		if askInventory {
			results = append(results, noInventory(nil))
		}
		return results
	}
	defer conn.Close()
	if askInventory {
		results = append(results, a.examineUsed(ctx, conn)...)
	}
	results = append(results, doctor.TLS(conn, 14*24*time.Hour, a.now()), doctor.Version(conn), doctor.Payload(conn.NATS().MaxPayload()))
	asked := time.Now()
	states, err := conn.StreamStates(ctx)
	results = append(results, judgeStreams(states, err)...)
	if len(states) > 0 {
		took := time.Since(asked)
		results = append(results, doctor.Clock("compare this clock with the NATS server's", asked.Add(took), states[len(states)-1].At, took))
	}
	return append(results, examineAgents(ctx, conn, a.site(), listen))
}

func judgeStreams(states []bus.StreamState, err error) []doctor.Result {
	const tried = "look at the stream's settings"
	var results []doctor.Result
	if err != nil {
		results = append(results, doctor.Bad("streams", "find every stream", err, "nothing is kept of what is said there", "start avstem serve once, whose credentials may make streams"))
	}
	for _, s := range states {
		check := "stream " + s.Name
		if len(s.Differs) > 0 {
			results = append(results, doctor.Bad(check, tried, errors.New(strings.Join(s.Differs, "; ")), "what is in it can be lost, or changed by those who may only write",
				"start avstem serve again, which sets it right"))
			continue
		}
		results = append(results, doctor.Good(check, tried, fmt.Sprintf("as it should be; messages: %d, %d KiB, replicas: %d", s.Messages, s.Bytes>>10, s.Replicas)))
	}
	return results
}

// examineAgents listens for as long as every agent should have been heard.
func examineAgents(ctx context.Context, conn *bus.Conn, site string, listen time.Duration) doctor.Result {
	tried := "listen for heartbeats for " + listen.String()
	var mu sync.Mutex
	heard := map[string]string{} // problem by host
	refused := 0
	sub, err := conn.Heartbeats(bus.HeartbeatHandler{
		Beat: func(h bus.Heartbeat) {
			mu.Lock()
			defer mu.Unlock()
			if site == "" || h.Site == site {
				heard[h.Host.String()+" "+h.Hostname] = h.Problem
			}
		},
		Refused: func(string, error) { mu.Lock(); refused++; mu.Unlock() },
	})
	if err != nil {
		return doctor.Bad("agents", tried, err, "it isn't known which hosts speak", "see the permissions of these credentials")
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection is closed right after
	select {
	case <-ctx.Done():
	case <-time.After(listen):
	}
	mu.Lock()
	defer mu.Unlock()
	return judgeAgents(tried, heard, refused)
}

func judgeAgents(tried string, heard map[string]string, refused int) doctor.Result {
	const check = "agents"
	var stopped []string
	for host, problem := range heard {
		if problem != "" {
			stopped = append(stopped, host+": "+problem)
		}
	}
	slices.Sort(stopped)
	switch {
	case len(heard) == 0:
		return doctor.Weak(check, tried, "none is heard", "every host is stale, and nothing is concluded", "systemctl status avstem-agent and avstem-agent doctor on a host")
	case len(stopped) > 0:
		return doctor.Weak(check, tried, fmt.Sprintf("heard: %d, of which don't publish: %s", len(heard), strings.Join(stopped, "; ")), "nothing new is known of these hosts", "avstem-agent doctor there")
	case refused > 0:
		return doctor.Weak(check, tried, fmt.Sprintf("heard: %d; heartbeats that can't be read: %d", len(heard), refused), "an agent is of another version, or none of ours", "avstem-agent version on the hosts")
	}
	return doctor.Good(check, tried, fmt.Sprintf("heard: %d", len(heard)))
}
