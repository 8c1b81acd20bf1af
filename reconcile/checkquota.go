package reconcile

import (
	"fmt"
	"math"
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
// than it is: what could not be read counts as nothing. A quota is of all sites
// together, and a reconciler sees one: what records place in another one counts as
// they say. Of a project that has nothing here the others tell.
func (p *pass) checkQuota(u *projectUnit) {
	limits := limitsOf(u.record.Quota)
	if limits == (amounts{}) {
		return
	}
	recorded, elsewhere := load{named: true}, load{named: true}
	seen, sure := load{named: true}, load{named: true}
	var hosts []string
	here := false
	for _, vp := range u.vms {
		if vp.Intended != nil && vp.Intended.State != sentral.VMAbsent {
			recorded.addRecord(vp.Intended)
			if vp.seen == nil && p.book.isElsewhere(vp.Intended.Site) {
				elsewhere.addRecord(vp.Intended)
			} else {
				here = true
			}
		}
		if vp.seen == nil || vp.seen.lead.vm.IsContainer() {
			continue
		}
		here = true
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
	if !here {
		return
	}
	slices.Sort(hosts)
	hosts = slices.Compact(hosts)
	for r := range resources {
		if limit := limits[r]; limit != nil {
			cause := p.quotaOfRecords(u, r, *limit, &recorded)
			p.quotaOfVMs(u, r, *limit, &usage{seen: &seen, sure: &sure, elsewhere: &elsewhere, hosts: hosts}, cause)
		}
	}
}

// usage is what the VMs of a project have together: as they were seen here, with
// those of it that are the project's for sure, and as records say of other sites.
type usage struct {
	seen, sure, elsewhere *load
	hosts                 []string
}

// isElsewhere says whether VMs of a site can't be seen here, as another site's
// reconciler sees them: no host of it speaks here, and hosts of another one do.
func (b *Book) isElsewhere(name string) bool {
	s := b.sites[name]
	return b.spoken > 0 && (s == nil || s.spoken == 0)
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
func (p *pass) quotaOfVMs(u *projectUnit, r resource, limit uint64, use *usage, cause string) {
	seen, elsewhere := use.seen.sum[r], use.elsewhere.sum[r]
	sum := seen + min(elsewhere, math.MaxUint64-seen)
	if sum <= limit || seen == 0 {
		return
	}
	f := Finding{
		Kind: CapacityQuota, Subject: u.subject(), Field: "quota." + r.field(), CausedBy: cause, Hosts: use.hosts,
		Intended: r.value(limit), Observed: r.value(sum), Verdict: Confirmed,
		Message:  fmt.Sprintf("the VMs of %s have %s together, its quota is %s", u.key(), r.words(sum), r.words(limit)),
		Evidence: []string{use.seen.largest(r)},
		Resolutions: bothWays("remove or shrink VMs that the project doesn't need", "person",
			fmt.Sprintf("raise the quota of %s to %s", u.key(), r.words(sum))),
	}
	if elsewhere > 0 {
		f.Evidence = append(f.Evidence, fmt.Sprintf("%s of it are in other sites, as Sentral has it: %s", r.words(elsewhere), use.elsewhere.largest(r)))
	}
	if use.sure.sum[r] <= limit {
		f.Verdict = Potential
		why := "the rest has only a label or a weak match to say that it is the project's, or was last seen a while ago"
		if elsewhere > 0 {
			why = "the rest is in other sites, has only a label or a weak match to say that it is the project's, or was last seen a while ago"
		}
		f.Evidence = append(f.Evidence, fmt.Sprintf("%s of it are sure: %s", r.words(use.sure.sum[r]), why))
	}
	p.find(f)
}
