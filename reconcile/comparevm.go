package reconcile

import (
	"fmt"
	"strings"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// compareVM holds one VM's two sides side by side, field by field.
func (p *pass) compareVM(vp *pair) {
	if vp.seen == nil {
		return
	}
	host, doc := vp.seen.lead.host, vp.seen.lead.doc
	if !host.fresh(doc, &p.in) {
		vp.Uncovered = append(vp.Uncovered, host.why(doc, p.in.Now))
		return
	}
	p.checkDuplicate(vp)
	if vp.Intended == nil {
		p.unknownVM(vp)
		return
	}
	if vp.Intended.State == sentral.VMAbsent {
		p.lingering(vp)
		return
	}
	p.comparePlace(vp)
	p.compareState(vp)
	p.compareResources(vp)
	p.comparePlacement(vp)
	p.compareNICs(vp)
	p.compareDisks(vp)
	p.compareImage(vp, p.compareRootImage(vp))
}

// hold records a comparison, and the finding that it makes if both sides
// differ: it returns that one's ID. The comparison turns into an unknown one
// where the observed value was hidden.
func (p *pass) hold(vp *pair, c Comparison, finding func() Finding) string {
	if c.Provenance == nil {
		c.Provenance = vp.provenance(c.Field)
	}
	if problem, hidden := vp.hidden(c.Field); hidden && c.Class != Unexpected {
		c.Class, c.Reason = Unknown, fmt.Sprintf("%s: %s: %s", problem.Why, problem.Call, problem.Error)
	}
	if c.Class != Equal && c.Class != Unknown {
		f := finding()
		f.Field, f.Intended, f.Observed, f.Provenance = c.Path, c.Intended, c.Observed, c.Provenance
		c.Finding = p.find(vp.finding(f))
	}
	vp.Comparisons = append(vp.Comparisons, c)
	return c.Finding
}

// hidden says whether something kept the field from being read.
func (vp *pair) hidden(field inventory.Field) (inventory.Problem, bool) {
	at := vp.seen.lead
	for _, f := range []inventory.Field{field, container(field)} {
		if problem, found := at.doc.ProblemOf(inventory.VMEntity(at.vm.UUID), f); found {
			return problem, true
		}
	}
	return inventory.Problem{}, false
}

// container is the field that holds a NIC's or disk's ones, which is hidden with
// it.
func container(field inventory.Field) inventory.Field {
	entity, _, _ := strings.Cut(string(field), ".")
	switch entity {
	case "nic":
		return "vm.nics"
	case "disk", "backingFile":
		return "vm.disks"
	case "placement":
		return "vm.placement"
	case "image":
		return "vm.image"
	}
	return field
}

func class(equal bool) Class {
	if equal {
		return Equal
	}
	return Mismatched
}

// comparePlace holds the host, failure domain and site where the VM is against
// those where it belongs. A VM without an intended host may be on any of its site.
func (p *pass) comparePlace(vp *pair) {
	want, at := vp.Intended, vp.seen.lead.host
	var cause string
	verdict := Confirmed
	if hp := at.pair; hp != nil && hp.Match != nil && hp.Match.Weak {
		verdict = Potential
	}
	place := func(path, intended, observed string) {
		if intended == "" {
			return
		}
		p.hold(vp, Comparison{Field: "vm.uuid", Path: path, Intended: intended, Observed: observed, Class: class(intended == observed)},
			func() Finding {
				return Finding{
					Kind: VMMisplaced, CausedBy: cause, Verdict: verdict,
					Message:     fmt.Sprintf("%s is on %s %s, Sentral says %s", vp.name(), path, observed, intended),
					Resolutions: bothWays("move it to "+path+" "+intended, "live", "set its "+path+" to "+observed+", if it was moved on purpose"),
				}
			})
	}
	if observed := at.site(); observed != want.Site {
		place("site", want.Site, observed)
		return // everything else follows from it
	}
	if want.Host != "" && want.Host != at.key() {
		place("host", want.Host, at.key())
		return
	}
	place("host", want.Host, at.key())
	if hp := at.pair; want.FailureDomain != "" && hp != nil && hp.Intended != nil {
		place("failureDomain", want.FailureDomain, hp.Intended.FailureDomain)
	}
}

func (p *pass) compareState(vp *pair) {
	want, vm := vp.Intended.State, vp.seen.lead.vm
	if want == "" {
		want = sentral.VMRunning
	}
	c := Comparison{Field: "vm.state", Path: "state", Intended: string(want), Observed: string(vm.State), Class: class(string(want) == string(vm.State))}
	if vm.State == "" || vm.State == inventory.StateUnknown {
		c.Class, c.Reason = Unknown, fmt.Sprintf("the runtime says %q, which has no meaning here", vm.RawState)
	}
	do := "start it"
	if want == sentral.VMStopped {
		do = "shut it down"
	} else if vm.State == inventory.StatePaused {
		do = "resume it"
	}
	p.hold(vp, c, func() Finding {
		return Finding{
			Kind:        VMState,
			Message:     fmt.Sprintf("%s is %s, Sentral says %s", vp.name(), vm.State, want),
			Evidence:    notEmpty(vm.RawState, "the runtime's own word: "+vm.RawState),
			Resolutions: bothWays(do, "live", "set state to "+sentralState(vm.State)),
		}
	})
}

func notEmpty(value, line string) []string {
	if value == "" {
		return nil
	}
	return []string{line}
}

func sentralState(s inventory.State) string {
	if s.Active() {
		return string(sentral.VMRunning)
	}
	return string(sentral.VMStopped)
}

func (p *pass) compareResources(vp *pair) {
	want, vm := vp.Intended, vp.seen.lead.vm
	if want.VCPUs != nil {
		c := Comparison{Field: "vm.vcpus", Path: "vcpus", Intended: *want.VCPUs, Class: Unknown, Reason: notReported}
		if vm.VCPUs != nil {
			c.Observed, c.Class, c.Reason = *vm.VCPUs, class(*vm.VCPUs == *want.VCPUs), ""
		}
		p.hold(vp, c, func() Finding {
			return Finding{
				Kind:        VMVCPUs,
				Message:     fmt.Sprintf("%s has %d vCPUs, Sentral says %d", vp.name(), *vm.VCPUs, *want.VCPUs),
				Resolutions: bothWays(fmt.Sprintf("give it %d vCPUs", *want.VCPUs), "reboot", fmt.Sprintf("set vcpus to %d", *vm.VCPUs)),
			}
		})
	}
	if want.Memory != nil {
		c := Comparison{Field: "vm.memory", Path: "memory", Intended: *want.Memory, Class: Unknown, Reason: notReported}
		if vm.Memory != nil {
			c.Observed, c.Class, c.Reason = *vm.Memory, class(*vm.Memory == *want.Memory), ""
		}
		p.hold(vp, c, func() Finding {
			return Finding{
				Kind:        VMMemory,
				Message:     fmt.Sprintf("%s has %s of memory, Sentral says %s", vp.name(), *vm.Memory, *want.Memory),
				Resolutions: bothWays(fmt.Sprintf("give it %s of memory", *want.Memory), "reboot", fmt.Sprintf("set memory to %s", plain(*vm.Memory))),
			}
		})
	}
	if want.Machine != "" {
		observed := vm.Machine
		if !strings.EqualFold(want.Machine, inventory.CanonicalMachine(want.Machine)) { // a version is wanted
			observed = vm.RawMachine
		}
		c := Comparison{Field: "vm.machine", Path: "machine", Intended: want.Machine, Observed: observed, Class: class(strings.EqualFold(want.Machine, observed))}
		if observed == "" {
			c.Class, c.Reason = Unknown, notReported
		}
		p.hold(vp, c, func() Finding {
			return Finding{
				Kind:        VMMachine,
				Message:     fmt.Sprintf("%s is a %s machine, Sentral says %s", vp.name(), observed, want.Machine),
				Resolutions: bothWays("define it again as "+want.Machine, "reboot", "set machine to "+observed),
			}
		})
	}
}

const notReported = "the runtime didn't report it"

// plain writes a size as inventory files take it.
func plain(b inventory.Bytes) string { return strings.ReplaceAll(b.String(), " ", "") }

func (p *pass) comparePlacement(vp *pair) {
	want, vm := vp.Intended, vp.seen.lead.vm
	right := fmt.Sprintf("tenant=%q project=%q environment=%q", want.Tenant, want.Project, want.Environment)
	label := `write its placement metadata: vm="` + want.ID + `" ` + right
	if vm.Placement == nil {
		c := Comparison{Field: "vm.placement", Path: "placement", Intended: want.Tenant + "/" + want.Project + "/" + want.Environment, Class: Missing}
		if capability, known := vp.seen.lead.doc.Capability("vm.placement"); known && capability.Known == inventory.KnownAbsent {
			c.Class, c.Reason = Unknown, "this runtime keeps no metadata"
		} else if vm.Manager != nil && vm.Manager.Name != "" && vm.Manager.Name != "libosinfo" {
			c.Class, c.Reason = Unknown, vm.Manager.Name+" manages it and writes metadata of its own"
		}
		p.hold(vp, c, func() Finding {
			return Finding{
				Kind:        VMPlacement,
				Message:     fmt.Sprintf("%s has no placement metadata: on its host nothing says that it is %s/%s's", vp.name(), want.Tenant, want.Project),
				Resolutions: bothWays(label, "live", "nothing: Sentral is where this is known from"),
			}
		})
		return
	}
	for _, part := range []struct {
		field              inventory.Field
		intended, observed string
	}{
		{"placement.tenant", want.Tenant, vm.Placement.Tenant},
		{"placement.project", want.Project, vm.Placement.Project},
		{"placement.environment", want.Environment, vm.Placement.Environment},
	} {
		word := strings.TrimPrefix(string(part.field), "placement.")
		verb := "claims " + word + " " + part.observed
		c := Comparison{Field: part.field, Path: string(part.field), Intended: part.intended, Observed: part.observed, Class: class(part.observed == part.intended)}
		if part.observed == "" && part.intended != "" {
			c.Observed, c.Class = nil, Missing
			verb = "names no " + word
		}
		p.hold(vp, c, func() Finding {
			return Finding{
				Kind: VMPlacement, Message: fmt.Sprintf("%s %s in its metadata, Sentral says %s", vp.name(), verb, part.intended),
				Resolutions: bothWays(label, "live", "move the record to "+word+" "+part.observed+", if that is whose it is"),
			}
		})
	}
}

// compareImage holds the label that the runtime carries against the intended
// image. What the root disk was really made from is compareRootImage's, and
// where that is another image too the label only follows from it.
func (p *pass) compareImage(vp *pair, root string) {
	want, image := vp.Intended.Image, vp.seen.lead.vm.Image
	if want == nil {
		return
	}
	c := Comparison{Field: "image.id", Path: "image", Intended: imageName(want.ID, want.Version), Class: Unknown, Reason: "nothing on the host names its image"}
	if image != nil && image.ID != "" {
		same := image.ID == want.ID && (want.Version == "" || image.Version == want.Version)
		c.Observed, c.Class, c.Reason = imageName(image.ID, image.Version), class(same), ""
	}
	p.hold(vp, c, func() Finding {
		return Finding{
			Kind: VMImage, Verdict: Potential, CausedBy: root,
			Message:  fmt.Sprintf("%s is labelled as made from %s, Sentral says %s", vp.name(), c.Observed, c.Intended),
			Evidence: []string{"a label can be copied: it says what somebody wrote, not what the disk holds"},
			Resolutions: bothWays(fmt.Sprintf("make it again from %s, or correct the label", c.Intended), "person",
				fmt.Sprintf("set image to %s, if that is what it should run", c.Observed)),
		}
	})
}
