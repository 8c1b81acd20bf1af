package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/agent/hostid"
	"github.com/dataverket/avstem/collectors/identity"
	"github.com/dataverket/avstem/inventory"
)

// hostIdentity is what identity show prints.
type hostIdentity struct {
	ID uuid.UUID `json:"id"`
	// Provisional says that no agent has kept the ID yet, Provisioned that an
	// operator put it into the state directory.
	Provisional bool             `json:"provisional"`
	Provisioned bool             `json:"provisioned,omitempty"`
	StateDir    string           `json:"stateDir"`
	Created     time.Time        `json:"created,omitzero"`
	Epoch       uint64           `json:"epoch,omitzero"` // starts of the agent so far
	Stored      *hostid.Evidence `json:"stored,omitempty"`
	Seen        hostid.Evidence  `json:"seen"`
	// Evidence is both, piece by piece.
	Evidence []piece `json:"evidence"`
	// Junk are values that are there and that many machines show.
	Junk []string `json:"junk,omitempty"`
	// Unread is what evidence could not be read, and what to do about it.
	Unread []inventory.Problem `json:"unread,omitempty"`
	// Clone says why the identity is another host's.
	Clone string `json:"clone,omitempty"`
}

// piece is one piece of evidence.
type piece struct {
	Name   string          `json:"name"`
	Field  inventory.Field `json:"field"`
	From   string          `json:"from"` // the files or calls that it is read from
	Stored string          `json:"stored,omitempty"`
	Seen   string          `json:"seen,omitempty"`
	// Says is same, differs, new (nothing is stored), unseen (nothing is seen now)
	// or absent (on neither side).
	Says string `json:"says"`
}

func (a *app) readIdentity(ctx context.Context) (hostIdentity, error) {
	self, problems, err := a.see(ctx)
	if err != nil {
		return hostIdentity{}, err
	}
	id := hostIdentity{StateDir: a.host.StateDir, Seen: hostid.EvidenceOf(self), Junk: self.Junk}
	kept, err := hostid.Read(a.host.StateDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if id.ID, err = hostid.Provisioned(a.host.StateDir); err != nil {
			return hostIdentity{}, err
		}
		id.Provisioned = id.ID != uuid.Nil
		id.Provisional = !id.Provisioned
		if id.Provisional {
			id.ID = hostid.Provisional(id.Seen, self.Hostname)
		}
	case err != nil:
		return hostIdentity{}, err
	default:
		id.ID, id.Created, id.Stored = kept.ID, kept.Created, &kept.Evidence
		if clone := kept.CheckHost(a.host.StateDir, id.Seen); clone != nil {
			id.Clone = clone.Error()
		}
		if id.Epoch, err = hostid.ReadEpoch(a.host.StateDir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return hostIdentity{}, err
		}
	}
	id.weigh(kept.Evidence, problems)
	return id, nil
}

// weigh holds the pieces side by side, and keeps the problems that are about them.
func (id *hostIdentity) weigh(stored hostid.Evidence, problems []inventory.Problem) {
	same, differs := stored.Hold(id.Seen)
	from := map[inventory.Field]string{}
	for _, c := range (&identity.Collector{}).Capabilities() {
		from[c.Field] = c.From
	}
	seen := id.Seen.Values()
	for i, was := range stored.Values() {
		p := piece{Name: was.Name, Field: was.Field, From: from[was.Field], Stored: was.Text, Seen: seen[i].Text}
		switch {
		case slices.Contains(same, p.Name):
			p.Says = "same"
		case slices.Contains(differs, p.Name):
			p.Says = "differs"
		case p.Seen != "":
			p.Says = "new"
		case p.Stored != "":
			p.Says = "unseen"
		default:
			p.Says = "absent"
		}
		id.Evidence = append(id.Evidence, p)
		for _, problem := range problems {
			if problem.Field == p.Field {
				id.Unread = append(id.Unread, problem)
			}
		}
	}
}

func (a *app) writeIdentity(id hostIdentity) error {
	out := bufio.NewWriter(a.stdout)
	switch {
	case id.Provisional:
		fmt.Fprintf(out, "host %s (provisional: no agent has run with state directory %s)\n", id.ID, printable(id.StateDir))
	case id.Provisioned:
		fmt.Fprintf(out, "host %s (provisioned in %s: no agent has run with it yet)\n", id.ID, printable(id.StateDir))
	default:
		fmt.Fprintf(out, "host %s\nmade %s, kept in %s, epoch %d\n", id.ID, id.Created.Format(time.RFC3339), printable(id.StateDir), id.Epoch)
	}
	if id.Clone != "" {
		fmt.Fprintf(out, "! %s\n", printable(id.Clone))
	}
	fmt.Fprintln(out)
	if id.Stored == nil {
		writeSeen(out, id.Evidence)
	} else {
		writeBoth(out, id.Evidence)
	}
	if len(id.Junk) > 0 {
		fmt.Fprintln(out, "\nplaceholders, which count for nothing:")
	}
	for _, junk := range id.Junk {
		fmt.Fprintf(out, "  %s\n", printable(junk))
	}
	if len(id.Unread) > 0 {
		fmt.Fprintln(out, "\nnot read:")
	}
	for i := range id.Unread {
		writeProblem(out, id.Unread[i:i+1], 0)
	}
	return out.Flush()
}

// writeSeen writes what the machine shows, where nothing is stored.
func writeSeen(out io.Writer, evidence []piece) {
	fmt.Fprintf(out, "%-14s %s\n", "evidence", "seen now")
	for _, p := range evidence {
		fmt.Fprintf(out, "%-14s %s\n", p.Name, printable(cmp.Or(p.Seen, "-")))
	}
}

// writeBoth writes what is stored beside what is seen, and says of a piece that
// isn't the same what it is.
func writeBoth(out io.Writer, evidence []piece) {
	row := func(cells ...any) {
		fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("%-14s %-38s %-38s %s", cells...), " "))
	}
	row("evidence", "stored", "seen now", "")
	for _, p := range evidence {
		says := p.Says
		if says == "absent" {
			says = ""
		}
		row(p.Name, printable(cmp.Or(p.Stored, "-")), printable(cmp.Or(p.Seen, "-")), says)
	}
}
