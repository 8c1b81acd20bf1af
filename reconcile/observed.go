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
	docs    []Document // by source
	network *Document
	links   map[string]*inventory.Link
	ports   map[string]ovsPort           // by the name of an interface
	portOf  map[inventory.MAC]ovsPort    // by attached-mac, where a tap has no name
	members map[string][]*inventory.Link // by master
	former  *hostView                    // the live host whose earlier identity this is
	earlier []uuid.UUID                  // this one's earlier identities
	pair    *hostPair
}

type ovsPort struct {
	bridge *inventory.OVSBridge
	port   *inventory.OVSPort
}

// readHosts groups documents by host, sorted by host ID.
func readHosts(in *Input) []*hostView {
	byID := map[uuid.UUID]*hostView{}
	for _, doc := range in.Observed {
		h := byID[doc.Host]
		if h == nil {
			h = &hostView{ObservedHost: ObservedHost{ID: doc.Host, Site: doc.Site, LastHeard: in.Heard[doc.Host]}}
			byID[doc.Host] = h
		}
		h.docs = append(h.docs, doc)
		if _, heard := in.Heard[doc.Host]; !heard && doc.Received.After(h.LastHeard) {
			h.LastHeard = doc.Received
		}
	}
	hosts := make([]*hostView, 0, len(byID))
	for _, h := range byID {
		h.Stale = in.Now.Sub(h.LastHeard) > in.Policy.StaleAfter
		slices.SortFunc(h.docs, func(a, b Document) int { return cmp.Compare(a.Source, b.Source) })
		h.index(in)
		hosts = append(hosts, h)
	}
	slices.SortFunc(hosts, func(a, b *hostView) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return hosts
}

func (h *hostView) index(in *Input) {
	for i := range h.docs {
		doc := &h.docs[i]
		h.Sources = append(h.Sources, SourceStatus{
			Source: doc.Source, Outcome: doc.Outcome, Complete: doc.Complete,
			ObservedAt: doc.ObservedAt, Received: doc.Received, Epoch: doc.Epoch, Gen: doc.Gen,
			Problems: doc.Problems, Runtime: doc.Runtime,
			Old: in.Now.Sub(doc.Received) > in.Policy.DocumentAge,
		})
		if doc.Identity != nil {
			h.Identity = doc.Identity
		}
		if len(doc.Links) > 0 || len(doc.OVSBridges) > 0 {
			h.network = doc
		}
	}
	if h.network == nil {
		return
	}
	h.links = make(map[string]*inventory.Link, len(h.network.Links))
	h.members = map[string][]*inventory.Link{}
	for i := range h.network.Links {
		link := &h.network.Links[i]
		h.links[link.Name] = link
		if link.Master != "" {
			h.members[link.Master] = append(h.members[link.Master], link)
		}
	}
	h.ports, h.portOf = map[string]ovsPort{}, map[inventory.MAC]ovsPort{}
	for i := range h.network.OVSBridges {
		bridge := &h.network.OVSBridges[i]
		for j := range bridge.Ports {
			at := ovsPort{bridge, &bridge.Ports[j]}
			for _, iface := range at.port.Interfaces {
				h.ports[iface.Name] = at
				if mac, err := inventory.ParseMAC(iface.ExternalIDs["attached-mac"]); err == nil {
					h.portOf[mac] = at
				}
			}
		}
	}
}

// fresh says whether a document may be concluded from.
func (h *hostView) fresh(doc *Document, in *Input) bool {
	return !h.Stale && in.Now.Sub(doc.Received) <= in.Policy.DocumentAge
}

// why says why nothing may be concluded from a document.
func (h *hostView) why(doc *Document, now time.Time) string {
	if h.Stale {
		return fmt.Sprintf("%s has been silent for %s", h.key(), now.Sub(h.LastHeard).Round(time.Second))
	}
	return fmt.Sprintf("%s of %s is %s old", doc.Source, h.key(), now.Sub(doc.Received).Round(time.Second))
}

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
	vm   *inventory.VM
	doc  *Document
	host *hostView
	also []string // further sources on the host
}

// readVMs makes one entry for every VM: what several sources on one host show
// under one UUID is one VM, and so is what several hosts show. Documents of a
// host's earlier identity are set aside, since the host says it all again.
func readVMs(hosts []*hostView) []*sighted {
	var all []*sighted
	byUUID := map[uuid.UUID]*sighted{}
	for _, h := range hosts {
		if h.former != nil {
			continue
		}
		here := map[uuid.UUID]*place{}
		for i := range h.docs {
			doc := &h.docs[i]
			for j := range doc.VMs {
				vm := &doc.VMs[j]
				at := place{vm: vm, doc: doc, host: h}
				if vm.UUID == uuid.Nil || inventory.IsJunkUUID(vm.UUID) {
					all = append(all, &sighted{lead: at})
					continue
				}
				if first := here[vm.UUID]; first != nil {
					first.join(at)
					continue
				}
				s := byUUID[vm.UUID]
				if s == nil {
					s = &sighted{}
					byUUID[vm.UUID] = s
					all = append(all, s)
				}
				s.copies = append(s.copies, at)
				here[vm.UUID] = &s.copies[len(s.copies)-1]
			}
		}
	}
	for _, s := range all {
		s.choose("")
	}
	return all
}

// join adds a second source on the same host. The one that can say more leads.
func (at *place) join(other place) {
	also := append(at.also, other.doc.Source)
	if len(other.doc.Capabilities) > len(at.doc.Capabilities) {
		also[len(also)-1] = at.doc.Source
		*at = other
	}
	at.also = also
}

// choose makes the best of a VM's places the leading one: where it is active,
// then where it was seen of late, then on the host that Sentral wants, then by
// host ID.
func (s *sighted) choose(wanted string) {
	places := s.copies
	if s.lead.vm != nil {
		places = append([]place{s.lead}, s.copies...)
	}
	slices.SortStableFunc(places, func(a, b place) int {
		return cmp.Or(
			yesFirst(a.vm.State.Active(), b.vm.State.Active()),
			yesFirst(!a.host.Stale, !b.host.Stale),
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
func (at *place) show(in *Input) ObservedVM {
	o := ObservedVM{VM: *at.vm, HostID: at.host.ID, Host: at.host.key(), Site: at.host.site(),
		Source: at.doc.Source, Also: at.also, ObservedAt: at.doc.ObservedAt, Fresh: at.host.fresh(at.doc, in)}
	if at.vm.Manager != nil && at.vm.Manager.Name != "" {
		o.Platform = at.vm.Manager.Name
	} else if at.doc.Runtime != nil {
		o.Platform = at.doc.Runtime.Platform
	}
	return o
}

func (h *hostView) site() string {
	if h.pair != nil {
		return h.pair.site()
	}
	return h.Site
}
