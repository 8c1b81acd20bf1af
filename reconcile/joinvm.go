package reconcile

import (
	"slices"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
)

// guestUUID is the UUID that a guest sees, on its host.
type guestUUID struct {
	host *hostView
	id   uuid.UUID
}

// joinBySMBIOS joins a VM to which a source gives no UUID with the one on its host
// that has, by another source, the UUID that its guest sees: where there is one of
// each. A name joins nothing: it is anybody's to give again.
func joinBySMBIOS(all []*sighted) []*sighted {
	nameless := map[guestUUID][]*sighted{}
	for _, s := range all {
		if vm := s.lead.vm; vm.UUID == uuid.Nil && vm.SMBIOSUUID != uuid.Nil && !inventory.IsJunkUUID(vm.SMBIOSUUID) {
			k := guestUUID{s.lead.host, vm.SMBIOSUUID}
			nameless[k] = append(nameless[k], s)
		}
	}
	if len(nameless) == 0 {
		return all
	}
	joined := map[*sighted]bool{}
	owners := ownersOf(nameless, all)
	for _, s := range all { // in order, as one may be joined by several
		if s.lead.vm.UUID != uuid.Nil {
			continue
		}
		if of := slices.Compact(owners[guestUUID{s.lead.host, s.lead.vm.SMBIOSUUID}]); len(of) == 1 {
			of[0].add(s.lead)
			joined[s] = true
		}
	}
	return slices.DeleteFunc(all, func(s *sighted) bool { return joined[s] })
}

// ownersOf finds the VMs with a UUID whose guests see one that a single VM without
// has, by another source.
func ownersOf(nameless map[guestUUID][]*sighted, all []*sighted) map[guestUUID][]*sighted {
	owners := map[guestUUID][]*sighted{}
	for _, s := range all {
		for _, at := range append([]place{s.lead}, s.copies...) {
			if at.vm.UUID == uuid.Nil {
				continue
			}
			for _, id := range []uuid.UUID{at.vm.UUID, at.vm.SMBIOSUUID} {
				k := guestUUID{at.host, id}
				if len(nameless[k]) == 1 && nameless[k][0].lead.doc != at.doc {
					owners[k] = append(owners[k], s)
				}
			}
		}
	}
	return owners
}
