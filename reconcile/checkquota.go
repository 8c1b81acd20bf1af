package reconcile

import (
	"fmt"
	"slices"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// projectKey names a project: its ID is unique within its tenant only.
type projectKey struct{ tenant, id string }

func (k projectKey) String() string { return k.tenant + "/" + k.id }

// projectUnit is one project with the VMs on either side that are its: as
// Sentral says, else as their placement metadata claims.
type projectUnit struct {
	record *sentral.Project
	vms    []*pair
}

func (u *projectUnit) key() projectKey { return projectKey{u.record.Tenant, u.record.ID} }

func (u *projectUnit) subject() Subject { return u.key().subject() }

// checkQuota holds a project's quota against what its records add up to, and
// against what its VMs were seen to have, running or not. Neither can be more
// than it is: what could not be read counts as nothing.
func (p *pass) checkQuota(u *projectUnit) {
	limits := limitsOf(u.record.Quota)
	if limits == (amounts{}) {
		return
	}
	recorded, seen, sure := load{named: true}, load{named: true}, load{named: true}
	var hosts []string
	for _, vp := range u.vms {
		if vp.Intended != nil && vp.Intended.State != sentral.VMAbsent {
			recorded.addRecord(vp.Intended)
		}
		if vp.seen == nil || vp.seen.lead.vm.IsContainer() {
			continue
		}
		at := &vp.seen.lead
		hosts = append(hosts, at.host.key())
		loads := []*load{&seen}
		if at.fresh && vp.Match != nil && !vp.Match.Weak {
			loads = append(loads, &sure)
		}
		for _, l := range loads {
			l.addComputing(vp.name(), at.vm)
			l.addDisks(vp.name(), at.vm, func(*inventory.Disk) bool { return true })
		}
	}
	slices.Sort(hosts)
	hosts = slices.Compact(hosts)
	for r := range resources {
		if limit := limits[r]; limit != nil {
			cause := p.quotaOfRecords(u, r, *limit, &recorded)
			p.quotaOfVMs(u, r, *limit, &seen, &sure, hosts, cause)
		}
	}
}

// quotaOfRecords finds records that add up to more than the quota.
func (p *pass) quotaOfRecords(u *projectUnit, r resource, limit uint64, recorded *load) string {
	if recorded.sum[r] <= limit {
		return ""
	}
	return p.find(Finding{
		Kind: CapacityQuota, Subject: u.subject(), Field: "quota.recorded." + r.field(),
		Intended: r.value(limit), Observed: r.value(recorded.sum[r]),
		Message:  fmt.Sprintf("the VMs that Sentral has in %s add up to %s, its quota is %s", u.key(), r.words(recorded.sum[r]), r.words(limit)),
		Evidence: notEmpty(recorded.largest(r), recorded.largest(r)),
		Resolutions: []Resolution{{Side: "sentral", Do: fmt.Sprintf("raise the quota of %s to %s, or record less in it",
			u.key(), r.words(recorded.sum[r]))}},
	})
}

// quotaOfVMs finds VMs that have more than the quota together. It follows from
// the records, where those say so.
func (p *pass) quotaOfVMs(u *projectUnit, r resource, limit uint64, seen, sure *load, hosts []string, cause string) {
	if seen.sum[r] <= limit {
		return
	}
	f := Finding{
		Kind: CapacityQuota, Subject: u.subject(), Field: "quota." + r.field(), CausedBy: cause, Hosts: hosts,
		Intended: r.value(limit), Observed: r.value(seen.sum[r]), Verdict: Confirmed,
		Message:  fmt.Sprintf("the VMs of %s have %s together, its quota is %s", u.key(), r.words(seen.sum[r]), r.words(limit)),
		Evidence: []string{seen.largest(r)},
		Resolutions: bothWays("remove or shrink VMs that the project doesn't need", "person",
			fmt.Sprintf("raise the quota of %s to %s", u.key(), r.words(seen.sum[r]))),
	}
	if sure.sum[r] <= limit {
		f.Verdict = Potential
		f.Evidence = append(f.Evidence, fmt.Sprintf("%s of it are sure: the rest has only a label or a weak match to say that it is the project's, or was last seen a while ago",
			r.words(sure.sum[r])))
	}
	p.find(f)
}
