package reconcile

import (
	"fmt"
	"slices"

	"github.com/dataverket/avstem/sentral"
)

// checkEmptied makes one finding of many VMs of a host that are nowhere at once,
// although the host is seen whole: what took them is one thing (definitions that
// were lost, a wrong pool, a runtime that shows another machine's), and each of them
// is shown under it.
func (p *pass) checkEmptied(u *hostUnit) {
	var names []string
	var missing []string
	of := 0
	for _, t := range u.bound {
		if t.want.State == sentral.VMAbsent {
			continue
		}
		of++
		if t.aside == nil || t.aside.absent == nil || len(t.aside.absent.found) == 0 {
			continue
		}
		missing = append(missing, t.aside.absent.found[0].ID)
		names = append(names, orElse(t.want.Name, t.want.ID))
	}
	if !p.in.Policy.Mass.isMass(len(missing), of, p.in.Policy.Mass.Records) {
		return
	}
	slices.Sort(names)
	f := Finding{
		// How many they are changes while it goes on, and is in neither the field
		// nor the message.
		Kind: HostEmptied, Subject: u.subject(), Field: "vms", Intended: "there", Observed: "not there", Verdict: Confirmed,
		Message:  fmt.Sprintf("many of the VMs that Sentral has on %s are nowhere (%s or more), although it speaks", u.key(), percent(p.in.Policy.Mass.Share)),
		Evidence: []string{fmt.Sprintf("%d of %d: %s", len(missing), of, listed(names, "and"))},
		Resolutions: bothWays("see what they have in common: the runtime's definitions, its storage, another runtime than before", "person",
			"set their state to absent, if they were removed on purpose, or their host, if they were moved"),
	}
	if u.view != nil {
		f.Provenance = u.runtimeProvenance()
	}
	id := p.find(f)
	for _, symptom := range missing {
		p.blame(symptom, id)
	}
}
