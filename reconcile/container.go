package reconcile

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// Containers stand beside VMs in some runtimes. Sentral has no records of them,
// so one is neither unknown nor missing: it is shown, and that is all. Only where
// a container bears the durable identity of a record, and no VM does, is it held
// against that record, as what it is: something else than what was asked for.

// matchContainers gives records that no VM was matched with to containers that
// bear their ID or UUID. Marks that can be copied or reused say nothing here.
func (p *pass) matchContainers() {
	for _, seen := range p.containers {
		want, by := p.claimed(seen.lead.vm)
		if want == nil || p.pairOf(want).seen != nil || p.pairOf(want).tied {
			seen.pair = p.pair()
			seen.pair.seen = seen
			p.pairs = append(p.pairs, seen.pair)
		} else {
			seen.pair = p.pairOf(want)
			seen.pair.seen, seen.pair.Match = seen, p.matchedBy(by, false)
		}
		seen.pair.show()
	}
}

// claimed is the record whose durable identity the container bears: its UUID goes
// before a label, which is copied with everything else.
func (p *pass) claimed(vm *inventory.VM) (want *sentral.VM, by string) {
	if vm.UUID != uuid.Nil {
		if want := p.recordWith(vm.UUID); want != nil {
			return want, "runtime-uuid"
		}
	}
	for _, label := range labelKeys(vm) {
		if want := p.recordOf(label); want != nil {
			return want, "sentral-id"
		}
	}
	return nil, ""
}

// compareContainer reports a container that was matched with the record of a VM.
// Nothing else of it is compared: it all follows from that.
func (p *pass) compareContainer(vp *pair) {
	switch {
	case vp.Intended == nil:
		return
	case vp.Intended.State == sentral.VMAbsent:
		p.lingering(vp)
		return
	}
	const vm, container = "virtual machine", inventory.TypeContainer
	p.hold(vp, Comparison{Field: "vm.type", Path: "type", Intended: vm, Observed: container, Class: Mismatched}, func() Finding {
		return Finding{
			Kind:        VMType,
			Message:     fmt.Sprintf("%s is a container on %s: it shares the host's kernel, and Sentral has it as a virtual machine", vp.name(), vp.seen.lead.host.key()),
			Resolutions: bothWays("make a virtual machine of it", "person", "remove the record, if a container is what it should be"),
		}
	})
}

// IsContainer says whether it is a container that Sentral has no record of, as
// it has of none.
func (m *VMMatch) IsContainer() bool {
	return m.Intended == nil && m.Observed != nil && m.Observed.IsContainer()
}
