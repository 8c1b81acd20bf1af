package reconcile

import (
	"cmp"
	"fmt"
	"slices"
)

// groupKey names an anti-affinity group: a project's own, within one site.
type groupKey struct {
	projectKey
	site, name string
}

// groupUnit is the VMs of one anti-affinity group that are to run in one site.
type groupUnit struct {
	groupKey
	vms []*pair
}

// together is a place that fails as one, with the VMs of a group that are there.
type together struct {
	what, name string // "host" or "failureDomain", and which
	vms        []*pair
	hosts      []string
	weak       bool // one of them is matched weakly, or its host is
}

// checkAffinity finds VMs of one group that fail together: on one host, or on
// hosts of one failure domain. One that doesn't run loses nothing by that. Where
// the records themselves put them together, that is the cause.
func (p *pass) checkAffinity(u *groupUnit) {
	if len(u.vms) < 2 {
		return
	}
	causes := map[string]string{}
	for _, t := range u.recorded(p) {
		causes[t.what+" "+t.name] = p.recordedTogether(u, t)
	}
	onHost := map[*pair]bool{}
	for _, t := range u.seen() {
		if t.what == "host" {
			for _, vp := range t.vms {
				onHost[vp] = true
			}
		} else if !slices.ContainsFunc(t.vms, func(vp *pair) bool { return !onHost[vp] }) && len(t.hosts) == 1 {
			continue // the host says it all
		}
		p.seenTogether(u, t, causes[t.what+" "+t.name])
	}
}

// recorded are the places where the records bind several of them to.
func (u *groupUnit) recorded(p *pass) []*together {
	var g grouping
	for _, vp := range u.vms {
		want := vp.Intended
		domain := want.FailureDomain
		if home := p.hostRecord[want.Host]; home != nil {
			g.add("host", want.Host, vp, "", false)
			domain = orElse(domain, home.Intended.FailureDomain)
		}
		g.add("failureDomain", domain, vp, "", false)
	}
	return g.several()
}

// seen are the places where several of them run.
func (u *groupUnit) seen() []*together {
	var g grouping
	for _, vp := range u.vms {
		if vp.seen == nil || !vp.seen.lead.fresh || !vp.active() || vp.tied {
			continue
		}
		host := vp.seen.lead.host
		weak := vp.Match.Weak
		g.add("host", host.key(), vp, host.key(), weak)
		if record := host.pair.Intended; record != nil && !host.pair.tied {
			g.add("failureDomain", record.FailureDomain, vp, host.key(), weak || host.pair.Match.Weak)
		}
	}
	return g.several()
}

// grouping collects VMs by place, in the order in which places were first met.
type grouping struct{ places []*together }

func (g *grouping) add(what, name string, vp *pair, host string, weak bool) {
	if name == "" {
		return
	}
	i := slices.IndexFunc(g.places, func(t *together) bool { return t.what == what && t.name == name })
	if i < 0 {
		i = len(g.places)
		g.places = append(g.places, &together{what: what, name: name})
	}
	t := g.places[i]
	t.vms, t.weak = append(t.vms, vp), t.weak || weak
	if host != "" && !slices.Contains(t.hosts, host) {
		t.hosts = append(t.hosts, host)
	}
}

// several gives the places of more than one VM: hosts first, then by name.
func (g *grouping) several() []*together {
	all := slices.DeleteFunc(g.places, func(t *together) bool { return len(t.vms) < 2 })
	for _, t := range all {
		slices.SortFunc(t.vms, comparePairs)
		slices.Sort(t.hosts)
	}
	slices.SortFunc(all, func(a, b *together) int {
		return cmp.Or(yesFirst(a.what == "host", b.what == "host"), cmp.Compare(a.name, b.name))
	})
	return all
}

func (t *together) names(name func(*pair) string) []string {
	var names []string
	for _, vp := range t.vms {
		names = append(names, name(vp))
	}
	return names
}

// where says it as people do.
func (t *together) where() string {
	if t.what == "host" {
		return "on " + t.name
	}
	return "in failure domain " + t.name
}

func (u *groupUnit) subject() Subject {
	return Subject{Type: "project", ID: u.projectKey.String(), Name: u.projectKey.String(), Site: u.site, Tenant: u.tenant, Project: u.id}
}

func (u *groupUnit) field(t *together) string {
	return fmt.Sprintf("antiAffinity[%s].%s[%s]", u.name, t.what, t.name)
}

// recordedTogether reports records that put VMs of a group into one place.
func (p *pass) recordedTogether(u *groupUnit, t *together) string {
	names := t.names(func(vp *pair) string { return vp.Intended.Name })
	return p.find(Finding{
		Kind: CapacityAffinity, Subject: u.subject(), Field: u.field(t) + ".recorded", Intended: "one VM", Observed: names,
		Message:     fmt.Sprintf("Sentral has %s %s, and says that VMs of group %s never share one", listed(names, "and"), t.where(), u.name),
		Resolutions: []Resolution{{Side: "sentral", Do: fmt.Sprintf("give all but one another %s, or leave it open", t.word())}},
	})
}

func (t *together) word() string {
	if t.what == "host" {
		return "host"
	}
	return "failure domain"
}

// seenTogether reports VMs of a group that run in one place.
func (p *pass) seenTogether(u *groupUnit, t *together, cause string) {
	names := t.names(func(vp *pair) string { return vp.Intended.Name + " on " + vp.seen.lead.host.key() })
	f := Finding{
		Kind: CapacityAffinity, Subject: u.subject(), Field: u.field(t), Intended: "one VM", Observed: names, CausedBy: cause, Hosts: t.hosts, Verdict: Confirmed,
		Message: fmt.Sprintf("%s of %s run %s, and Sentral says that VMs of group %s never share one",
			listed(t.names((*pair).name), "and"), u.projectKey, t.where(), u.name),
		Provenance: t.vms[0].provenance("vm.uuid"),
		Resolutions: bothWays(fmt.Sprintf("move all but one to another %s of %s", t.word(), u.site), "live",
			"take antiAffinity out of the records that don't need it"),
	}
	if room := p.intended.domains[u.site]; t.what != "host" && room > 0 && room < len(u.vms) {
		f.Evidence = []string{fmt.Sprintf("the group has %d VMs in %s, and that has %d failure %s: some will always share one", len(u.vms), u.site, room, plural(room, "domain"))}
	}
	if t.weak {
		f.Verdict = Potential
	}
	if t.what == "host" {
		f.Severity = High // one machine takes them all
	}
	p.find(f)
}
