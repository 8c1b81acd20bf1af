package reconcile

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/dataverket/avstem/inventory"
)

// checkSources holds what several sources on one host say of one VM against each
// other, where each may be concluded from. What a VM was started with is no word
// against how it is now, and what a source doesn't tell or could not read is none
// either.
func (p *pass) checkSources(vp *pair) {
	lead := &vp.seen.lead
	for i := range lead.others {
		other := &lead.others[i]
		if !lead.fresh || !other.fresh || lead.vm.IsContainer() || other.vm.IsContainer() || otherVM(lead.vm, other.vm) != "" {
			continue // two VMs of one UUID are identity.cloned
		}
		for _, part := range sourceParts {
			if lead.hides(part.field) || other.hides(part.field) {
				continue
			}
			ours, theirs := part.say(lead), part.say(other)
			if ours == "" || theirs == "" || ours == theirs {
				continue
			}
			if part.path == "state" && !(lead.isNow() && other.isNow()) && lead.vm.State.Active() == other.vm.State.Active() {
				continue // a process that is there may be paused
			}
			if part.path == "state" {
				vp.disputed = true
			}
			p.conflict(vp, other, part.path, part.field, ours, theirs)
		}
	}
}

// sourceParts are what two sources can tell of a VM independently of what they
// are; "" is nothing.
var sourceParts = []struct {
	path  string
	field inventory.Field
	say   func(*place) string
}{
	{"state", "vm.state", func(at *place) string {
		if at.vm.State == inventory.StateUnknown {
			return ""
		}
		return string(at.vm.State)
	}},
	{"vcpus", "vm.vcpus", func(at *place) string {
		if at.vm.VCPUs == nil || !at.isNow() {
			return ""
		}
		return strconv.Itoa(*at.vm.VCPUs)
	}},
	{"memory", "vm.memory", func(at *place) string {
		if at.vm.Memory == nil || !at.isNow() {
			return ""
		}
		return plain(*at.vm.Memory)
	}},
	{"nics", "nic.mac", func(at *place) string {
		macs := observedMACs(at.vm)
		if !at.isNow() {
			return ""
		}
		slices.Sort(macs)
		return listed(macs, "and")
	}},
}

// isNow says whether the source tells how the VM is, and not how it was started.
func (at *place) isNow() bool { return at.vm.AsOf == nil }

// hides says whether the source could not read a field of the VM.
func (at *place) hides(field inventory.Field) bool {
	problems := at.doc.problems[at.vm.Entity()]
	return at.doc.hides(problems, field) != nil || at.doc.hides(problems, container(field)) != nil
}

func (p *pass) conflict(vp *pair, other *place, path string, field inventory.Field, ours, theirs string) {
	lead := &vp.seen.lead
	p.find(vp.finding(Finding{
		Kind: ObserveConflict, Field: path + " by " + other.doc.Source, Verdict: Confirmed,
		Observed:   []string{lead.doc.Source + ": " + ours, other.doc.Source + ": " + theirs},
		Message:    fmt.Sprintf("%s on %s: %s says that its %s is %s, %s that it is %s", vp.name(), lead.host.key(), lead.doc.Source, word(path), ours, other.doc.Source, theirs),
		Evidence:   []string{"the first of them is compared with Sentral: " + lead.doc.provenance(field).Source, "the other is " + other.doc.provenance(field).Source},
		Provenance: vp.provenance(field),
		Resolutions: bothWays("see which of them is right (ps, the runtime's own command), and restart the daemon of the other, which its VMs outlive", "person",
			""),
	}))
}

func word(path string) string {
	switch path {
	case "vcpus":
		return "number of vCPUs"
	case "nics":
		return "set of MACs"
	}
	return path
}
