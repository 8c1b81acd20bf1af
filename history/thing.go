package history

import (
	"strings"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
)

// Thing is the VM or host whose history is wanted, by everything that tells it
// from others at any time: a name may have been another's.
type Thing struct {
	Type   string    `json:"type"` // vm or host
	Name   string    `json:"name,omitempty"`
	Record string    `json:"record,omitempty"` // Sentral's ID of it
	ID     uuid.UUID `json:"id,omitzero"`      // a VM's in its runtime, a host's host ID
	// Native is how a runtime names a VM that has no UUID there, on the host ID.
	Native string `json:"native,omitempty"`
}

// ThingOf names what an explanation is about; false where that is neither a VM nor
// a host.
func ThingOf(e *reconcile.Explanation) (Thing, bool) {
	switch {
	case e.VM != nil:
		t := Thing{Type: "vm"}
		if o := e.VM.Observed; o != nil {
			t.Name, t.ID = o.Name, o.UUID
			if o.UUID == uuid.Nil {
				t.ID, t.Native = o.HostID, o.NativeID
				if t.Native == "" {
					t.Native = o.Name
				}
			}
		}
		if want := e.VM.Intended; want != nil {
			t.Name, t.Record = want.Name, want.ID
			if e.VM.Observed == nil {
				t.ID = want.UUID()
			}
		}
		return t, true
	case e.Host != nil:
		t := Thing{Type: "host"}
		if o := e.Host.Observed; o != nil {
			t.ID, t.Name = o.ID, o.ID.String()
			if o.Identity != nil && o.Identity.Hostname != "" {
				t.Name = o.Identity.Hostname
			}
		}
		if want := e.Host.Intended; want != nil {
			t.Record, t.Name = want.ID, want.ID
			if e.Host.Observed == nil {
				t.ID = want.HostID
			}
		}
		return t, true
	}
	return Thing{}, false
}

// vm finds the VM in what the core came to; both sides of it may stand apart.
func (t *Thing) vm(result *reconcile.Result) (match *reconcile.VMMatch) {
	for i := range result.VMs {
		m := &result.VMs[i]
		if m.Intended != nil && (t.Record != "" && m.Intended.ID == t.Record || t.Record == "" && t.Native == "" && t.ID != uuid.Nil && m.Intended.UUID() == t.ID) {
			return m
		}
		if m.Observed != nil && t.is(m.Observed) && (match == nil || match.Observed == nil) {
			match = m
		}
	}
	return match
}

func (t *Thing) is(vm *reconcile.ObservedVM) bool {
	if t.Native != "" {
		return vm.HostID == t.ID && vm.UUID == uuid.Nil && (vm.NativeID == t.Native || vm.NativeID == "" && vm.Name == t.Native)
	}
	return t.ID != uuid.Nil && vm.UUID == t.ID
}

func (t *Thing) host(result *reconcile.Result) *reconcile.HostMatch {
	for i := range result.Hosts {
		m := &result.Hosts[i]
		if m.Intended != nil && t.Record != "" && m.Intended.ID == t.Record ||
			m.Observed != nil && t.ID != uuid.Nil && m.Observed.ID == t.ID {
			return m
		}
	}
	return nil
}

// explain gives what the core came to about the thing; nil where it knows nothing.
func (t *Thing) explain(result *reconcile.Result) (*reconcile.VMMatch, *reconcile.HostMatch) {
	if t.Type == "host" {
		return nil, t.host(result)
	}
	return t.vm(result), nil
}

// Marks are what documents say of VMs that a record may say too: only records
// with one of them can match, or be in the way of a match.
type Marks map[string]bool

// Add takes the marks of everything that a document shows.
func (m Marks) Add(o *inventory.Observation) {
	for i := range o.VMs {
		vm := &o.VMs[i]
		m.add(vm.UUID.String(), vm.SMBIOSUUID.String(), vm.NativeID, vm.Name)
		if vm.Placement != nil {
			m.add(vm.Placement.VM)
		}
		for j := range vm.NICs {
			if vm.NICs[j].MAC.Identifies() {
				m.add(vm.NICs[j].MAC.String())
			}
		}
		for j := range vm.Disks {
			m.add(vm.Disks[j].Serial, vm.Disks[j].WWN, vm.Disks[j].Source)
		}
	}
}

func (m Marks) add(marks ...string) {
	for _, mark := range marks {
		if mark != "" && mark != uuid.Nil.String() {
			m[strings.ToLower(mark)] = true
		}
	}
}

func (m Marks) any(marks ...string) bool {
	for _, mark := range marks {
		if mark != "" && m[strings.ToLower(mark)] {
			return true
		}
	}
	return false
}
