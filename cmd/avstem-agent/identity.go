package main

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/agent/hostid"
	"github.com/dataverket/avstem/cmd/internal/hostagent"
	"github.com/dataverket/avstem/collectors/identity"
)

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
		Long: `Shows the host's ID, and the evidence that was stored with it beside what this
host shows now. Nothing is changed: a host on which no agent has run has a
provisional ID, which is never published.`,
		Args: noArguments,
	}
	output := addOutput(show, "text", "json")
	show.RunE = func(c *cobra.Command, _ []string) error {
		id, err := a.readIdentity(c)
		if err != nil {
			return err
		}
		if *output == "json" {
			return a.writeJSON(id)
		}
		return a.writeIdentity(id)
	}
	c.AddCommand(show, a.decideCommand(&cobra.Command{
		Use:   "adopt",
		Short: "Keep the host's ID on this machine, after it was moved to other hardware",
		Long: `Keeps the host's ID and lets it rest on the evidence that this machine shows now.
It is for a host whose disks or system were moved to other hardware, which the
agent can't tell from a copy. The agent must not run.`,
	}, hostid.Adopt, "keeps its ID on this machine"), a.decideCommand(&cobra.Command{
		Use:   "renew",
		Short: "Give this machine a new host ID, after it was copied from another host",
		Long: `Gives this machine a host ID of its own. It is for a machine that was copied from
another host, state directory and all, or whose identity is lost: to Sentral and
to the findings it is a new host. The agent must not run.`,
	}, func(dir string, seen hostid.Evidence) (hostid.Record, error) {
		return hostid.Renew(dir, seen, time.Now())
	}, "is this machine's new ID"))
	return c
}

// decideCommand makes a command of an operator's decision about the identity.
func (a *app) decideCommand(c *cobra.Command, decide func(string, hostid.Evidence) (hostid.Record, error), came string) *cobra.Command {
	c.Args = noArguments
	c.RunE = func(c *cobra.Command, _ []string) error {
		seen, _, err := a.see(c)
		if err != nil {
			return err
		}
		kept, err := decide(a.host.StateDir, seen)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: state directory %s holds no identity: `avstem-agent run` makes one", c.CommandPath(), a.host.StateDir)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.stdout, "host %s %s: start its agent again\n", kept.ID, came)
		return err
	}
	return c
}

// see reads what this machine shows of itself.
func (a *app) see(c *cobra.Command) (hostid.Evidence, string, error) {
	root, err := hostagent.Root(a.host.Root)
	if err != nil {
		return hostid.Evidence{}, "", err
	}
	self, _ := identity.Read(c.Context(), root) // what can't be read counts for nothing
	return hostid.EvidenceOf(self), self.Hostname, nil
}

// hostIdentity is what identity show prints.
type hostIdentity struct {
	ID          uuid.UUID        `json:"id"`
	Provisional bool             `json:"provisional"`
	StateDir    string           `json:"stateDir"`
	Created     time.Time        `json:"created,omitzero"`
	Epoch       uint64           `json:"epoch,omitzero"` // starts of the agent so far
	Stored      *hostid.Evidence `json:"stored,omitempty"`
	Seen        hostid.Evidence  `json:"seen"`
	// Clone says why the identity is another host's.
	Clone string `json:"clone,omitempty"`
}

func (a *app) readIdentity(c *cobra.Command) (hostIdentity, error) {
	seen, hostname, err := a.see(c)
	if err != nil {
		return hostIdentity{}, err
	}
	id := hostIdentity{StateDir: a.host.StateDir, Seen: seen}
	kept, err := hostid.Read(a.host.StateDir)
	if errors.Is(err, fs.ErrNotExist) {
		id.ID, id.Provisional = hostid.Provisional(id.Seen, hostname), true
		return id, nil
	}
	if err != nil {
		return hostIdentity{}, err
	}
	id.ID, id.Created, id.Stored = kept.ID, kept.Created, &kept.Evidence
	if clone := kept.CheckHost(a.host.StateDir, id.Seen); clone != nil {
		id.Clone = clone.Error()
	}
	if id.Epoch, err = hostid.ReadEpoch(a.host.StateDir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return hostIdentity{}, err
	}
	return id, nil
}

func (a *app) writeIdentity(id hostIdentity) error {
	if id.Provisional {
		fmt.Fprintf(a.stdout, "host %s (provisional: no agent has run with state directory %s)\n", id.ID, printable(id.StateDir))
	} else {
		fmt.Fprintf(a.stdout, "host %s\nmade %s, kept in %s, epoch %d\n", id.ID, id.Created.Format(time.RFC3339), printable(id.StateDir), id.Epoch)
	}
	if id.Clone != "" {
		fmt.Fprintf(a.stdout, "! %s\n", printable(id.Clone))
	}
	stored := hostid.Evidence{}
	if id.Stored != nil {
		stored = *id.Stored
	}
	rows := [][3]string{{"evidence", "stored", "seen now"}}
	was, is := stored.Values(), id.Seen.Values()
	for i := range is {
		rows = append(rows, [3]string{is[i].Name, was[i].Text, is[i].Text})
	}
	fmt.Fprintln(a.stdout)
	for _, row := range rows {
		for i, cell := range row {
			if cell == "" {
				row[i] = "-"
			}
		}
		if id.Provisional {
			fmt.Fprintf(a.stdout, "%-14s %s\n", row[0], printable(row[2]))
			continue
		}
		fmt.Fprintf(a.stdout, "%-14s %-38s %s\n", row[0], printable(row[1]), printable(row[2]))
	}
	return nil
}
