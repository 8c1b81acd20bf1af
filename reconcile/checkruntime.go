package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
)

// platforms are the words for a platform that some collector may see, so that
// not seeing it means something. A record may have others.
var platforms = []string{"libvirt", "qemu", "incus", "lxd", "openstack", "proxmox-ve", "ovirt", "kubevirt", "opennebula", "cloudstack"}

// runtimeSeen is what one source shows of a runtime on a host.
type runtimeSeen struct {
	doc *source
	vms int
	// names are what the host's platform may be called by it.
	names []string
}

// checkRuntime holds the platform that Sentral says a host has against the
// runtimes that it shows. A daemon that is down hides its runtime, and a runtime
// may be installed and unused, so what runs VMs is what counts.
func (p *pass) checkRuntime(hp *hostPair) {
	want := hp.Intended.Platform
	if want == "" || !hp.awaited() {
		return
	}
	seen, hidden := hp.runtimes(&p.in)
	i := slices.IndexFunc(seen, func(r runtimeSeen) bool { return slices.Contains(r.names, want) })
	if i < 0 {
		p.otherRuntime(hp, want, seen, hidden)
		return
	}
	for _, r := range seen {
		if slices.Contains(r.names, want) {
			continue
		}
		if r.vms = r.besides(seen[i].doc); r.vms > 0 {
			p.secondRuntime(hp, want, &r)
		}
	}
}

// besides counts the VMs that another source of the host doesn't show as well.
func (r *runtimeSeen) besides(other *source) (n int) {
	vms := other.VMs()
	shown := make(map[uuid.UUID]bool, 2*len(vms))
	for i := range vms {
		shown[vms[i].UUID], shown[vms[i].SMBIOSUUID] = true, true
	}
	delete(shown, uuid.Nil)
	vms = r.doc.VMs()
	for i := range vms {
		if vm := &vms[i]; !vm.IsContainer() && !shown[vm.UUID] && !shown[vm.SMBIOSUUID] {
			n++
		}
	}
	return n
}

// runtimes lists those that show now, without what leaves nothing of a VM that
// stops: what that shows is another one's or is found as a VM that nobody
// recorded. Hidden says why one may be there that does not show.
func (hp *hostPair) runtimes(in *Input) (seen []runtimeSeen, hidden string) {
	for _, doc := range hp.view.docs {
		switch {
		case !isRuntime(doc.Source) || doc.Outcome == inventory.OutcomeAbsent:
		case !hp.view.fresh(doc, in):
			hidden = hp.view.why(doc)
		case doc.Outcome == inventory.OutcomeFailed || doc.Runtime == nil:
			hidden = fmt.Sprintf("%s of %s can't be seen", doc.Source, hp.key())
		case doc.tells("runtime.runningOnly") && !hp.runs(&SourceStatus{Source: doc.Source}) && doc.Runtime.Platform != hp.Intended.Platform:
			if slices.ContainsFunc(doc.VMs(), func(vm inventory.VM) bool { return vm.Manager.Platform() == hp.Intended.Platform }) {
				hidden = fmt.Sprintf("%s doesn't answer on %s, and its VMs run there by %s", hp.Intended.Platform, hp.key(), doc.Source)
			}
		default:
			seen = append(seen, readRuntime(doc))
		}
	}
	return seen, hidden
}

func readRuntime(doc *source) runtimeSeen {
	r := runtimeSeen{doc: doc, names: []string{strings.TrimPrefix(doc.Source, "runtime-"), doc.Runtime.Platform}}
	vms := doc.VMs()
	for i := range vms {
		if vm := &vms[i]; !vm.IsContainer() {
			r.vms++
			if name := vm.Manager.Platform(); name != "" && !slices.Contains(r.names, name) {
				r.names = append(r.names, name)
			}
		}
	}
	return r
}

// words names the runtime with its version and how much it is used.
func (r *runtimeSeen) words() string {
	words := orElse(r.doc.Runtime.Platform, r.names[0])
	if r.doc.Runtime.Version != "" {
		words += " " + r.doc.Runtime.Version
	}
	return fmt.Sprintf("%s with %d %s", words, r.vms, plural(r.vms, "VM"))
}

// otherRuntime reports a host that shows other runtimes than Sentral says.
func (p *pass) otherRuntime(hp *hostPair, want string, seen []runtimeSeen, hidden string) {
	c := Comparison{Field: "runtime.platform", Path: "platform", Intended: want, Class: Mismatched}
	used := slices.DeleteFunc(slices.Clone(seen), func(r runtimeSeen) bool { return r.vms == 0 })
	switch {
	case hidden != "":
		c.Class, c.Reason = Unknown, hidden
	case len(seen) == 0:
		c.Class, c.Reason = Unknown, "no runtime shows on "+hp.key() // observe.blind says so
	case !slices.Contains(platforms, want):
		c.Class, c.Reason = Unknown, "what shows a platform "+want+" is not known here"
	case len(used) == 0: // a runtime may only be installed, and a manager shows by its VMs alone
		c.Class, c.Reason = Unknown, "nothing runs on "+hp.key()+" that could tell"
	}
	var names, words []string
	for i := range used {
		names = append(names, orElse(used[i].doc.Runtime.Platform, used[i].names[0]))
		words = append(words, used[i].words())
		c.Observed = listed(names, "and")
	}
	verdict := Potential // a manager may leave no marks, and an agent may look for less than all
	if hp.lacksRuntime() {
		verdict = Confirmed
	}
	var doc *source
	if len(used) > 0 {
		doc = used[0].doc
	}
	hp.otherRuntime = p.holdHost(hp, doc, c, func() Finding {
		return Finding{
			Kind: HostRuntime, Verdict: verdict,
			Message:     fmt.Sprintf("%s runs %s, Sentral says %s", hp.key(), listed(words, "and"), want),
			Evidence:    []string{"its agent looked for " + want + " and found " + listed(words, "and")},
			Resolutions: bothWays("install "+want+" on it and move its VMs over", "person", "set its platform to "+listed(names, "or")),
		}
	})
}

// lacksRuntime says whether the runtime that Sentral says the host has was looked
// for and is not there.
func (hp *hostPair) lacksRuntime() bool {
	return slices.ContainsFunc(hp.Observed.Sources, func(s SourceStatus) bool { return hp.lacks(&s) })
}

// secondRuntime reports VMs under a runtime of which Sentral says nothing.
func (p *pass) secondRuntime(hp *hostPair, want string, r *runtimeSeen) {
	name := r.names[0]
	p.holdHost(hp, r.doc, Comparison{Field: "runtime.name", Path: "runtimes[" + name + "]", Observed: r.words(), Class: Unexpected}, func() Finding {
		return Finding{
			Kind:        HostRuntime,
			Message:     fmt.Sprintf("%s runs %s beside %s, and Sentral says %s alone", hp.key(), r.words(), want, want),
			Resolutions: bothWays(fmt.Sprintf("move its %s to %s, or remove %s", plural(r.vms, "VM"), want, name), "person", "set its platform to "+name+", if that is what it is for"),
		}
	})
}
