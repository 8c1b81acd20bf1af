// Package adopt writes down as Sentral's records what was observed: whole records
// for what Sentral doesn't know yet, and changes of records for findings that are
// to be resolved on Sentral's side.
//
// It decides nothing: whether what runs is what should run is for a person to
// say. It is a pure function of a reconciliation; what it makes is held against
// the same observation again by its tests, and gives no drift.
package adopt

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// Options say what no host tells.
type Options struct {
	// Tenant, Project and Environment are of VMs whose runtime doesn't say.
	Tenant, Project, Environment string
	// Foreign lets a record name networks of other tenants and projects: what is
	// written down then is that one is inside another's network.
	Foreign bool
	// Only gives the hosts and VMs that are meant; nil means all.
	Only func(*reconcile.VMMatch, *reconcile.HostMatch) bool
}

// Adopted is what was written down.
type Adopted struct {
	// Records are the new ones, and those that they need beside them: sites,
	// projects, networks, images.
	Records sentral.Inventory
	// Notes say in a sentence each what a person should look at.
	Notes []string
}

// New makes records of the hosts and VMs that no record was matched with.
// Intended is the inventory that there is, and is not changed.
func New(result *reconcile.Result, intended *sentral.Inventory, o Options) (*Adopted, error) {
	b := newBook(intended, o)
	for i := range result.Hosts {
		m := &result.Hosts[i]
		if m.Observed != nil && m.Intended == nil && !m.Observed.Stale && b.meant(nil, m) {
			b.host(m)
		}
	}
	var homeless []string
	for i := range result.VMs {
		m := &result.VMs[i]
		if m.Observed == nil || m.Intended != nil || m.Observed.IsContainer() || !b.meant(m, nil) {
			continue
		}
		if !b.vm(m) {
			homeless = append(homeless, cmp.Or(m.Observed.Name, m.Observed.Key()))
		}
	}
	if len(homeless) > 0 {
		return nil, fmt.Errorf("nothing on their hosts says whose these are: %s: give --tenant, --project and --environment", strings.Join(first(homeless, 10), ", "))
	}
	if o.Only != nil && len(b.foreign) > 0 {
		return nil, fmt.Errorf("%s: %s", strings.Join(first(b.foreign, 10), ", "), foreignWords)
	}
	b.summarise()
	return &b.out, nil
}

// foreignWords say why a record isn't to name another's network.
const foreignWords = "a record that names it would make a breach of isolation what is intended: take it off there, or say --foreign-networks, if it is meant"

func first(list []string, n int) []string {
	if len(list) <= n {
		return list
	}
	return append(slices.Clone(list[:n]), fmt.Sprintf("%d more", len(list)-n))
}

// book is the inventory that there is, with what is being added.
type book struct {
	o     Options
	out   Adopted
	taken map[string]bool    // IDs, by type: "vm x"
	uuids map[uuid.UUID]bool // of VMs
	// networks are those with a VLAN, by site and VLAN.
	networks map[siteVLAN][]*sentral.Network
	byID     map[string]*sentral.Network
	images   []sentral.Image
	// unlabelled are VMs whose runtime could say whose they are and doesn't.
	unlabelled, unfollowed, unsized []string
	// faceless are hosts of which the identity isn't seen.
	faceless []string
	// copies are VMs with the UUID of another.
	copies []string
	// foreign are VMs with a NIC on a VLAN of somebody else, with whose it is.
	foreign []string
	// skipped are those that no record could be recognised by.
	skipped []string
}

type siteVLAN struct {
	site string
	vlan inventory.VLAN
}

func newBook(inv *sentral.Inventory, o Options) *book {
	b := &book{o: o, taken: map[string]bool{}, uuids: map[uuid.UUID]bool{}, networks: map[siteVLAN][]*sentral.Network{}, byID: map[string]*sentral.Network{}, images: slices.Clone(inv.Images)}
	take := func(value any) { b.taken[sentral.Identify(value).Label()] = true }
	for record := range inv.Records() {
		take(record)
	}
	for i := range inv.VMs {
		b.uuids[inv.VMs[i].UUID()] = true
	}
	for i := range inv.Networks {
		b.know(&inv.Networks[i])
	}
	for i := range inv.LeftOut {
		take(&inv.LeftOut[i])
	}
	return b
}

func (b *book) know(n *sentral.Network) {
	b.byID[n.ID] = n
	for site, vlan := range n.VLANs {
		b.networks[siteVLAN{site, vlan}] = append(b.networks[siteVLAN{site, vlan}], n)
	}
}

func (b *book) meant(vm *reconcile.VMMatch, host *reconcile.HostMatch) bool {
	return b.o.Only == nil || b.o.Only(vm, host)
}

// free takes an ID, or one like it that nobody has.
func (b *book) free(kind, id string) string {
	for n := 1; ; n++ {
		candidate := id
		if n > 1 {
			candidate = fmt.Sprintf("%s-%d", id, n)
		}
		if label := kind + " " + candidate; !b.taken[label] {
			b.taken[label] = true
			return candidate
		}
	}
}

func (b *book) site(id string) {
	if label := "site " + id; id != "" && !b.taken[label] {
		b.taken[label] = true
		b.out.Records.Sites = append(b.out.Records.Sites, sentral.Site{ID: id})
	}
}

func (b *book) project(tenant, id string) {
	p := sentral.Project{Tenant: tenant, ID: id}
	if label := sentral.Identify(&p).Label(); !b.taken[label] {
		b.taken[label] = true
		b.out.Records.Projects = append(b.out.Records.Projects, p)
	}
}

// host writes a host down. Its ID is the name that VMs on it are said to be on.
func (b *book) host(m *reconcile.HostMatch) {
	seen := m.Observed
	h := sentral.Host{HostID: seen.ID, Site: seen.Site, State: sentral.HostActive}
	name := seen.ID.String()
	if seen.Site == "" {
		b.skipped = append(b.skipped, name)
		return
	}
	if seen.Identity == nil {
		b.faceless = append(b.faceless, name)
	}
	if id := seen.Identity; id != nil {
		name = cmp.Or(id.Hostname, name)
		h.Name = id.Hostname
		if !inventory.IsJunkSerial(id.Serial) {
			h.Serial = id.Serial
		}
		if !inventory.IsJunkUUID(id.SystemUUID) {
			h.SystemUUID = id.SystemUUID
		}
	}
	h.ID = b.free("host", name)
	platforms := map[string]bool{}
	for _, source := range seen.Sources {
		if source.Runtime != nil && source.Outcome != inventory.OutcomeAbsent {
			platforms[source.Runtime.Platform] = true
		}
	}
	if names := slices.Sorted(maps.Keys(platforms)); len(names) == 1 {
		h.Platform = names[0]
	}
	b.site(h.Site)
	b.out.Records.Hosts = append(b.out.Records.Hosts, h)
}

// summarise says what can't be written down.
func (b *book) summarise() {
	note := func(names []string, format string) {
		if len(names) > 0 {
			b.out.Notes = append(b.out.Notes, fmt.Sprintf(format, strings.Join(first(names, 5), ", ")))
		}
	}
	note(b.copies, "these have the UUID of another VM, and are left out: %s")
	note(b.foreign, "these have a NIC on a VLAN of another tenant or project, and are left out (--foreign-networks writes them down all the same): %s")
	note(b.skipped, "these have no name, no UUID or no site, and are left out: %s")
	note(b.faceless, "who these hosts are was not observed (yet), so that their IDs stand for their names: %s")
	note(b.unlabelled, "no metadata on their hosts says whose these are, and that stays drift until it is written: %s")
	note(b.unfollowed, "which VLAN these have a NIC on could not be seen; the network is a name alone: %s")
	note(b.unsized, "the size of a disk of these was not read, and is left out: %s")
}

// hasID says whether a UUID is an ID already.
func hasID(id string, is uuid.UUID) bool {
	parsed, err := uuid.Parse(id)
	return err == nil && parsed == is
}
