package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// checkInventory makes findings of records that break the contract.
func (p *pass) checkInventory() {
	for _, problem := range p.in.Intended.Problems {
		kind, do := InventoryInvalid, "correct it at "+problem.Where
		switch {
		case problem.Duplicate:
			kind, do = InventoryDuplicate, "keep one of them at "+problem.Where
		case problem.Held:
			kind, do = InventoryHeld, "put back what is missing; or, if it is meant to be gone: avstem inventory confirm"
		case problem.Stale:
			kind, do = InventoryStale, "see why it can't be read: "+problem.Where
		}
		id := orElse(problem.Record, problem.Where)
		name := orElse(problem.Name, id)
		p.find(Finding{
			Kind: kind, CausedBy: p.causeOf(&problem), Subject: Subject{Type: "inventory", ID: id, Name: name}, Field: orElse(problem.Key, problem.Where),
			Observed: problem.Error, Message: inventoryWords(&problem),
			Resolutions: []Resolution{{Side: "sentral", Do: do}},
		})
	}
	p.checkContested()
}

// inventoryWords says where an editor must go, to which key of what, and why.
func inventoryWords(problem *sentral.Problem) string {
	about := orElse(problem.Name, problem.Record)
	switch {
	case about != "" && problem.Key != "":
		return fmt.Sprintf("%s: %s of %s: %s", problem.Where, problem.Key, about, problem.Error)
	case about+problem.Key != "":
		return fmt.Sprintf("%s: %s: %s", problem.Where, about+problem.Key, problem.Error)
	case strings.Contains(problem.Error, problem.Where):
		return problem.Error
	}
	return fmt.Sprintf("%s: %s", problem.Where, problem.Error)
}

// checkRefusals reports documents that were not accepted.
func (p *pass) checkRefusals() {
	for _, refused := range p.in.Refused {
		name := refused.Host.String()
		if refused.Host == uuid.Nil {
			name = "an unknown host"
		}
		subject := Subject{Type: "host", ID: name, Name: name, Site: refused.Site, Host: name}
		if hp := p.book.pairOf(refused.Host); hp != nil {
			subject, name = hp.subject(), hp.key()
		}
		message := fmt.Sprintf("a document of %s from %s was refused: %s", orElse(refused.Source, "an unknown source"), name, refused.Reason)
		do := "see which program publishes in that host's name, and whether it is of the reconciler's version"
		switch {
		case refused.Source == "" && refused.Host != uuid.Nil:
			message = fmt.Sprintf("the agent of %s publishes nothing: %s", name, refused.Reason)
		case refused.Source == RefusedEnrolment:
			message = fmt.Sprintf("%s was not let in by its enrolment: %s", name, refused.Reason)
			do = "see by avstem enroll list who asked, and from where; if it is the host, give it a new token; if not, somebody has a token or a key that isn't theirs"
		}
		cause := p.spokenFor[refused.Host]
		p.find(Finding{
			Kind: ObserveRefused, CausedBy: cause, Subject: subject, Field: orElse(refused.Source, "document"),
			Observed: refused.Reason, Message: message,
			Resolutions: []Resolution{{Side: "runtime", How: "person", Do: do}},
		})
	}
}

// nicUse is one NIC of one VM.
type nicUse struct {
	vp   *pair
	path *NICPath
}

// apart says whether both are on VLANs that are known and differ.
func (a nicUse) apart(b nicUse) bool {
	return a.path.VLAN != nil && b.path.VLAN != nil && *a.path.VLAN != *b.path.VLAN
}

// checkMACs finds MACs that two VMs share where they could meet: in one site, on
// one VLAN or on VLANs that aren't known. Templates and other copies that don't
// run disturb nobody.
func (p *pass) checkMACs(all []*sighted) {
	type key struct {
		site string
		mac  inventory.MAC
	}
	uses, order := make(map[key][]nicUse, len(all)), []key(nil)
	for _, seen := range all {
		vm, host := seen.lead.vm, seen.lead.host
		if !seen.lead.fresh {
			continue
		}
		for o := range vm.NICs {
			nic := &vm.NICs[o]
			if !nic.MAC.Identifies() {
				continue
			}
			k := key{host.site(), nic.MAC}
			if len(uses[k]) == 0 {
				order = append(order, k)
			}
			uses[k] = append(uses[k], nicUse{seen.pair, &seen.pair.Paths[o]})
		}
	}
	for _, k := range order {
		if clash := meeting(uses[k]); len(clash) > 1 {
			p.sharedMAC(k.mac, clash)
		}
	}
}

// meeting keeps the uses of one MAC that can meet another.
func meeting(all []nicUse) []nicUse {
	if len(all) < 2 {
		return nil
	}
	var active []nicUse
	for _, use := range all {
		if use.vp.active() {
			active = append(active, use)
		}
	}
	var clash []nicUse
	for _, a := range all {
		others := active
		if a.vp.active() {
			others = all
		}
		if slices.ContainsFunc(others, func(b nicUse) bool { return a.vp != b.vp && !a.apart(b) }) {
			clash = append(clash, a)
		}
	}
	slices.SortStableFunc(clash, func(a, b nicUse) int { return cmp.Compare(a.vp.subjectID(), b.vp.subjectID()) })
	return clash
}

func (vp *pair) active() bool { return vp.seen.lead.vm.State.Active() }

func (p *pass) sharedMAC(mac inventory.MAC, clash []nicUse) {
	vms := make([]*pair, len(clash))
	sure := true
	for i, use := range clash {
		vms[i] = use.vp
		sure = sure && use.path.VLAN != nil && !use.path.Derived
	}
	names, hosts, running := users(vms)
	f := Finding{
		Kind: NICMAC, Field: "nics[" + mac.String() + "].mac", Intended: "one NIC", Observed: names, Hosts: hosts, Verdict: Confirmed,
		Message:     fmt.Sprintf("MAC %s is on %s", mac, listed(names, "and")),
		Evidence:    clash[0].path.evidence(),
		Provenance:  clash[0].vp.provenance("nic.mac"),
		Resolutions: bothWays("give all but one a MAC of their own", "reboot", "correct the record that has the wrong one"),
	}
	if running < 2 {
		f.Verdict = Potential
		f.Evidence = append(f.Evidence, "they can't meet before another of them runs")
	}
	if !sure {
		f.Verdict = Potential
		f.Evidence = append(f.Evidence, "they may be on different VLANs: not all of those are known from the host's links")
	}
	p.find(clash[0].vp.finding(f))
}

// users names the VMs that share something, each once, and where they are.
func users(vms []*pair) (names, hosts []string, running int) {
	for i, vp := range vms {
		if slices.Contains(vms[max(i-1, 0):i], vp) { // they are sorted
			continue
		}
		at := vp.seen.lead
		names = append(names, fmt.Sprintf("%s (%s, on %s)", vp.name(), stateWords(at.vm.State), at.host.key()))
		hosts = append(hosts, at.host.key())
		if vp.active() {
			running++
		}
	}
	slices.Sort(hosts)
	return names, slices.Compact(hosts), running
}

// diskUse is one disk of one VM.
type diskUse struct {
	vp   *pair
	disk *inventory.Disk
}

// checkSharedDisks finds a disk that two VMs may write to without having been
// told that they share it. A path means a file of its host; a network volume is
// the same one from every host of the site.
func (p *pass) checkSharedDisks(all []*sighted) {
	type key struct{ scope, source string }
	uses, order := make(map[key][]diskUse, len(all)), []key(nil)
	for _, seen := range all {
		at := &seen.lead
		if !at.fresh {
			continue
		}
		var shared []bool
		if vp := seen.pair; vp.Intended != nil && slices.ContainsFunc(vp.Intended.Disks, func(d sentral.Disk) bool { return d.Shared }) {
			shared = meantShared(vp)
		}
		disks := storage(at.vm)
		for i := range disks {
			d := &disks[i]
			if d.Source == "" || d.ReadOnly || d.Shareable || (shared != nil && shared[i]) {
				continue
			}
			k := key{at.host.ID.String(), d.Source}
			switch d.SourceType {
			case "network":
				k.scope = at.host.site()
			case "volume": // of a pool that is the runtime's own
				k.scope += " " + at.doc.Source
			}
			if len(uses[k]) == 0 {
				order = append(order, k)
			}
			uses[k] = append(uses[k], diskUse{seen.pair, d})
		}
	}
	for _, k := range order {
		if all := uses[k]; len(all) > 1 {
			slices.SortStableFunc(all, func(a, b diskUse) int { return cmp.Compare(a.vp.subjectID(), b.vp.subjectID()) })
			if all[0].vp != all[len(all)-1].vp {
				p.sharedDisk(all)
			}
		}
	}
}

// meantShared says which of a VM's disks Sentral says to be shared.
func meantShared(vp *pair) []bool {
	have := storage(vp.seen.lead.vm)
	shared := make([]bool, len(have))
	pairs, _, _ := pairDisks(vp.Intended.Disks, have)
	for _, dp := range pairs {
		shared[dp.observed] = vp.Intended.Disks[dp.intended].Shared
	}
	return shared
}

func (p *pass) sharedDisk(all []diskUse) {
	vms := make([]*pair, len(all))
	for i, use := range all {
		vms[i] = use.vp
	}
	names, hosts, running := users(vms)
	f := Finding{
		Kind: DiskShared, Field: "disks[" + all[0].disk.Source + "]", Intended: "one VM", Observed: names, Hosts: hosts, Verdict: Confirmed,
		Message:     fmt.Sprintf("disk %s is attached to %s", all[0].disk.Source, listed(names, "and")),
		Provenance:  all[0].vp.provenance("disk.source"),
		Resolutions: bothWays("detach it from all but one, or mark it shareable if a cluster file system is on it", "person", "set shared on the disk in each record, if that is meant"),
	}
	if running < 2 {
		f.Verdict = Potential
		f.Evidence = append(f.Evidence, "they don't both write to it before another of them runs")
	}
	p.find(all[0].vp.finding(f))
}
