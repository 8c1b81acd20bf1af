// Package resolve writes the two ways out of a finding so that they can be pasted:
// the runtime's own commands with the real names, and what to put where in the
// record.
//
// It exists because whoever is on call should not have to look up at night what
// the port is called and how virsh spells it. It carries nothing out, and where no
// command is right, or one could lose data, it gives none: the words of the
// finding stand alone then. It reads an explanation and nothing else, and may be
// used by several goroutines.
package resolve

import (
	"encoding/json"
	"strings"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// Remedy is one way to make both sides agree.
type Remedy struct {
	Side string `json:"side"` // runtime or sentral
	Do   string `json:"do"`   // in words
	How  string `json:"how,omitempty"`
	// Host is where the commands are to be run, by root or whoever may manage the
	// runtime. They are quoted for a POSIX shell.
	Host     string   `json:"host,omitempty"`
	Commands []string `json:"commands,omitempty"`
	Note     string   `json:"note,omitempty"` // what a person must know before
	Edit     *Edit    `json:"edit,omitempty"` // of the record
}

// Edit is a change of one record of the inventory.
type Edit struct {
	Type  string `json:"type"` // as sentral.RecordID
	ID    string `json:"id"`
	Key   string `json:"key"`             // the path within the record, as nics[0].network
	Where string `json:"where,omitempty"` // file:line:column of the key or of what is nearest above it
	// YAML is what stands there then; empty means that what is there is taken out.
	YAML string `json:"yaml,omitempty"`
}

// Places are where records that could be edited stand: a place for each edit that
// was asked about, "" where it isn't known, and the inventory that they are in.
type Places struct {
	Inventory string   `json:"inventory"`
	At        []string `json:"at"`
}

// Adopts says whether avstem sentral adopt may know how to change the record.
func (r *Remedy) Adopts(f *reconcile.Finding) bool {
	return r.Side == "sentral" && (r.Edit != nil || f.Kind == "vm.unknown" || f.Kind == "host.unknown" || f.Kind == "nic.unknown")
}

// Of gives the ways out of a finding, as the finding has them.
func Of(f *reconcile.Finding, e *reconcile.Explanation) []Remedy {
	remedies := make([]Remedy, 0, len(f.Resolutions))
	for _, r := range f.Resolutions {
		remedy := Remedy{Side: r.Side, Do: r.Do, How: r.How}
		c := newCase(f, e)
		switch {
		case c == nil:
		case r.Side == "sentral":
			remedy.Edit = c.edit(r.Do)
		case r.How != "impossible":
			c.runtime(&remedy)
		}
		remedies = append(remedies, remedy)
	}
	return remedies
}

// onCase is a finding beside what is known of its subject.
type onCase struct {
	f    *reconcile.Finding
	vm   *reconcile.VMMatch
	host *reconcile.HostMatch
	list string // of the finding's field: nics, disks or none
	key  string // within it
}

func newCase(f *reconcile.Finding, e *reconcile.Explanation) *onCase {
	if e.VM == nil && e.Host == nil {
		return nil
	}
	c := &onCase{f: f, vm: e.VM, host: e.Host}
	if list, rest, is := strings.Cut(f.Field, "["); is {
		c.list = list
		if end := strings.LastIndexByte(rest, ']'); end >= 0 {
			c.key = rest[:end]
		}
	}
	return c
}

// intended and observed are both sides; nil where there is none.
func (c *onCase) intended() *sentral.VM {
	if c.vm == nil {
		return nil
	}
	return c.vm.Intended
}

func (c *onCase) observed() *reconcile.ObservedVM {
	if c.vm == nil {
		return nil
	}
	return c.vm.Observed
}

// nic is the one that the finding is about, on either side, and its place in the
// record; -1 where it isn't in it.
func (c *onCase) nic() (want *sentral.NIC, at int, have *inventory.NIC) {
	at = -1
	if vm := c.intended(); vm != nil {
		for i := range vm.NICs {
			if vm.NICs[i].MAC.String() == c.key {
				want, at = &vm.NICs[i], i
			}
		}
	}
	if vm := c.observed(); vm != nil {
		for i := range vm.NICs {
			if vm.NICs[i].MAC.String() == c.key {
				have = &vm.NICs[i]
			}
		}
	}
	return want, at, have
}

// disk is the same for disks.
func (c *onCase) disk() (want *sentral.Disk, at int, have *inventory.Disk) {
	at = -1
	if vm := c.intended(); vm != nil {
		for i := range vm.Disks {
			if d := &vm.Disks[i]; d.Serial == c.key || d.Serial == "" && (d.WWN == c.key || d.Name == c.key) {
				want, at = d, i
			}
		}
	}
	if vm := c.observed(); vm != nil {
		for i := range vm.Disks {
			if d := &vm.Disks[i]; d.Serial == c.key || d.Serial == "" && d.Target == c.key {
				have = d
			}
		}
	}
	return want, at, have
}

// whole reads a number from a value that may have been through JSON.
func whole(v any) (n int, is bool) {
	text, err := json.Marshal(v)
	return n, err == nil && json.Unmarshal(text, &n) == nil && n > 0
}

// isUUID says whether a text is one.
func isUUID(s string) bool { _, err := uuid.Parse(s); return err == nil }

// Quote writes a word for a POSIX shell.
func Quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_@%+=:,./-", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// command joins words, each quoted where it has to be.
func command(words ...string) string {
	for i := range words {
		words[i] = Quote(words[i])
	}
	return strings.Join(words, " ")
}
