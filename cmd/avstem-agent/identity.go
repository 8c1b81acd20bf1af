package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/agent/hostid"
	"github.com/dataverket/avstem/cmd/internal/hostagent"
	"github.com/dataverket/avstem/collectors/identity"
	"github.com/dataverket/avstem/inventory"
)

const showLong = `Shows the host's ID, and the evidence that was stored with it beside what this
machine shows now: where each piece is read, what is a placeholder and counts
for nothing, and what could not be read and how to make it readable. Nothing is
changed: a host on which no agent has run has a provisional ID, which is never
published, or the one that was put into the state directory's file host-id.`

const adoptLong = `Without an ID: keeps the host's ID and lets it rest on the evidence that this
machine shows now. It is for a host whose disks or system were moved to other
hardware, which the agent can't tell from a copy.

With an ID: makes this machine that host, whatever the state directory says. It
is for a host that was installed again and has a new ID; avstem's finding
identity.changed gives the old one.

The agent must not run.`

const renewLong = `Gives this machine a host ID of its own. It is for a machine that was copied
from another host, state directory and all, or whose identity is lost: to
Sentral and to the findings it is a new host. The agent must not run.`

func (a *app) identityCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "identity",
		Short: "Show this host's durable identity, or decide about it",
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	show := &cobra.Command{
		Use:   "show",
		Short: "Show the host's ID and the evidence that it rests on",
		Long:  showLong,
		Args:  noArguments,
	}
	output := addOutput(show, "text", "json")
	show.RunE = func(c *cobra.Command, _ []string) error {
		id, err := a.readIdentity(c.Context())
		if err != nil {
			return err
		}
		if *output == "json" {
			return a.writeJSON(id)
		}
		return a.writeIdentity(id)
	}
	adopt := a.decideCommand(&cobra.Command{
		Use:   "adopt [ID]",
		Short: "Keep the host's ID on this machine, or take back one that it had",
		Long:  adoptLong,
		Args:  atMostOneID,
	}, a.adopt, "is this machine now")
	renew := a.decideCommand(&cobra.Command{
		Use:   "renew",
		Short: "Give this machine a new host ID, as it is a copy of another host",
		Long:  renewLong,
		Args:  noArguments,
	}, func(_ []string, seen hostid.Evidence) (hostid.Record, error) {
		return hostid.Renew(a.host.StateDir, seen, time.Now())
	}, "is this machine's new ID")
	c.AddCommand(show, adopt, renew)
	return c
}

// atMostOneID refuses arguments that are no host ID.
func atMostOneID(c *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usageError{fmt.Errorf("%s takes one host ID, and got %d", c.CommandPath(), len(args))}
	}
	for _, text := range args {
		if _, err := inventory.ParseUUID(text); err != nil {
			return usageError{fmt.Errorf("%s: %w", c.CommandPath(), err)}
		}
	}
	return nil
}

func (a *app) adopt(args []string, seen hostid.Evidence) (hostid.Record, error) {
	if len(args) == 0 {
		return hostid.Adopt(a.host.StateDir, seen)
	}
	id, err := inventory.ParseUUID(args[0])
	if err != nil {
		return hostid.Record{}, err
	}
	return hostid.Assign(a.host.StateDir, id, seen, time.Now())
}

// decision is what adopt and renew print as JSON.
type decision struct {
	ID       uuid.UUID       `json:"id"`
	Before   uuid.UUID       `json:"before,omitzero"` // what the state directory said
	StateDir string          `json:"stateDir"`
	Evidence hostid.Evidence `json:"evidence"`
}

// decideCommand makes a command of an operator's decision about the identity.
func (a *app) decideCommand(c *cobra.Command, decide func([]string, hostid.Evidence) (hostid.Record, error), came string) *cobra.Command {
	output := addOutput(c, "text", "json")
	c.RunE = func(c *cobra.Command, args []string) error {
		self, _, err := a.see(c.Context())
		if err != nil {
			return err
		}
		before, _ := hostid.Read(a.host.StateDir) // one that can't be read is what renew is for
		kept, err := decide(args, hostid.EvidenceOf(self))
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: state directory %s holds no identity: `avstem-agent run` makes one, `avstem-agent identity adopt ID` takes one that is known",
				c.CommandPath(), a.host.StateDir)
		}
		if err != nil {
			return err
		}
		if *output == "json" {
			return a.writeJSON(decision{ID: kept.ID, Before: before.ID, StateDir: a.host.StateDir, Evidence: kept.Evidence})
		}
		was := ""
		if before.ID != uuid.Nil && before.ID != kept.ID {
			was = fmt.Sprintf(" (it was %s)", before.ID)
		}
		_, err = fmt.Fprintf(a.stdout, "host %s %s%s: start its agent again\n", kept.ID, came, was)
		return err
	}
	return c
}

// see reads what this machine shows of itself.
func (a *app) see(ctx context.Context) (inventory.Host, []inventory.Problem, error) {
	root, err := hostagent.Root(a.host.Root)
	if err != nil {
		return inventory.Host{}, nil, err
	}
	self, problems := identity.Read(ctx, root)
	return self, problems, nil
}
