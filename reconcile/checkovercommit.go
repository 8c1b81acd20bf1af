package reconcile

import (
	"fmt"
	"math"
	"slices"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// Ratios say how much a host may promise its VMs of each thing, as a multiple of
// what it has. Of one that is zero nothing is judged.
type Ratios struct {
	VCPUs, Memory, Storage float64
}

func (r Ratios) of(res resource) float64 { return [...]float64{r.VCPUs, r.Memory, r.Storage}[res] }

// hostUnit is one host with the VMs that it shows and those that Sentral binds to it.
type hostUnit struct {
	*hostPair
	here  []resident
	bound []*thing
}

// resident is a VM at one of the places where it was seen.
type resident struct {
	at    *thing // whose head is the leading place
	fresh bool   // what is said there may be concluded from
}

func (r resident) name() string {
	if owner := r.at.head().owner(); owner != nil {
		return owner.want.Name
	}
	return vmName(r.at.headVM())
}

// leads says whether this is the leading one of the VM's places.
func (r resident) leads() bool { return r.at.leads }

// weak says whether the VM's match can be copied or reused.
func (r resident) weak() bool { return r.at.head().owner() != nil && r.at.head().weak }

// checkOvercommit holds what a host has, times the ratio that policy allows,
// against what the records bind to it and against what the VMs that it shows
// have. Memory and vCPUs count while a VM is active, disks as long as they lie on
// the host's own storage; a VM that is only arriving counts where it comes from.
func (p *pass) checkOvercommit(u *hostUnit) {
	if u.Observed != nil && u.Observed.Stale {
		return
	}
	if why := p.sizeHidden(u); why != "" {
		for r := range resources {
			if p.in.Policy.Overcommit.of(r) > 0 {
				u.loads = append(u.loads, Comparison{Field: summed[r], Path: "capacity." + limit{resource: r}.field(), Class: Unknown, Reason: why})
			}
		}
		return
	}
	limits, from := p.limitsOn(u)
	if len(limits) == 0 {
		return
	}
	sums := p.promises(u, limits, false)
	if slices.ContainsFunc(limits, func(l limit) bool { return max(sums.recorded.sum[l.resource], sums.seen.sum[l.resource]) > l.most() }) {
		sums = p.promises(u, limits, true) // it is to be said who has the most
	}
	for _, l := range limits {
		l.from = from[l.resource]
		p.promised(u, l, &sums.seen, &sums.sure, p.bound(u, l, &sums.recorded))
	}
}

// sizeHidden says why the host may have a capacity in Sentral that can't be read:
// what it says of itself is no limit then.
func (p *pass) sizeHidden(u *hostUnit) string {
	switch {
	case u.Intended != nil:
	case u.Record != nil:
		return "its record in Sentral can't be used: see inventory.invalid and inventory.duplicate"
	case p.in.Intended.Incomplete:
		return "a part of the inventory can't be read, and its record may be there"
	}
	return ""
}

// limitsOn are those that the host's promises are held to.
func (p *pass) limitsOn(u *hostUnit) (limits []limit, from [resources]string) {
	has, from := u.has()
	for r := range resources {
		if ratio := p.in.Policy.Overcommit.of(r); has[r] != nil && ratio > 0 {
			limits = append(limits, limit{resource: r, has: *has[r], ratio: ratio})
		}
	}
	return limits, from
}

// promises are what a host's VMs have been promised together.
type promises struct {
	recorded   load // by Sentral
	seen, sure load // as they were seen, and those alone that were seen nowhere else
}

func (p *pass) promises(u *hostUnit, limits []limit, named bool) promises {
	var sums promises
	sums.recorded.named, sums.seen.named, sums.sure.named = named, named, named
	for _, t := range u.bound {
		if state := t.want.State; state == "" || state == sentral.VMRunning {
			sums.recorded.addRecord(t.want)
		}
	}
	sums.recorded.sum[diskSpace] = 0 // records don't say where disks lie
	disks := slices.ContainsFunc(limits, func(l limit) bool { return l.resource == diskSpace })
	for _, r := range u.here {
		if !r.fresh {
			continue
		}
		loads := [...]*load{&sums.seen, &sums.sure}
		counted := loads[:1]
		if !r.at.head().spread || r.leads() {
			counted = loads[:]
		}
		name := ""
		if named {
			name = r.name()
		}
		var paths []DiskPath
		if disks && r.leads() {
			at := p.place(r.at)
			paths = at.diskPaths(&p.in)
		}
		for _, l := range counted {
			if r.at.vm().State.Active() && !inFlight(r.at.vm()) {
				l.addComputing(name, r.at.vm())
			}
			l.addDisks(name, r.at.vm(), func(d *inventory.Disk) bool { return liesHere(paths, d) })
		}
	}
	return sums
}

// liesHere says whether a disk takes space of its host's own storage, as far as
// it could be followed.
func liesHere(paths []DiskPath, d *inventory.Disk) bool {
	for i := range paths {
		if top := paths[i].Layers[0]; top.Source == d.Source {
			return top.Ground.Remote == "" && len(top.Ground.Disks) > 0
		}
	}
	return false
}

// has gives what the host has, as Sentral says and else as it says itself, and
// which of both it was. Storage only Sentral can bound: not all that a host has is
// for VMs.
func (u *hostUnit) has() (limits amounts, from [resources]string) {
	if u.Intended != nil {
		limits = limitsOf(u.Intended.Capacity)
	}
	own := amounts{}
	if u.Observed != nil && u.Observed.Identity != nil {
		if n := u.Observed.Identity.CPUs; n != nil && *n > 0 {
			cpus := uint64(*n)
			own[vcpus] = &cpus
		}
		own[memory] = bytesOf(u.Observed.Identity.Memory)
	}
	for r := range resources {
		from[r] = "as Sentral has its capacity"
		if limits[r] == nil {
			limits[r], from[r] = own[r], "as it says itself"
		}
	}
	return limits, from
}

// limit is how much of something a host may promise.
type limit struct {
	resource
	has   uint64
	ratio float64
	from  string
}

func (l limit) most() uint64 {
	if most := float64(l.has) * l.ratio; most < math.MaxUint64 {
		return uint64(most)
	}
	return math.MaxUint64
}

// rule says how much is allowed, and why.
func (l limit) rule() string {
	if l.ratio == 1 {
		return fmt.Sprintf("the host has %s, %s", l.words(l.has), l.from)
	}
	return fmt.Sprintf("the host has %s, %s, and policy allows %g times that: %s", l.words(l.has), l.from, l.ratio, l.words(l.most()))
}

// bound finds records that bind more to the host than it may promise.
func (p *pass) bound(u *hostUnit, l limit, recorded *load) string {
	n := recorded.sum[l.resource]
	if n <= l.most() {
		return ""
	}
	return p.find(Finding{
		Kind: CapacityOvercommit, Subject: u.subject(), Field: "capacity.recorded." + l.field(),
		Intended: l.value(l.most()), Observed: l.value(n),
		Message:     fmt.Sprintf("Sentral binds VMs with %s to %s, which may promise %s", l.words(n), u.key(), l.words(l.most())),
		Evidence:    []string{l.rule(), recorded.largest(l.resource)},
		Resolutions: []Resolution{{Side: "sentral", Do: "bind some of them to another host, or to none, or correct the host's capacity"}},
	})
}

// promised finds VMs that have more than their host may promise. It follows from
// the records where those say so.
func (p *pass) promised(u *hostUnit, l limit, seen, sure *load, cause string) {
	n := seen.sum[l.resource]
	path := "capacity." + l.field()
	if n <= l.most() {
		if !u.covered() {
			u.loads = append(u.loads, Comparison{Field: summed[l.resource], Path: path,
				Intended: l.value(l.most()), Class: Unknown, Reason: "not all of its VMs are seen: " + u.unseen()})
		}
		return
	}
	f := Finding{
		Kind: CapacityOvercommit, CausedBy: cause,
		Message:  fmt.Sprintf("the VMs on %s have %s together, which may promise %s", u.key(), l.words(n), l.words(l.most())),
		Evidence: []string{l.rule(), seen.largest(l.resource)},
		Resolutions: bothWays("move some of them to another host", "live",
			"correct the host's capacity, or allow a higher ratio in policy, if that is meant"),
	}
	if l.resource == memory {
		f.Severity = High // the kernel kills VMs when it runs out, and not only the greedy one
	}
	if sure.sum[l.resource] <= l.most() {
		f.Verdict = Potential // a VM that is seen twice counts on both hosts
	}
	c := Comparison{Field: summed[l.resource], Path: path, Intended: l.value(l.most()), Observed: l.value(n), Class: Mismatched, Provenance: u.runtimeProvenance()}
	f.Subject, f.Field, f.Intended, f.Observed, f.Provenance, f.Match = u.subject(), c.Path, c.Intended, c.Observed, c.Provenance, u.Match
	c.Finding = p.find(f)
	u.loads = append(u.loads, c)
}

// summed are the fields that the sums are made of.
var summed = [resources]inventory.Field{"vm.vcpus", "vm.memory", "disk.capacity"}
