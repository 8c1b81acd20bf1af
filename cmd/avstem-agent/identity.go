package main

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/agent/hostid"
	"github.com/dataverket/avstem/collectors/identity"
)

func (a *app) identityCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "identity",
		Short: "Show this host's durable identity",
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
	c.AddCommand(show)
	return c
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
	self, _ := identity.Read(c.Context(), a.host.Root)
	id := hostIdentity{StateDir: a.host.StateDir, Seen: hostid.EvidenceOf(self)}
	kept, err := hostid.Read(a.host.StateDir)
	if errors.Is(err, fs.ErrNotExist) {
		id.ID, id.Provisional = hostid.Provisional(id.Seen, self.Hostname), true
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
