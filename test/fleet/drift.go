package fleet

import (
	"github.com/dataverket/avstem/reconcile"
)

// VMDrift is one way in which the books can differ about a VM.
type VMDrift struct {
	Name string
	// Share is how often it is planted, beside the others of [VMDrifts] that the
	// platform can have: [Fleet.Rate] is what comes of it.
	Share int
	// Kinds are the findings that follow.
	Kinds []reconcile.Kind
	only  string // the platforms that can have it, as in fits; "" for all
	pair  bool   // it takes the host's partner
	plant func(f *Fleet, v *vm, host int)
}

// HostDrift is one way in which a host can differ.
type HostDrift struct {
	Name  string
	Share int
	Kinds []reconcile.Kind // of the host itself
	only  string
	plant func(f *Fleet, h *host)
	// also counts what follows for its VMs.
	also func(f *Fleet, host int) map[reconcile.Kind]int
	// apart is what one reconciler for each site finds besides: none of them sees
	// the others' hosts.
	apart []reconcile.Kind
	// silent says that it never reported, unknown that Sentral has neither it nor its
	// VMs, emptied that it shows none of them, of which there must be ten to be many.
	silent, unknown, emptied bool
	// What its heartbeats show: that they ended, that its clock is off, that a
	// document did not arrive, and that one was refused.
	stale, clock, gap, refused bool
}

// fits says whether a platform is among those of a drift: "a", or "!a" for all
// but one.
func fits(only, platform string) bool {
	switch {
	case only == "":
		return true
	case only[0] == '!':
		return only[1:] != platform
	}
	return only == platform
}

// turns is the order in which a platform's drifts take turns: each as often as its
// share says, spread over the whole.
func turns[D any](drifts []D, platform string, of func(*D) (share int, only string)) (order []*D) {
	for round := 1; ; round++ {
		before := len(order)
		for i := range drifts {
			if share, only := of(&drifts[i]); share >= round && fits(only, platform) {
				order = append(order, &drifts[i])
			}
		}
		if len(order) == before {
			return order
		}
	}
}

// turn says which of one in every things has a turn, and the how many-th that is.
func turn(n, every int) (nth int, has bool) {
	if every == 0 {
		return 0, false
	}
	nth = n / every
	return nth, n%every == (nth*7919+every/2)%every
}

// drift is what a VM has, nil for none. Where the whole host drifts, its VMs don't
// besides.
func (f *Fleet) drift(vm int) *VMDrift {
	nth, has := turn(vm, f.DriftEvery)
	if !has || f.hostDrift(vm/f.VMs) != nil {
		return nil
	}
	order := f.vmTurns[f.Platform(vm/f.VMs)]
	d := order[nth%len(order)]
	if d.pair {
		if other, has := f.Partner(vm / f.VMs); !has || f.hostDrift(other) != nil {
			return nil
		}
	}
	return d
}

func (f *Fleet) hostDrift(host int) *HostDrift {
	nth, has := turn(host, f.DriftEvery)
	if !has {
		return nil
	}
	order := f.hostTurns[f.Platform(host)]
	return order[nth%len(order)]
}

// Planted counts how often each drift was planted, by its name.
func (f *Fleet) Planted() map[string]int {
	planted := map[string]int{}
	for h := range f.Hosts {
		if drift := f.hostDrift(h); drift != nil {
			planted[drift.Name]++
			continue
		}
		for nth := range f.VMs {
			if drift := f.drift(h*f.VMs + nth); drift != nil {
				planted[drift.Name]++
			}
		}
	}
	return planted
}

// ExpectedBySites counts the findings that one reconciler for each site must have.
func (f *Fleet) ExpectedBySites() map[reconcile.Kind]int {
	kinds := f.Expected()
	for h := range f.Hosts {
		if drift := f.hostDrift(h); drift != nil {
			for _, kind := range drift.apart {
				kinds[kind]++
			}
		}
	}
	return kinds
}

// Expected counts the findings that one pass over the whole fleet must give, by
// kind.
func (f *Fleet) Expected() map[reconcile.Kind]int {
	kinds := map[reconcile.Kind]int{}
	count := func(more []reconcile.Kind) {
		for _, kind := range more {
			kinds[kind]++
		}
	}
	for h := range f.Hosts {
		if drift := f.hostDrift(h); drift != nil {
			count(drift.Kinds)
			if drift.unknown {
				kinds[reconcile.VMUnknown] += f.VMs
			}
			if drift.also != nil {
				for kind, n := range drift.also(f, h) {
					kinds[kind] += n
				}
			}
			continue
		}
		for nth := range f.VMs {
			if drift := f.drift(h*f.VMs + nth); drift != nil {
				count(drift.Kinds)
			}
		}
	}
	if f.DriftEvery > 0 {
		count(OfPolicy)
	}
	return kinds
}

// OfPolicy are found once, whatever the fleet's size.
var OfPolicy = []reconcile.Kind{reconcile.PolicyExpired, reconcile.PolicyInvalid, reconcile.PolicyUnmatched}

// Unplanted are the kinds that no drift shows, with the reason.
var Unplanted = map[reconcile.Kind]string{
	reconcile.InventoryDuplicate: "both records of one ID are left out, and while one can't be used no disk.orphan is concluded anywhere",
	reconcile.InventoryHeld:      "the whole inventory is held back then, and with it whatever else was planted in it",
	reconcile.InventoryStale:     "it is a state of the inventory's source, an hour after that fell silent: no inventory shows it",
	reconcile.SiteEmptied:        "a third of a site's VMs have to be gone, which hides what else was planted in them",
	reconcile.ObserveSilence:     "a whole site has to fall silent, which hides what else was planted there: the life of the fleet has it, and it is measured apart",
}
