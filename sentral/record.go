package sentral

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
)

// Place is where something stands in its source.
type Place struct {
	Name         string // a file's path, a key, a URL
	Line, Column int    // from 1; zero where the source has none
}

// String is name:line:column, as compilers write it.
func (p Place) String() string {
	s := p.Name
	for _, n := range []int{p.Line, p.Column} {
		if n == 0 {
			break
		}
		s += ":" + strconv.Itoa(n)
	}
	return s
}

func (p Place) compare(other Place) int {
	return cmp.Or(cmp.Compare(p.Name, other.Name), cmp.Compare(p.Line, other.Line), cmp.Compare(p.Column, other.Column))
}

// Record is one decoded record of a source.
type Record struct {
	// Value is a *Site, *FailureDomain, *Project, *Image, *Network, *Host or *VM.
	// Keys that could not be decoded are as if they were not given. It is a
	// *LeftOut where the other side of an API couldn't use the record itself, and
	// has said why.
	Value any
	// Place gives the place of a key's value ("nics[0].mac"), or of what is
	// nearest above it where the key isn't there; "" is the record itself.
	Place func(key string) Place
	// Faults are what could not be decoded: the record is left out.
	Faults []Fault
}

// Fault is what a source could not make sense of.
type Fault struct {
	Place
	Key string // the path within the record, "" for the whole
	// Error is "" where the other side of an API has said it already.
	Error string
	// Lost says that records may be gone with it of which nothing is known.
	Lost bool
}

// String is the problem on one line: place, record, key and what is wrong.
func (p Problem) String() string {
	s := p.Where
	for _, part := range []string{p.Record, p.Key} {
		if part != "" {
			s += ": " + part
		}
	}
	return s + ": " + p.Error
}

// entry is a record on its way into an inventory.
type entry struct {
	Record
	identity LeftOut
	left     bool
	// wrong are the keys that are complained about, so that nothing is read from them.
	wrong map[string]bool
}

// refuse notes that a key holds nothing that can be used. What nobody reads that many
// of isn't noted.
func (e *entry) refuse(key string) {
	if e.wrong == nil {
		e.wrong = map[string]bool{}
	}
	if len(e.wrong) <= maxComplaints {
		e.wrong[key] = true
	}
}

// Identify reads from a record what tells it from others.
func Identify(value any) LeftOut {
	switch v := value.(type) {
	case *LeftOut:
		return v.clean()
	case *Site:
		return LeftOut{Type: "site", ID: v.ID, Name: v.Name}
	case *FailureDomain:
		return LeftOut{Type: "failureDomain", ID: v.ID}
	case *Project:
		return LeftOut{Type: "project", ID: pair(v.Tenant, v.ID), Name: v.ID}
	case *Image:
		return LeftOut{Type: "image", ID: pair(v.ID, v.Version), Name: v.ID}
	case *Network:
		return LeftOut{Type: "network", ID: v.ID}
	case *Host:
		identity := LeftOut{Type: "host", ID: v.ID, Name: v.Name, UUID: v.HostID, SystemUUID: v.SystemUUID, Serial: v.Serial}
		for _, link := range v.Links {
			identity.MACs = append(identity.MACs, link.MAC)
		}
		return identity.clean()
	case *VM:
		identity := LeftOut{Type: "vm", ID: v.ID, Name: v.Name, UUID: v.UUID()}
		for _, nic := range v.NICs {
			identity.MACs = append(identity.MACs, nic.MAC)
		}
		return identity.clean()
	}
	panic(fmt.Sprintf("sentral: a record of type %T", value))
}

func (l LeftOut) clean() LeftOut {
	l.MACs = slices.DeleteFunc(l.MACs, func(m inventory.MAC) bool { return m == inventory.MAC{} })
	return l
}

// nameless says that nothing of the record can be recognised elsewhere.
func (l LeftOut) nameless() bool {
	return l.ID == "" && l.Name == "" && l.UUID == uuid.Nil && l.SystemUUID == uuid.Nil && l.Serial == "" && len(l.MACs) == 0
}

// Label is how problems name the record, as "vm 0b7e2f6e-…".
func (l LeftOut) Label() string {
	name := cmp.Or(l.ID, l.Name)
	if name == "" {
		return l.Type
	}
	return l.Type + " " + name
}

// Called is how people call the record, as "vm web-01"; "" where that is its label.
func (l LeftOut) Called() string {
	if l.Name == "" || l.ID == "" || l.Name == l.ID {
		return ""
	}
	return l.Type + " " + l.Name
}

// pair is the ID of what is only unique within something else, "" unless both
// parts are known.
func pair(outer, inner string) string {
	if outer == "" || inner == "" {
		return ""
	}
	return outer + "/" + inner
}
