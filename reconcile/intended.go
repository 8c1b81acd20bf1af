package reconcile

import (
	"strings"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// intended is Sentral's book with the indexes that matching and comparing ask.
type intended struct {
	*sentral.Inventory
	networks map[string]*sentral.Network
	owners   map[siteVLAN][]*sentral.Network // more than one where networks share a VLAN
	images   map[string][]*sentral.Image     // by source path, which versions may share
	byDigest map[string]*sentral.Image       // in lower case
	domains  map[string]int                  // failure domains by site
	projects map[projectKey]*sentral.Project
	mapped   map[string]bool // sites in which some network has a VLAN
	// contested are the VLANs that networks of several tenants have, of which not
	// all say that they share it: whether a NIC of one of those tenants is where it
	// belongs can't be judged.
	contested map[siteVLAN]bool
	leftOut   map[string]string // any mark of a record that can't be used, with its label
	// unsure says that a network's record can't be used, so that a VLAN may have
	// an owner of whom nothing is known.
	unsure bool
}

type siteVLAN struct {
	site string
	vlan inventory.VLAN
}

func newIntended(inv *sentral.Inventory) *intended {
	in := &intended{
		Inventory: inv,
		networks:  make(map[string]*sentral.Network, len(inv.Networks)),
		owners:    make(map[siteVLAN][]*sentral.Network, len(inv.Networks)),
		images:    make(map[string][]*sentral.Image, len(inv.Images)),
		byDigest:  make(map[string]*sentral.Image),
		leftOut:   make(map[string]string),
		domains:   make(map[string]int),
		projects:  make(map[projectKey]*sentral.Project, len(inv.Projects)),
		mapped:    make(map[string]bool),
		contested: make(map[siteVLAN]bool),
		unsure:    inv.Incomplete,
	}
	for i := range inv.FailureDomains {
		in.domains[inv.FailureDomains[i].Site]++
	}
	for i := range inv.Projects {
		in.projects[projectKey{inv.Projects[i].Tenant, inv.Projects[i].ID}] = &inv.Projects[i]
	}
	for i := range inv.Networks {
		n := &inv.Networks[i]
		in.networks[n.ID] = n
		for site, vlan := range n.VLANs {
			in.mapped[site] = true
			in.owners[siteVLAN{site, vlan}] = append(in.owners[siteVLAN{site, vlan}], n)
		}
	}
	for at, owners := range in.owners {
		if contested(owners) {
			in.contested[at] = true
		}
	}
	for i := range inv.Images {
		image := &inv.Images[i]
		if isDigest(image.Digest) {
			in.byDigest[strings.ToLower(image.Digest)] = image
		}
		if image.Source != "" {
			in.images[image.Source] = append(in.images[image.Source], image)
		}
	}
	for _, record := range inv.LeftOut {
		in.leave(record)
	}
	return in
}

func (in *intended) leave(record sentral.LeftOut) {
	in.unsure = in.unsure || record.Type == "network"
	marks := append(bothOrders(record.UUID), bothOrders(record.SystemUUID)...)
	marks = append(marks, serialKeys(record.Serial)...)
	for _, mac := range record.MACs {
		marks = append(marks, macKeys(mac)...)
	}
	if record.ID != "" {
		marks = append(marks, strings.ToLower(record.ID))
	}
	if record.Type == "host" {
		marks = append(marks, hostNames(record.Name, record.ID)...)
	}
	for _, mark := range marks {
		in.leftOut[record.Type+" "+mark] = record.Label()
	}
}

// setAside says whether a record that can't be used is about something with one
// of these marks, so that it isn't unknown to Sentral.
func (in *intended) setAside(kind string, marks ...string) bool {
	return in.setAsideAs(kind, marks...) != ""
}

// setAsideAs is the label of that record, "" where there is none.
func (in *intended) setAsideAs(kind string, marks ...string) string {
	for _, mark := range marks {
		if label := in.leftOut[kind+" "+strings.ToLower(mark)]; mark != "" && label != "" {
			return label
		}
	}
	return ""
}

// faults say where and why a record can't be used.
func (in *intended) faults(label string) []string {
	var all []string
	for i := range in.Problems {
		if problem := &in.Problems[i]; problem.Record == label {
			all = append(all, inventoryWords(problem))
		}
	}
	return all
}

// imageName writes an image reference the way people say it.
func imageName(id, version string) string {
	if version == "" {
		return id
	}
	return id + " " + version
}
