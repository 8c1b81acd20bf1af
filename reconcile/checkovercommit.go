package reconcile

import (
	"fmt"
	"math"

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
	bound []*pair
}

// resident is a VM at one of the places where it was seen.
type resident struct {
	vp *pair
	at *place
}

// places are all those where the VM was seen, the leading one first.
func (s *sighted) places() []*place {
	all := []*place{&s.lead}
	for i := range s.copies {
		all = append(all, &s.copies[i])
	}
	return all
}

// checkOvercommit holds what a host has, times the ratio that policy allows,
// against what the records bind to it and against what the VMs that it shows
// have. Memory and vCPUs count while a VM is active, disks as long as they lie on
// the host's own storage; a VM that is only arriving counts where it comes from.
func (p *pass) checkOvercommit(u *hostUnit) {
	if u.Observed != nil && u.Observed.Stale {
		return
	}
	var recorded, seen, sure load
	for _, vp := range u.bound {
		if state := vp.Intended.State; state == "" || state == sentral.VMRunning {
			recorded.addRecord(vp.Intended)
		}
	}
	recorded.sum[diskSpace] = 0 // records don't say where disks lie
	for _, r := range u.here {
		if !r.at.fresh {
			continue
		}
		loads := []*load{&seen}
		if len(r.vp.seen.copies) == 0 || r.at == &r.vp.seen.lead {
			loads = append(loads, &sure)
		}
		for _, l := range loads {
			if r.at.vm.State.Active() && !inFlight(r.at.vm) {
				l.addComputing(r.vp.name(), r.at.vm)
			}
			if r.at == &r.vp.seen.lead {
				l.addDisks(r.vp.name(), r.at.vm, r.vp.liesHere)
			}
		}
	}
	limits, from := u.has()
	for r := range resources {
		ratio := p.in.Policy.Overcommit.of(r)
		if limits[r] == nil || !(ratio > 0) {
			continue
		}
		l := limit{resource: r, has: *limits[r], ratio: ratio, from: from[r]}
		p.promised(u, l, &seen, &sure, p.bound(u, l, &recorded))
	}
}

// liesHere says whether a disk takes space of its host's own storage, as far as
// it could be followed.
func (vp *pair) liesHere(d *inventory.Disk) bool {
	for i := range vp.DiskPaths {
		if top := vp.DiskPaths[i].Layers[0]; top.Source == d.Source {
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
