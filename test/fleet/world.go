package fleet

import (
	"maps"
	"slices"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// World is the fleet as it lives: VMs are made and deleted, changed, migrate, and
// come up elsewhere when their host dies. What hosts show and what Sentral records
// are changed apart, as either may come first. One goroutine uses it.
type World struct {
	f *Fleet
	// seen is where each VM shows that isn't as planned, guests the other way round.
	seen   map[int][]Spot
	guests map[int]map[int]bool // host → VMs
	vcpus  map[int]int          // of VMs, where they were changed
	dead   map[int]bool
	gen    map[int]uint64 // of a host's documents, after the first
	skip   uint64
	// changed are the hosts with something new, and whether their network has.
	changed map[int]bool
	made    int // VMs so far, beside those that were planned

	inv      *sentral.Inventory
	recorded map[string]int // where a VM's record is in inv, by ID
	owned    bool           // inv.VMs is ours to change
}

// Spot is a place where a VM shows.
type Spot struct {
	Host int
	// Arriving is the end of a live migration that doesn't run yet.
	Arriving bool
}

// NewWorld begins as planned.
func NewWorld(f *Fleet, inv *sentral.Inventory) *World {
	w := &World{f: f, seen: map[int][]Spot{}, guests: map[int]map[int]bool{}, vcpus: map[int]int{}, dead: map[int]bool{},
		gen: map[int]uint64{}, changed: map[int]bool{}, inv: inv, recorded: make(map[string]int, len(inv.VMs))}
	for i := range inv.VMs {
		w.recorded[inv.VMs[i].ID] = i
	}
	return w
}

// Skip leaves out so many generations of documents.
func (w *World) Skip(generations uint64) { w.skip = generations }

// Quiet says whether nothing of a host drifts and it has a partner of which
// nothing does.
func (w *World) Quiet(host int) bool {
	other, has := w.f.Partner(host)
	return has && w.f.hostDrift(host) == nil && w.f.hostDrift(other) == nil && !w.dead[host] && !w.dead[other]
}

// Settled says whether a VM doesn't drift and is where it was planned to be.
func (w *World) Settled(vm int) bool {
	_, moved := w.seen[vm]
	return !moved && w.f.drift(vm) == nil
}

// Show has a VM show in these places, and nowhere else.
func (w *World) Show(vm int, spots ...Spot) {
	before, moved := w.seen[vm]
	if !moved && vm < w.f.Hosts*w.f.VMs {
		before = []Spot{{Host: vm / w.f.VMs}}
	}
	for _, s := range before {
		delete(w.guests[s.Host], vm)
		w.changed[s.Host] = true
	}
	for _, s := range spots {
		if w.guests[s.Host] == nil {
			w.guests[s.Host] = map[int]bool{}
		}
		w.guests[s.Host][vm] = true
		w.changed[s.Host] = true
	}
	w.seen[vm] = spots
}

// Resize gives a VM of its planned host another number of vCPUs.
func (w *World) Resize(vm, vcpus int) {
	w.vcpus[vm] = vcpus
	host := vm / w.f.VMs
	if _, besides := w.changed[host]; !besides {
		w.changed[host] = false
	}
}

// vcpusOf is how many a VM has by now.
func (w *World) vcpusOf(vm int) int {
	if n, changed := w.vcpus[vm]; changed {
		return n
	}
	return vcpus
}

// Make gives a VM that nobody planned a number.
func (w *World) Make() (vm int) {
	w.made++
	return w.f.Hosts*w.f.VMs + w.made - 1
}

// Die has a host show nothing any more.
func (w *World) Die(host int) { w.dead[host] = true }

// Dead says whether a host is.
func (w *World) Dead(host int) bool { return w.dead[host] }

// Record has Sentral record a VM as bound to a host.
func (w *World) Record(vm, host int) {
	want := *w.f.plain(vm, host, w.f.owner(vm)).want
	w.own()
	if i, known := w.recorded[want.ID]; known {
		w.inv.VMs[i] = want
		return
	}
	w.recorded[want.ID] = len(w.inv.VMs)
	w.inv.VMs = append(w.inv.VMs, want)
}

// Strike takes a VM's record out of Sentral.
func (w *World) Strike(vm int) {
	id := numbered('v', vm).String()
	i, known := w.recorded[id]
	if !known {
		return
	}
	w.own()
	last := len(w.inv.VMs) - 1
	w.inv.VMs[i] = w.inv.VMs[last]
	w.recorded[w.inv.VMs[i].ID] = i
	w.inv.VMs = w.inv.VMs[:last]
	delete(w.recorded, id)
}

// Retire has Sentral say that a host isn't to be active.
func (w *World) Retire(host int) {
	w.own()
	w.inv.Hosts = slices.Clone(w.inv.Hosts)
	for i := range w.inv.Hosts {
		if w.inv.Hosts[i].ID == HostKey(host) {
			w.inv.Hosts[i].State = sentral.HostMaintenance
		}
	}
}

// own takes a copy of the inventory to change: the one that was given out is read.
func (w *World) own() {
	if w.owned {
		return
	}
	next := *w.inv
	next.VMs, w.owned = slices.Clone(w.inv.VMs), true
	w.inv = &next
}

// Inventory is what Sentral says now.
func (w *World) Inventory() *sentral.Inventory {
	w.owned = false
	return w.inv
}

// Changed gives the documents of hosts that have changed since the last time, by
// host.
func (w *World) Changed() map[int][]*inventory.Observation {
	all := make(map[int][]*inventory.Observation, len(w.changed))
	for host, network := range w.changed {
		if w.dead[host] {
			continue
		}
		w.gen[host]++
		h, people := w.f.host(host), w.people(host)
		if network {
			all[host] = append(all[host], w.f.document(h, 1+w.skip+w.gen[host], sourceNetwork, h.network(people)))
		}
		all[host] = append(all[host], w.f.runtime(h, 1+w.skip+w.gen[host], people))
	}
	clear(w.changed)
	return all
}

// people are the VMs that a host shows now.
func (w *World) people(host int) []vm {
	here := slices.DeleteFunc(w.f.people(host), func(v vm) bool {
		_, moved := w.seen[v.n]
		return moved
	})
	for i := range here {
		if n, changed := w.vcpus[here[i].n]; changed && here[i].got != nil {
			here[i].got.VCPUs = &n
		}
	}
	for _, n := range slices.Sorted(maps.Keys(w.guests[host])) {
		v := w.f.plain(n, host, w.f.owner(n))
		for _, s := range w.seen[n] {
			if s.Host == host && s.Arriving {
				v.got.State, v.got.RawState = inventory.StatePaused, "paused (migrating)"
			}
		}
		here = append(here, v)
	}
	return here
}
