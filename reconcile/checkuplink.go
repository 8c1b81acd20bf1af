package reconcile

import (
	"fmt"
	"slices"
)

// cut is a NIC that its host's uplinks cut off, as its VM's unit found it.
type cut struct {
	field              string // of the finding about the host that it follows from
	intended, observed any
	why                string // what is wrong, whosever NIC it is
	verdict            Verdict
	doubt              string // why it is only potential, where that isn't the match
	do                 string
}

// cause is the ID of the finding about the host.
func (c *cut) cause(hp *hostPair) string { return findingID(NetworkUplink, hp.subject(), c.field) }

// checkCuts makes one finding of what cuts off NICs of a host for one reason: an
// uplink that lacks a VLAN lacks it for all of them.
func (p *pass) checkCuts(u *hostUnit) {
	var order []string
	byField, first := map[string][]resident{}, map[string]*cut{}
	for _, r := range u.here {
		if !r.leads() {
			continue
		}
		u.blindPaths = u.blindPaths || r.at.blind
		cuts := r.at.cuts()
		for i := range cuts {
			c := &cuts[i]
			if first[c.field] == nil {
				order, first[c.field] = append(order, c.field), c
			}
			byField[c.field] = append(byField[c.field], r)
		}
	}
	for _, field := range order {
		p.cutOff(u, first[field], byField[field])
	}
}

// blindPaths says whether what the VM's NICs are cut off from could not be seen.
func (vp *pair) blindPaths() bool {
	return !vp.seen.lead.fresh || vp.hidden("vm.nics") != "" ||
		slices.ContainsFunc(vp.Paths, func(path NICPath) bool { return path.unseen })
}

func (p *pass) cutOff(u *hostUnit, c *cut, affected []resident) {
	var names []string
	verdict, count := Potential, 0
	for i, r := range affected {
		if i == 0 || affected[i-1].at != r.at {
			names = append(names, r.name())
			cuts := r.at.cuts()
			for j := range cuts {
				if other := &cuts[j]; other.field == c.field {
					count++
					if other.verdict != Potential && !r.weak() {
						verdict = Confirmed
					}
				}
			}
		}
	}
	slices.Sort(names)
	f := Finding{
		Kind: NetworkUplink, Subject: u.subject(), Field: c.field, Intended: c.intended, Observed: c.observed, Verdict: verdict,
		Message:     fmt.Sprintf("%s cuts off %d %s, of %s: %s", u.key(), count, plural(count, "NIC"), listed(names, "and"), c.why),
		Resolutions: bothWays(c.do, "live", "correct the networks of the VMs, if the host's links are as meant"),
	}
	if verdict == Potential {
		f.Evidence = []string{orElse(c.doubt, "which VM it is that is cut off rests on a mark that can be copied or reused")}
	}
	if u.view.network != nil {
		f.Provenance = u.view.network.provenance("link.portVLANs")
	}
	p.find(f)
}
