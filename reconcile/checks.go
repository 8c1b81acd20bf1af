package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// checkInventory makes findings of records that break the contract.
func (p *pass) checkInventory() {
	for _, problem := range p.in.Intended.Problems {
		kind, do := InventoryInvalid, "correct it"
		if problem.Duplicate {
			kind, do = InventoryDuplicate, "keep one of them"
		}
		id := problem.Record
		if id == "" {
			id = problem.Where
		}
		message := fmt.Sprintf("%s: %s", problem.Where, problem.Error)
		if problem.Record != "" {
			message = fmt.Sprintf("%s: %s: %s", problem.Where, problem.Record, problem.Error)
		}
		p.find(Finding{
			Kind: kind, Subject: Subject{Type: "inventory", ID: id, Name: id}, Field: orElse(problem.Key, problem.Where),
			Observed: problem.Error, Message: message,
			Resolutions: []Resolution{{Side: "sentral", Do: do + " at " + problem.Where}},
		})
	}
}

// checkRefusals reports documents that were not accepted.
func (p *pass) checkRefusals() {
	for _, refused := range p.in.Refused {
		name := refused.Host.String()
		site := refused.Site
		for _, hp := range p.hostPairs {
			if hp.Observed != nil && hp.Observed.ID == refused.Host {
				name, site = hp.key(), hp.site()
			}
		}
		p.find(Finding{
			Kind: ObserveRefused, Subject: Subject{Type: "host", ID: name, Name: name, Site: site, Host: name}, Field: orElse(refused.Source, "document"),
			Observed: refused.Reason,
			Message:  fmt.Sprintf("a document of %s from %s was refused: %s", orElse(refused.Source, "an unknown source"), name, refused.Reason),
			Resolutions: []Resolution{{Side: "runtime", How: "person",
				Do: "see which program publishes under that host's name, and whether its version is that of the reconciler"}},
		})
	}
}

// nicUse is one NIC of one VM.
type nicUse struct {
	vp   *pair
	nic  *inventory.NIC
	path NICPath
}

// checkMACs finds MACs that two VMs share where they could meet: in one site, on
// one VLAN or on VLANs that aren't known. Templates and other copies that don't
// run disturb nobody.
func (p *pass) checkMACs() {
	type key struct {
		site string
		mac  inventory.MAC
	}
	uses := map[key][]nicUse{}
	for _, seen := range p.vms {
		vm, host := seen.lead.vm, seen.lead.host
		if host.Stale {
			continue
		}
		for o := range vm.NICs {
			nic := &vm.NICs[o]
			if !nic.MAC.Identifies() {
				continue
			}
			use := nicUse{vp: seen.pair, nic: nic}
			if o < len(seen.pair.Paths) {
				use.path = seen.pair.Paths[o]
			}
			k := key{host.site(), nic.MAC}
			uses[k] = append(uses[k], use)
		}
	}
	for k, all := range uses {
		if clash := meeting(all); len(clash) > 1 {
			p.sharedMAC(k.mac, clash)
		}
	}
}

// meeting keeps the uses of one MAC that can meet another.
func meeting(all []nicUse) []nicUse {
	if len(all) < 2 {
		return nil
	}
	slices.SortFunc(all, func(a, b nicUse) int { return cmp.Compare(a.vp.subjectID(), b.vp.subjectID()) })
	return slices.DeleteFunc(slices.Clone(all), func(a nicUse) bool {
		return !slices.ContainsFunc(all, func(b nicUse) bool {
			apart := a.path.VLAN != nil && b.path.VLAN != nil && *a.path.VLAN != *b.path.VLAN
			return a.vp != b.vp && !apart && (a.vp.active() || b.vp.active())
		})
	})
}

func (vp *pair) active() bool { return vp.seen.lead.vm.State.Active() }

func (p *pass) sharedMAC(mac inventory.MAC, clash []nicUse) {
	var names []string
	running := 0
	for _, use := range clash {
		names = append(names, fmt.Sprintf("%s (%s, on %s)", use.vp.name(), use.vp.seen.lead.vm.State, use.vp.seen.lead.host.key()))
		if use.vp.active() {
			running++
		}
	}
	f := Finding{
		Kind: NICMAC, Field: "nics[" + mac.String() + "].mac", Intended: "one NIC", Observed: names,
		Message:     fmt.Sprintf("MAC %s is on %s", mac, strings.Join(names, " and ")),
		Evidence:    clash[0].path.evidence(),
		Provenance:  clash[0].vp.provenance("nic.mac"),
		Resolutions: bothWays("give all but one a MAC of their own", "reboot", "correct the record that has the wrong one"),
	}
	if running < 2 {
		f.Verdict = Potential // until the other one starts
	}
	p.find(clash[0].vp.finding(f))
}

// diskUse is one disk of one VM.
type diskUse struct {
	vp   *pair
	disk *inventory.Disk
}

// checkSharedDisks finds a disk that two VMs may write to without having been
// told that they share it. A path means a file of its host; a network volume is
// the same one from every host of the site.
func (p *pass) checkSharedDisks() {
	uses := map[string][]diskUse{}
	for _, seen := range p.vms {
		at := seen.lead
		if at.host.Stale {
			continue
		}
		for i := range at.vm.Disks {
			d := &at.vm.Disks[i]
			if d.Source == "" || d.ReadOnly || d.Shareable || !d.IsStorage() || p.meantShared(seen.pair, d) {
				continue
			}
			scope := at.host.ID.String()
			if d.SourceType == "network" {
				scope = at.host.site()
			}
			key := scope + "\x00" + d.Source
			uses[key] = append(uses[key], diskUse{seen.pair, d})
		}
	}
	for _, all := range uses {
		slices.SortFunc(all, func(a, b diskUse) int { return cmp.Compare(a.vp.subjectID(), b.vp.subjectID()) })
		if len(all) > 1 && all[0].vp != all[len(all)-1].vp {
			p.sharedDisk(all)
		}
	}
}

func (p *pass) meantShared(vp *pair, d *inventory.Disk) bool {
	if vp.Intended == nil {
		return false
	}
	for i := range vp.Intended.Disks {
		want := &vp.Intended.Disks[i]
		if want.Shared && ((want.Serial != "" && want.Serial == d.Serial) || (want.Source != "" && want.Source == d.Source)) {
			return true
		}
	}
	return false
}

func (p *pass) sharedDisk(all []diskUse) {
	var names []string
	running := 0
	for _, use := range all {
		names = append(names, fmt.Sprintf("%s (%s, on %s)", use.vp.name(), use.vp.seen.lead.vm.State, use.vp.seen.lead.host.key()))
		if use.vp.active() {
			running++
		}
	}
	f := Finding{
		Kind: DiskShared, Field: "disks[" + all[0].disk.Source + "]", Intended: "one VM", Observed: names,
		Message:     fmt.Sprintf("disk %s is attached to %s", all[0].disk.Source, strings.Join(names, " and ")),
		Provenance:  all[0].vp.provenance("disk.source"),
		Resolutions: bothWays("detach it from all but one, or mark it shareable if a cluster file system is on it", "person", "set shared on the disk in each record, if that is meant"),
	}
	if running < 2 {
		f.Verdict = Potential
	}
	p.find(all[0].vp.finding(f))
}
