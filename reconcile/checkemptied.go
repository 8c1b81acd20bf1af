package reconcile

import (
	"fmt"
	"maps"
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

// checkEmptiedSite makes one finding of many VMs of a site, or of one platform in it,
// that are nowhere at once, on several hosts: each host may have lost few. Of is how
// many there should be, by platform and together.
func (p *pass) checkEmptiedSite(name string, missing map[*thing]bool, of map[string]int) {
	by := map[string][]*thing{}
	for t := range missing {
		by[""] = append(by[""], t)
		if platform := p.book.platformOf(t.want); platform != "" {
			by[platform] = append(by[platform], t)
		}
	}
	for _, platform := range slices.Sorted(maps.Keys(by)) { // the whole site first: what is said of it need not be said of its platforms
		if lost := by[platform]; p.in.Policy.Mass.isMass(len(lost), of[platform], p.in.Policy.Mass.Records) && p.emptied(name, platform, lost, of[platform]) {
			if platform == "" {
				return
			}
		}
	}
}

// emptied makes the finding, unless all is of one host.
func (p *pass) emptied(site, platform string, lost []*thing, of int) bool {
	homes := map[string]bool{}
	names := make([]string, len(lost))
	for i, t := range lost {
		homes[t.want.Host] = true
		names[i] = orElse(t.want.Name, t.want.ID)
	}
	if len(homes) < 2 {
		return false
	}
	delete(homes, "")
	slices.Sort(names)
	subject, what := scopeSubject(site, platform)
	hosts := slices.Sorted(maps.Keys(homes))
	id := p.find(Finding{
		// How many they are changes while it goes on, and is in neither the field
		// nor the message.
		Kind: SiteEmptied, Subject: subject, Field: "vms", Intended: "there", Observed: "not there", Verdict: Confirmed,
		Hosts:   hosts[:min(len(hosts), maxEmptied)],
		Message: fmt.Sprintf("many of the VMs that Sentral has in %s are nowhere (%s or more), although their hosts speak", what, percent(p.in.Policy.Mass.Share)),
		Evidence: []string{fmt.Sprintf("%d of %d: %s", len(lost), of, listed(names, "and")),
			fmt.Sprintf("they should be on %d %s: %s", len(hosts), plural(len(hosts), "host"), listed(hosts, "and"))},
		Resolutions: bothWays("see what they have in common: shared storage, a manager or its upgrade, another runtime than before", "person",
			"set their state to absent, if they were removed on purpose, or their host, if they were moved"),
	})
	for _, t := range lost {
		p.blame(t.aside.absent.found[0].ID, id)
	}
	for _, host := range hosts { // of each that has lost much itself
		if hp := p.hostRecord[host]; hp != nil {
			p.blame(findingID(HostEmptied, (&hostUnit{hostPair: hp}).subject(), "vms"), id)
		}
	}
	return true
}

// maxEmptied bounds the hosts that are named with a finding about a site.
const maxEmptied = 1000
