package reconcile

import (
	"fmt"
	"slices"
)

// checkTransient asks whether a VM that Sentral wants would be there after its
// host was booted again: a runtime may run one that it keeps no definition of.
func (p *pass) checkTransient(vp *pair) {
	at := &vp.seen.lead
	switch {
	case at.vm.Persistent == nil, *at.vm.Persistent:
		return
	case at.doc.tells("runtime.runningOnly"): // this runtime keeps nothing of any VM
		return
	case at.keeper() != "": // which makes the VM anew from what it keeps itself
		return
	case inFlight(at.vm): // it is defined where it goes to once it has arrived
		return
	}
	p.find(vp.finding(Finding{
		Kind: VMTransient, Field: "persistent", Intended: true, Observed: false,
		Message: fmt.Sprintf("%s is transient on %s: nothing is left of it once it stops or the host is booted again", vp.name(), at.host.key()),
		Evidence: []string{fmt.Sprintf("%s says that it keeps no definition of it, and nothing in its metadata speaks of a manager that does",
			at.doc.Source)},
		Provenance: vp.provenance("vm.persistent"),
		Resolutions: bothWays("define it from what runs now (libvirt: virsh dumpxml, then virsh define; Incus: copy it without --ephemeral)", "live",
			"set state to absent, if it was meant to last only as long as it runs"),
	}))
}

// keeper names the software that keeps the VM's definition outside its runtime,
// by the marks that it left on it; "" where none did.
func (at *place) keeper() string {
	for _, seen := range append([]place{*at}, at.others...) {
		if m := seen.vm.Manager; m != nil && !slices.Contains(keepsNothing, m.Name) {
			return m.Name
		}
	}
	return ""
}

// keepsNothing are the names that a VM's manager may have and that are no
// software with a book of its own: a runtime seen from its processes, and what
// only names the guest's operating system.
var keepsNothing = []string{"", "libosinfo", "libvirt", "incus", "lxd"}
