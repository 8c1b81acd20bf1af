package reconcile

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
)

// hostView is what one host's documents say, with the indexes that following a
// NIC's path asks.
type hostView struct {
	ObservedHost
	docs    []*source // by source
	network *source
	links   map[string]*inventory.Link
	ports   map[string]ovsPort           // by the name of an interface
	portOf  map[inventory.MAC]ovsPort    // by attached-mac, where a tap has no name; made when first asked for
	members map[string][]*inventory.Link // by master, without guests' taps
	guests  map[string]bool              // links that lead into containers
	// vlanLinks are the VLAN links by what they sit on. fabrics are the host's
	// bridges by name, ovs those of Open vSwitch, which are few, and walked what was
	// found by following frames: all are made when first asked for.
	vlanLinks map[string][]*inventory.Link
	fabrics   map[string]*fabric
	ovs       []*fabric
	walked    map[origin]*ways
	brief     *walk
	grounds   *grounds    // of its disks, made when first asked for
	former    *hostView   // the live host whose earlier identity this is
	earlier   []*hostView // this one's earlier identities, the latest last
	pair      *hostPair

	node    *hostNode
	facts   placeFacts // what its VMs' units read of it besides its documents
	due     time.Time  // when time alone changes what is said of it; zero is never
	heard   bool       // it is among those that the book has heard since it settled
	spoke   bool       // it was told when it last spoke,
	said    time.Time  // which was then
	opened  bool       // it has indexes that are to be dropped
	changed bool       // something was read of it that its VMs' units may read
	retimed bool       // only times of its documents changed
	wwns    []string   // of its disks, as counted
	// vlans are those that VMs on it were found on, sorted, lately or before.
	vlans []inventory.VLAN
	units []*vmUnit // on it alone, while they wait to be judged
}

type ovsPort struct {
	bridge *inventory.OVSBridge
	port   *inventory.OVSPort
}

// read takes in what the host's documents say, sorted by source, at a time.
func (h *hostView) read(in *Input) {
	h.ObservedHost = ObservedHost{ID: h.ID, LastHeard: h.said}
	for _, doc := range h.docs {
		if !h.spoke && doc.Received.After(h.LastHeard) {
			h.LastHeard = doc.Received
		}
	}
	h.Stale = in.Now.Sub(h.LastHeard) > in.Policy.StaleAfter
	h.dropIndexes()
	h.network = nil
	h.Sources = make([]SourceStatus, 0, len(h.docs))
	for _, doc := range h.docs {
		h.Sources = append(h.Sources, SourceStatus{
			Source: doc.Source, Outcome: doc.Outcome, Complete: doc.Complete,
			ObservedAt: doc.ObservedAt, Received: doc.Received, Epoch: doc.Epoch, Gen: doc.Gen,
			Problems: doc.Problems, Runtime: doc.Runtime, RunningOnly: doc.tells("runtime.runningOnly"),
			Old: in.Now.Sub(doc.Received) > in.Policy.DocumentAge,
		})
		if h.Site == "" {
			h.Site = doc.Site
		}
		if doc.Identity != nil {
			h.Identity = doc.Identity
		}
		if doc.wired {
			h.network = doc
		}
	}
}

// open unpacks what the host's documents say, and makes the indexes that following
// NICs' paths asks. Close drops both.
func (h *hostView) open() {
	for _, doc := range h.docs {
		doc.VMs()
	}
	if h.network != nil && h.links == nil {
		h.indexNetwork()
	}
}

func (h *hostView) close() {
	h.dropIndexes()
	for _, doc := range h.docs {
		doc.unpacked = unpacked{}
	}
}

func (h *hostView) dropIndexes() {
	h.opened = false
	h.links, h.ports, h.portOf, h.members, h.guests = nil, nil, nil, nil, nil
	h.vlanLinks, h.fabrics, h.ovs, h.walked, h.brief, h.grounds = nil, nil, nil, nil, nil, nil
	for _, doc := range h.docs {
		doc.origins = nil
	}
}

// fresh says whether a document may be concluded from.
func (h *hostView) fresh(doc *source, in *Input) bool {
	return !h.Stale && in.Now.Sub(doc.Received) <= in.Policy.DocumentAge
}

// why says why nothing may be concluded from a document.
func (h *hostView) why(doc *source) string {
	if h.Stale {
		return fmt.Sprintf("%s is silent since %s", h.key(), clock(h.LastHeard))
	}
	return fmt.Sprintf("%s of %s was last reported at %s", doc.Source, h.key(), clock(doc.Received))
}

// clock writes a time in a text that must not change while nothing happens.
func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (h *hostView) key() string {
	if h.pair != nil {
		return h.pair.key()
	}
	return h.name()
}

// sighted is one VM as it was seen, wherever it was seen.
type sighted struct {
	lead   place
	copies []place // the same UUID elsewhere
	pair   *pair
}

// place is where a VM was seen.
type place struct {
	vm    *inventory.VM
	doc   *source
	host  *hostView
	thing *thing
	also  []string // further sources on the host
	// others are the same VM as those show it.
	others []place
	// fresh says that the document may be concluded from.
	fresh bool
}

// readVMs makes one entry for every VM among places, which are in order: what
// several sources on one host show under one UUID is one VM, and so is what
// several hosts show. Documents of a host's earlier identity are set aside, since
// the host says it all again. Containers are apart, each by itself: a VM's UUID on
// one makes them no one thing.
func (p *pass) readVMs(places []*thing) {
	all, containers, byUUID := p.vms[:0], p.containers[:0], p.vmByUUID
	clear(byUUID)
	alone := len(places) == 1
	for _, t := range places {
		if t.doc.host.former != nil {
			continue
		}
		at := p.place(t)
		id := at.vm.UUID
		if at.vm.IsContainer() {
			containers = append(containers, p.sight(at))
		} else if alone || id == uuid.Nil || inventory.IsJunkUUID(id) {
			all = append(all, p.sight(at))
		} else if s := byUUID[id]; s != nil {
			s.add(at)
		} else {
			s = p.sight(at)
			byUUID[id] = s
			all = append(all, s)
		}
	}
	if len(all) > 1 {
		all = joinBySMBIOS(all)
	}
	for _, s := range all {
		s.choose("")
	}
	p.vms, p.containers = all, containers
}

// add adds a place of the same UUID: one more copy, or another source's word
// where that host has shown the VM already.
func (s *sighted) add(at place) {
	if s.lead.host == at.host {
		s.lead.join(at)
		return
	}
	for i := range s.copies {
		if s.copies[i].host == at.host {
			s.copies[i].join(at)
			return
		}
	}
	s.copies = append(s.copies, at)
}

// join adds a second source on the same host. The one that may be concluded from
// leads, then the one that says how the VM is now and not how it was started,
// then the one that can say more.
func (at *place) join(other place) {
	also, others := append(at.also, other.doc.Source), append(at.others, other)
	if cmp.Or(yesFirst(other.fresh, at.fresh), yesFirst(other.vm.AsOf == nil, at.vm.AsOf == nil), at.doc.fields-other.doc.fields) < 0 {
		also[len(also)-1], others[len(others)-1] = at.doc.Source, *at
		*at = other
	}
	slices.Sort(also)
	at.also, at.others = slices.Compact(also), others
}

// choose makes the best of a VM's places the leading one: where it is active and
// is no migration's end, then where it may be concluded from, then on the host that Sentral wants, then
// by host ID.
func (s *sighted) choose(wanted string) {
	if len(s.copies) == 0 {
		return
	}
	places := append([]place{s.lead}, s.copies...)
	slices.SortStableFunc(places, func(a, b place) int {
		return cmp.Or(
			yesFirst(a.vm.State.Active(), b.vm.State.Active()),
			yesFirst(!inFlight(a.vm), !inFlight(b.vm)),
			yesFirst(a.fresh, b.fresh),
			yesFirst(wanted != "" && a.host.key() == wanted, wanted != "" && b.host.key() == wanted),
			bytes.Compare(a.host.ID[:], b.host.ID[:]),
		)
	})
	s.lead, s.copies = places[0], places[1:]
}

func yesFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// show gives what a reader sees of the place.
func (at *place) show() ObservedVM {
	o := ObservedVM{VM: *at.vm, HostID: at.host.ID, Host: at.host.key(), Site: at.host.site(),
		Source: at.doc.Source, Also: at.also, ObservedAt: at.doc.ObservedAt, Fresh: at.fresh}
	o.Platform = at.platform()
	return o
}

// platform is what an operator would call what keeps the VM: its manager, as the
// leading source tells or else another, and else the runtime.
func (at *place) platform() string {
	if name := at.vm.Manager.Platform(); name != "" {
		return name
	}
	for i := range at.others {
		if name := at.others[i].vm.Manager.Platform(); name != "" {
			return name
		}
	}
	if at.doc.Runtime == nil {
		return ""
	}
	return at.doc.Runtime.Platform
}

func (h *hostView) site() string {
	if h.pair != nil {
		return h.pair.site()
	}
	return h.Site
}
