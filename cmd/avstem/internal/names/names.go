// Package names tells which sites, platforms, tenants and projects there are, and of
// a name that there isn't, which may have been meant.
//
// It exists so that a misspelt filter is an error: what nothing answers to looks like
// what nothing is wrong with. It knows no server and no flags, and keeps nothing.
package names

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dataverket/avstem/inventory/near"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

const (
	// maxNear is how many names are suggested, maxListed how many are listed.
	maxNear   = 3
	maxListed = 12
)

// Names are those of the things by which findings can be chosen, sorted.
type Names struct {
	Sites     []string `json:"sites"`
	Platforms []string `json:"platforms"`
	Tenants   []string `json:"tenants"`
	Projects  []string `json:"projects"` // TENANT/PROJECT
}

// Of gathers the names out of what is intended, what was matched, and findings, any
// of which may be nil.
func Of(intended *sentral.Inventory, result *reconcile.Result, findings []reconcile.Finding) Names {
	g := gathering{sites: set{}, platforms: set{}, tenants: set{}, projects: set{}}
	if intended != nil {
		g.intended(intended)
	}
	if result != nil {
		g.matched(result)
	}
	for i := range findings {
		s := &findings[i].Subject
		g.sites.add(s.Site)
		g.platforms.add(s.Platform)
		g.owner(s.Tenant, s.Project)
	}
	return Names{g.sites.sorted(), g.platforms.sorted(), g.tenants.sorted(), g.projects.sorted()}
}

// Add adds what somebody else knows.
func (n *Names) Add(o Names) {
	both := func(a, b []string) []string { return slices.Compact(slices.Sorted(slices.Values(slices.Concat(a, b)))) }
	n.Sites, n.Platforms = both(n.Sites, o.Sites), both(n.Platforms, o.Platforms)
	n.Tenants, n.Projects = both(n.Tenants, o.Tenants), both(n.Projects, o.Projects)
}

type set map[string]bool

func (s set) add(name string) {
	if name != "" {
		s[name] = true
	}
}

func (s set) sorted() []string {
	all := make([]string, 0, len(s))
	for name := range s {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

type gathering struct{ sites, platforms, tenants, projects set }

func (g *gathering) owner(tenant, project string) {
	g.tenants.add(tenant)
	if project != "" {
		g.projects.add(tenant + "/" + project)
	}
}

func (g *gathering) intended(inv *sentral.Inventory) {
	for i := range inv.Sites {
		g.sites.add(inv.Sites[i].ID)
	}
	for i := range inv.Projects {
		g.owner(inv.Projects[i].Tenant, inv.Projects[i].ID)
	}
	for i := range inv.Networks {
		g.owner(inv.Networks[i].Tenant, inv.Networks[i].Project)
	}
	for i := range inv.Hosts {
		g.sites.add(inv.Hosts[i].Site)
		g.platforms.add(inv.Hosts[i].Platform)
	}
	for i := range inv.VMs {
		g.sites.add(inv.VMs[i].Site)
		g.owner(inv.VMs[i].Tenant, inv.VMs[i].Project)
	}
}

func (g *gathering) matched(result *reconcile.Result) {
	for i := range result.Hosts {
		o := result.Hosts[i].Observed
		if o == nil {
			continue
		}
		g.sites.add(o.Site)
		for _, source := range o.Sources {
			if source.Runtime != nil {
				g.platforms.add(source.Runtime.Platform)
			}
		}
	}
	for i := range result.VMs {
		o := result.VMs[i].Observed
		if o == nil {
			continue
		}
		g.platforms.add(o.Platform)
		if o.Placement != nil {
			g.owner(o.Placement.Tenant, o.Placement.Project)
		}
	}
}

// Check says what is wrong with a name that isn't one of those that there are: which
// may have been meant, and which there are.
func Check(what, asked string, known []string) error {
	if asked == "" || slices.Contains(known, asked) {
		return nil
	}
	if len(known) == 0 {
		return fmt.Errorf("there is no %s %q: there is no %s at all", what, asked, what)
	}
	meant := near.Names(asked, slices.Values(known), maxNear)
	text, there := fmt.Sprintf("there is no %s %q: ", what, asked), "there are "
	if len(known) == 1 {
		there = "there is only "
	}
	if len(meant) > 0 {
		text, there = text+"did you mean "+strings.Join(meant, " or ")+"? ", "T"+there[1:]
	}
	rest := slices.DeleteFunc(slices.Clone(known), func(name string) bool { return slices.Contains(meant, name) })
	all := slices.Concat(meant, rest)
	listed := strings.Join(all[:min(len(all), maxListed)], ", ")
	if more := len(all) - maxListed; more > 0 {
		listed = fmt.Sprintf("%s and %d more", listed, more)
	}
	return errors.New(text + there + listed)
}

// CheckProject is [Check] of PROJECT or TENANT/PROJECT.
func (n *Names) CheckProject(asked string) error {
	known := n.Projects
	if !strings.Contains(asked, "/") {
		known = nil
		for _, qualified := range n.Projects {
			_, name, _ := strings.Cut(qualified, "/")
			known = append(known, name)
		}
		slices.Sort(known)
		known = slices.Compact(known)
	}
	return Check("project", asked, known)
}
