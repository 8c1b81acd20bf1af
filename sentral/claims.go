package sentral

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
)

// claim is what at most one record may have.
type claim struct {
	kind  string // "vm ID", "host UUID" …
	value string
}

type claims map[claim]*entry

// take makes the claim for e, and returns who has it already.
func (c claims) take(kind, value string, e *entry) *entry {
	first, taken := c[claim{kind, value}]
	if !taken {
		c[claim{kind, value}] = e
		return nil
	}
	return first
}

// checkClaims leaves out all records that claim one ID, or one UUID. Records
// that are left out already claim too: which of two was meant is not clearer
// when one of them has a fault besides.
func (a *assembler) checkClaims() {
	held := make(claims, 2*len(a.entries))
	for i := range a.entries {
		e := &a.entries[i]
		id := e.identity
		if id.ID != "" {
			if first := held.take(id.Type+" ID", id.ID, e); first != nil {
				a.duplicate(first, e, "id", fmt.Sprintf("%s %q", id.Type, id.ID))
			}
		}
		if id.UUID != uuid.Nil {
			if first := held.take(id.Type+" UUID", id.UUID.String(), e); first != nil && (id.ID == "" || first.identity.ID != id.ID) {
				a.duplicate(first, e, uuidKey(e.Value), "UUID "+id.UUID.String())
			}
		}
	}
}

func isLeftOut(e *entry) bool {
	_, is := e.Value.(*LeftOut)
	return is
}

// uuidKey is the key that a record's UUID stands at.
func uuidKey(value any) string {
	switch v := value.(type) {
	case *Host:
		return "hostID"
	case *VM:
		if v.RuntimeID != uuid.Nil {
			return "runtimeID"
		}
	}
	return "id"
}

func (a *assembler) duplicate(first, second *entry, key, what string) {
	if isLeftOut(first) && isLeftOut(second) {
		return // whoever left them out has said so
	}
	first.left, second.left = true, true
	a.report(second.Place(key), Problem{
		Record: second.identity.Label(), Name: second.identity.Called(), Key: key, Duplicate: true,
		Error: fmt.Sprintf("%s is claimed by %s at %s too: neither is used", what, cmp.Or(first.identity.Called(), first.identity.Label()), first.Place("")),
	})
}

// checkSharing reports evidence of identity that two records share. It says
// nothing of whose it is, so both stay. A VM that is to be absent may have
// handed its MACs on.
func (a *assembler) checkSharing() {
	held := claims{}
	for i := range a.entries {
		e := &a.entries[i]
		if e.left {
			continue
		}
		switch v := e.Value.(type) {
		case *Host:
			a.hostSharing(held, e, v)
		case *VM:
			if v.State == VMAbsent {
				continue
			}
			for j, nic := range v.NICs {
				if nic.MAC.Identifies() {
					a.shared(held, e, fmt.Sprintf("nics[%d].mac", j), "vm MAC", nic.MAC.String())
				}
			}
		}
	}
}

// hostSharing leaves a host's own links out: the members of a bond have one MAC.
func (a *assembler) hostSharing(held claims, e *entry, v *Host) {
	if !inventory.IsJunkSerial(v.Serial) {
		a.shared(held, e, "serial", "host serial", v.Serial)
	}
	if !inventory.IsJunkUUID(v.SystemUUID) {
		a.shared(held, e, "systemUUID", "host system UUID", v.SystemUUID.String())
	}
	for j, link := range v.Links {
		key := claim{"host MAC", link.MAC.String()}
		if link.MAC.Identifies() && held[key] != e {
			a.shared(held, e, fmt.Sprintf("links[%d].mac", j), key.kind, key.value)
		}
	}
}

func (a *assembler) shared(held claims, e *entry, key, kind, value string) {
	first := held.take(kind, value, e)
	if first == nil {
		return
	}
	by := "this record"
	if vm, is := e.Value.(*VM); is && first == e {
		i := slices.IndexFunc(vm.NICs, func(n NIC) bool { return n.MAC.String() == value })
		by = fmt.Sprintf("nics[%d] of this record", i)
	} else if first != e {
		by = fmt.Sprintf("%s at %s", cmp.Or(first.identity.Called(), first.identity.Label()), first.Place(""))
	}
	a.report(e.Place(key), Problem{
		Record: e.identity.Label(), Name: e.identity.Called(), Key: key, Duplicate: true,
		Error: fmt.Sprintf("%s %s is claimed by %s too", kind, value, by),
	})
}
