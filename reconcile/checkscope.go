package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// unresolvedUnit is a project that something names and Sentral has not, with what names it.
type unresolvedUnit struct {
	projectKey
	records []string // VMs and networks of Sentral's
	labels  []string // VMs that nobody recorded
	hosts   []string // where those are
}

// unresolved says whether a project is named that Sentral has not. Where Sentral has
// no projects at all, or can't be read whole, that says nothing.
func (in *intended) unresolved(k projectKey) bool {
	return k.tenant != "" && k.id != "" && !in.Incomplete && len(in.Projects) > 0 &&
		in.projects[k] == nil && !in.setAside("project", k.String())
}

func (k projectKey) subject() Subject {
	return Subject{Type: "project", ID: k.String(), Name: k.String(), Tenant: k.tenant, Project: k.id}
}

// unresolvedID is the finding that a project is unresolved, "" where it isn't.
func (p *pass) unresolvedID(k projectKey) string {
	if !p.intended.unresolved(k) {
		return ""
	}
	return findingID(ScopeUnresolved, k.subject(), "project")
}

// causeOf gives the finding that a problem of the inventory follows from: a
// project that isn't there is one matter, however many records name it.
func (p *pass) causeOf(problem *sentral.Problem) string {
	kind, id, _ := strings.Cut(problem.Record, " ")
	if problem.Key != "project" {
		return ""
	}
	switch kind {
	case "vm":
		if t := p.book.recordOf(id, func(*thing) bool { return true }); t != nil && t.want.State != sentral.VMAbsent {
			return p.unresolvedID(projectKey{t.want.Tenant, t.want.Project})
		}
	case "network":
		if n := p.intended.networks[id]; n != nil {
			return p.unresolvedID(projectKey{n.Tenant, n.Project})
		}
	}
	return ""
}

// unresolvedOf gives a project that is named and that Sentral has not with what
// names it: the records of VMs and the VMs that nobody recorded are given.
func (p *pass) unresolvedOf(k projectKey, vms []*pair) *unresolvedUnit {
	u := &unresolvedUnit{projectKey: k}
	for i := range p.intended.Networks {
		if n := &p.intended.Networks[i]; n.Tenant == k.tenant && n.Project == k.id {
			u.records = append(u.records, "network "+n.ID)
		}
	}
	for _, vp := range vms {
		if vp.Intended != nil {
			u.records = append(u.records, "VM "+vp.Intended.Name)
			continue
		}
		host := vp.seen.lead.host.key()
		u.labels, u.hosts = append(u.labels, vp.name()+" on "+host), append(u.hosts, host)
	}
	return u
}

// checkUnresolved makes one finding of everything that names a project which
// Sentral has not.
func (p *pass) checkUnresolved(u *unresolvedUnit) {
	if len(u.records)+len(u.labels) == 0 {
		return
	}
	for _, names := range [][]string{u.records, u.labels, u.hosts} {
		slices.Sort(names)
	}
	f := Finding{
		Kind: ScopeUnresolved, Subject: u.subject(), Field: "project", Hosts: slices.Compact(u.hosts),
		Resolutions: bothWays("", "", "add a project with tenant "+u.tenant+" and id "+u.id+", or name the right one in the records"),
	}
	var who []string
	if n := len(u.records); n > 0 {
		who = append(who, fmt.Sprintf("%d %s", n, plural(n, "record")))
		f.Evidence = append(f.Evidence, "recorded as its: "+listed(u.records, "and"))
	}
	if n := len(u.labels); n > 0 {
		who = append(who, fmt.Sprintf("the metadata of %d %s that nobody recorded", n, plural(n, "VM")))
		f.Evidence = append(f.Evidence, "labelled as its: "+listed(u.labels, "and"))
		f.Resolutions = append(bothWays("correct the placement metadata, if it names the wrong project", "live", ""), f.Resolutions...)
	}
	if len(u.records) == 0 {
		f.Verdict = Potential // somebody wrote it, on a host
	}
	f.Observed = who
	f.Message = fmt.Sprintf("Sentral has no project %s, and %s name it", u.projectKey, listed(who, "and"))
	p.find(f)
}

// unresolvedVM says of a VM that nobody recorded what can't be tied to a record of
// its scope: its environment, the VLANs of its NICs, or all of it. It gives what
// its scope may be as evidence.
func (p *pass) unresolvedVM(vp *pair, unknown string) {
	tenant, project, environment := vp.owner()
	record := p.intended.projects[projectKey{tenant, project}]
	f := Finding{
		Kind: ScopeUnresolved, CausedBy: unknown, Field: "scope", Verdict: Potential, Provenance: vp.provenance("vm.placement"),
		Resolutions: bothWays("write its placement metadata, once somebody knows whose it is", "live", "add a record for it"),
	}
	switch {
	case record != nil && environment != "" && len(record.Environments) > 0 && !slices.Contains(record.Environments, environment):
		f.Field, f.Intended, f.Observed = "scope.environment", record.Environments, environment
		f.Evidence = []string{"a label says what somebody wrote"}
		f.Message = fmt.Sprintf("the metadata of %s names environment %s, and %s/%s has %s", vp.name(), environment, tenant, project, listed(record.Environments, "and"))
	case tenant != "" && project != "", len(p.intended.Projects) == 0, p.intended.unsure, vp.netOwners(p) != nil, vp.seen.lead.vm.Manager != nil && vp.seen.lead.vm.Manager.Project != "":
		return
	default:
		f.Observed = orElse(strings.TrimSuffix(tenant+"/"+project, "/"), "nobody's")
		f.Severity = Low // that nobody recorded it says nearly as much
		f.Evidence = []string{"whoever made it knows, or a record that was lost"}
		f.Message = fmt.Sprintf("nothing says whose %s is: its metadata names no project, and none of its NICs is on a VLAN that Sentral has", vp.name())
	}
	p.find(vp.finding(f))
}

// netOwners are the projects whose networks' VLANs the VM's NICs are on, each where
// it is one project's alone.
func (vp *pair) netOwners(p *pass) []string {
	var names []string
	for i := range vp.Paths {
		if owner := p.soleOwner(vp.seen.lead.host.site(), vp.Paths[i].VLAN); owner != "" && !slices.Contains(names, owner) {
			names = append(names, owner)
		}
	}
	return names
}

// soleOwner is the project that a VLAN belongs to in a site; "" where it is
// several projects' or nobody's.
func (p *pass) soleOwner(site string, vlan *inventory.VLAN) string {
	if vlan == nil {
		return ""
	}
	owner := ""
	for _, n := range p.intended.owners[siteVLAN{site, *vlan}] {
		name := projectKey{n.Tenant, n.Project}.String()
		if owner != "" && owner != name {
			return ""
		}
		owner = name
	}
	return owner
}

// likelyOwner says whose a VM may be that nobody recorded, by its networks.
func (p *pass) likelyOwner(vp *pair) []string {
	tenant, _, _ := vp.owner()
	owners := vp.netOwners(p)
	if tenant != "" || len(owners) == 0 {
		return nil
	}
	return []string{"its NICs are on VLANs of " + listed(owners, "and") + ", whose it may be"}
}

// nobodysVLAN finds a NIC that nobody recorded on a VLAN that no network has,
// where Sentral knows the site's VLANs.
func (p *pass) nobodysVLAN(vp *pair, name string, path *NICPath, unknown string) {
	site := vp.seen.lead.host.site()
	if unknown == "" || path.VLAN == nil || *path.VLAN == 0 || p.intended.unsure || !p.intended.mapped[site] || len(p.intended.owners[siteVLAN{site, *path.VLAN}]) > 0 {
		return
	}
	p.find(vp.finding(Finding{
		Kind: ScopeUnresolved, CausedBy: unknown, Field: "nics[" + name + "].scope", Observed: int(*path.VLAN), Verdict: path.verdict(),
		Message:    fmt.Sprintf("NIC %s of %s is on VLAN %d, which is no network's in %s", name, vp.name(), *path.VLAN, site),
		Evidence:   path.evidence(),
		Provenance: p.pathProvenance(vp, path),
		Resolutions: bothWays(fmt.Sprintf("take it off VLAN %d", *path.VLAN), "live",
			fmt.Sprintf("give the network that it is meant to be on VLAN %d in %s", *path.VLAN, site)),
	}))
}
