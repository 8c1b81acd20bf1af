package reconcile

import (
	"fmt"
	"strings"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// compareVM holds one VM's two sides side by side, field by field.
func (p *pass) compareVM(vp *pair) {
	if vp.Intended != nil && (vp.seen == nil || !vp.seen.lead.fresh || vp.seen.lead.vm.IsContainer()) {
		p.checkContradiction(vp, false)
	}
	if vp.seen == nil {
		return
	}
	at := &vp.seen.lead
	if !at.fresh {
		vp.Uncovered = append(vp.Uncovered, at.host.why(at.doc))
		return
	}
	vp.problems = at.doc.problems[vp.entity()]
	vp.Paths = p.paths(len(at.vm.NICs))
	for o := range at.vm.NICs {
		vp.Paths[o] = p.pathOf(at, &at.vm.NICs[o])
	}
	if p.whole {
		vp.DiskPaths = at.diskPaths(&p.in)
	}
	if at.vm.IsContainer() {
		p.compareContainer(vp)
		return
	}
	p.checkDuplicate(vp)
	p.checkSources(vp)
	p.checkBacking(vp)
	p.checkPaths(vp)
	if vp.Intended == nil {
		p.unknownVM(vp)
		return
	}
	p.checkIdentity(vp)
	if vp.Intended.State == sentral.VMAbsent {
		p.lingering(vp)
		return
	}
	if p.whole { // as many as there are usually: of the VM itself, its NICs and its disks
		vp.Comparisons = make([]Comparison, 0, 8+2*len(vp.Intended.NICs)+2*len(vp.Intended.Disks))
	}
	p.checkContradiction(vp, true)
	p.comparePlace(vp)
	p.checkTransient(vp)
	p.checkConfig(vp)
	p.compareState(vp)
	p.compareResources(vp)
	p.comparePlacement(vp)
	p.compareNICs(vp)
	p.compareDisks(vp)
	p.compareImage(vp, p.rootImage(vp))
}

// hold records a comparison, and the finding that it makes if both sides
// differ: it returns that one's ID. The comparison turns into an unknown one
// where the observed value was hidden.
func (p *pass) hold(vp *pair, c Comparison, finding func() Finding) string {
	if c.Provenance == nil {
		c.Provenance = vp.provenance(c.Field)
	}
	if c.Class != Unexpected {
		if reason := vp.hidden(c.Field); reason != "" {
			c.Class, c.Reason = Unknown, reason
		} else if c.Class != Unknown && c.Observed == nil && vp.lacks(c.Field) {
			c.Class, c.Reason = Unknown, vp.seen.lead.doc.Source+" doesn't tell it"
		}
	}
	if c.Class != Equal && c.Class != Unknown {
		f := finding()
		f.Field, f.Intended, f.Observed, f.Provenance = c.Path, c.Intended, c.Observed, c.Provenance
		c.Finding = p.find(vp.finding(f))
	}
	p.note(vp, c)
	return c.Finding
}

// note keeps a comparison where they are wanted.
func (p *pass) note(vp *pair, c Comparison) {
	if p.whole {
		vp.Comparisons = append(vp.Comparisons, c)
	}
}

// agree says whether nothing needs to be made of something, as both sides say the
// same of it and findings alone are wanted.
func (p *pass) agree(same bool) bool { return same && !p.whole }

// hidden says what kept the field from being read, if anything did.
func (vp *pair) hidden(field inventory.Field) string {
	doc := vp.seen.lead.doc
	if len(doc.Problems) == 0 {
		return ""
	}
	problem := doc.hides(vp.problems, field)
	if problem == nil {
		problem = doc.hides(vp.problems, container(field))
	}
	if problem == nil {
		return ""
	}
	return problemWords(problem)
}

// lacks says whether the runtime never tells the field.
func (vp *pair) lacks(field inventory.Field) bool {
	doc := vp.seen.lead.doc
	return doc.lacks(field) || doc.lacks(container(field))
}

// entity is how problems name the VM.
func (vp *pair) entity() string {
	if len(vp.seen.lead.doc.Problems) == 0 {
		return ""
	}
	return vp.seen.lead.vm.Entity()
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
	if at.site() != want.Site {
		p.placed(vp, "site", want.Site, at.site())
		return // everything else follows from it
	}
	if want.Host != "" {
		p.placed(vp, "host", want.Host, at.key())
		if want.Host != at.key() {
			return
		}
	}
	if want.FailureDomain != "" && at.pair.Intended != nil {
		p.placed(vp, "failureDomain", want.FailureDomain, at.pair.Intended.FailureDomain)
	}
}

var placeWords = map[string]string{"site": "in site", "host": "on host", "failureDomain": "in failure domain"}

func (p *pass) placed(vp *pair, path, want, have string) {
	if want == "" || p.agree(want == have) {
		return
	}
	hp := vp.seen.lead.host.pair
	c := Comparison{Field: "vm.uuid", Path: path, Intended: want, Observed: orNothing(have), Class: class(want == have)}
	verdict, cause, why := Verdict(""), "", ""
	switch {
	case have == "":
		c.Class, c.Reason = Unknown, "nothing says where "+hp.key()+" is"
	case want == have:
	case path == "host" && p.hostRecord[want] == nil:
		c.Class, c.Reason = Unknown, "Sentral has no record of "+want+" that can be used"
	case hp.tied || (path == "host" && p.hostRecord[want].tied):
		c.Class, c.Reason = Unknown, "it isn't settled which host is which: see identity.ambiguous"
	case hp.Intended == nil: // it may be the right one, under a name that nobody knows
		verdict, cause, why = Potential, hp.unknown, "Sentral has no record of "+hp.key()+": it may be the right one under another name"
	case hp.Match.Weak:
		verdict, why = Potential, hp.key()+" is known by "+rungWords(hp.Match.By)+" alone"
	}
	p.hold(vp, c, func() Finding {
		word := placeWords[path]
		return Finding{
			Kind: VMMisplaced, CausedBy: cause, Verdict: verdict, Evidence: notEmpty(why, why),
			Message:     fmt.Sprintf("%s is %s %s, Sentral says %s", vp.name(), word, have, want),
			Resolutions: bothWays("move it to "+word[len("in "):]+" "+want, "live", "set its "+path+" to "+have+", if it was moved on purpose"),
		}
	})
}

func (p *pass) compareState(vp *pair) {
	want, vm := vp.Intended.State, vp.seen.lead.vm
	if want == "" {
		want = sentral.VMRunning
	}
	if p.agree(string(want) == string(vm.State)) {
		return
	}
	c := Comparison{Field: "vm.state", Path: "state", Intended: string(want), Observed: string(vm.State), Class: class(string(want) == string(vm.State))}
	if vm.State == "" || vm.State == inventory.StateUnknown {
		c.Class, c.Reason = Unknown, fmt.Sprintf("the runtime says %q, which has no meaning here", vm.RawState)
	}
	do := "start it"
	switch {
	case want == sentral.VMStopped && vm.State == inventory.StateCrashed:
		do = "destroy what is left of it, once the crash has been looked into"
	case want == sentral.VMStopped:
		do = "shut it down"
	case vm.State == inventory.StatePaused:
		do = "resume it"
	}
	record := ""
	if s := sentralState(vm.State); s != string(want) { // Sentral has no word for paused or crashed
		record = "set state to " + s
	}
	verdict, evidence := Verdict(""), notEmpty(vm.RawState, "the runtime's own word: "+vm.RawState)
	if vp.disputed {
		verdict = Potential
		evidence = append(evidence, "another source on the host tells another state: see observe.conflict")
	}
	p.hold(vp, c, func() Finding {
		return Finding{
			Kind: VMState, Verdict: verdict,
			Message:     fmt.Sprintf("%s is %s, Sentral says %s", vp.name(), vm.State, want),
			Evidence:    evidence,
			Resolutions: bothWays(do, "", record), // it isn't changed while it runs
		}
	})
}

func sentralState(s inventory.State) string {
	if s.Active() {
		return string(sentral.VMRunning)
	}
	return string(sentral.VMStopped)
}

func (p *pass) compareResources(vp *pair) {
	want, vm := vp.Intended, vp.seen.lead.vm
	if want.VCPUs != nil && !p.agree(vm.VCPUs != nil && *vm.VCPUs == *want.VCPUs) {
		c := Comparison{Field: "vm.vcpus", Path: "vcpus", Intended: *want.VCPUs, Class: Unknown, Reason: notReported}
		if vm.VCPUs != nil {
			c.Observed, c.Class, c.Reason = *vm.VCPUs, class(*vm.VCPUs == *want.VCPUs), ""
		}
		p.hold(vp, c, func() Finding {
			return Finding{
				Kind: VMVCPUs, CausedBy: vp.waits("vcpus"),
				Message:     fmt.Sprintf("%s has %s, Sentral says %d", vp.name(), vCPUs(*vm.VCPUs), *want.VCPUs),
				Resolutions: bothWays("give it "+vCPUs(*want.VCPUs), "reboot", fmt.Sprintf("set vcpus to %d", *vm.VCPUs)),
			}
		})
	}
	if want.Memory != nil && !p.agree(vm.Memory != nil && *vm.Memory == *want.Memory) {
		c := Comparison{Field: "vm.memory", Path: "memory", Intended: *want.Memory, Class: Unknown, Reason: notReported}
		if vm.Memory != nil {
			c.Observed, c.Class, c.Reason = *vm.Memory, class(p.in.Policy.tolerates(VMMemory, *want.Memory, *vm.Memory)), ""
			if c.Class == Equal && *vm.Memory != *want.Memory {
				c.Reason = "policy tolerates the difference"
			}
		}
		p.hold(vp, c, func() Finding {
			have, intended := sizeWords(*vm.Memory, *want.Memory)
			return Finding{
				Kind: VMMemory, CausedBy: vp.waits("memory"),
				Message:     fmt.Sprintf("%s has %s of memory, Sentral says %s", vp.name(), have, intended),
				Resolutions: bothWays(fmt.Sprintf("give it %s of memory", intended), "reboot", fmt.Sprintf("set memory to %s", plain(*vm.Memory))),
			}
		})
	}
	if want.Machine != "" && !p.agree(vm.Machine == want.Machine) {
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
				Kind: VMMachine, CausedBy: vp.waits("machine"),
				Message:     fmt.Sprintf("%s is a %s machine, Sentral says %s", vp.name(), observed, want.Machine),
				Resolutions: bothWays("define it again as "+want.Machine, "reboot", "set machine to "+observed),
			}
		})
	}
}

const notReported = "the runtime didn't report it"

func (p *pass) comparePlacement(vp *pair) {
	want, vm := vp.Intended, vp.seen.lead.vm
	if pl := vm.Placement; pl != nil && p.agree(pl.Tenant == want.Tenant && pl.Project == want.Project && pl.Environment == want.Environment) {
		return
	}
	label := func() string {
		return fmt.Sprintf("write its placement metadata: vm=%q tenant=%q project=%q environment=%q", want.ID, want.Tenant, want.Project, want.Environment)
	}
	if vm.Placement == nil {
		c := Comparison{Field: "vm.placement", Path: "placement", Intended: want.Tenant + "/" + want.Project + "/" + want.Environment, Class: Missing}
		if doc := vp.seen.lead.doc; doc.lacks("vm.placement") {
			c.Class, c.Reason = Unknown, "this runtime keeps no metadata"
		} else if doc.lacks("placement.tenant") {
			c.Class, c.Reason = Unknown, "this runtime has room for an ID at most"
		} else if vm.Manager != nil && vm.Manager.Name != "" && vm.Manager.Name != "libosinfo" {
			c.Class, c.Reason = Unknown, vm.Manager.Name+" manages it and writes metadata of its own"
		}
		p.hold(vp, c, func() Finding {
			return Finding{
				Kind:        VMPlacement,
				Message:     fmt.Sprintf("%s has no placement metadata: on its host nothing says that it is %s/%s's", vp.name(), want.Tenant, want.Project),
				Resolutions: bothWays(label(), "live", ""),
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
		c := Comparison{Field: part.field, Path: string(part.field), Intended: part.intended, Observed: part.observed, Class: class(part.observed == part.intended)}
		if part.observed == "" && part.intended != "" {
			c.Observed, c.Class = nil, Missing
		}
		p.hold(vp, c, func() Finding {
			word := strings.TrimPrefix(string(part.field), "placement.")
			claim, record, cause := "names no "+word, "", ""
			if part.observed != "" {
				claim, record = "claims "+word+" "+part.observed, "move the record to "+word+" "+part.observed+", if that is whose it is"
				if word != "environment" {
					cause = vp.contradiction
				}
			}
			return Finding{
				Kind: VMPlacement, CausedBy: cause, Message: fmt.Sprintf("the metadata of %s %s, Sentral says %s", vp.name(), claim, part.intended),
				Resolutions: bothWays(label(), "live", record),
			}
		})
	}
}

// compareImage holds the label that the runtime carries against the intended
// image. What the root disk was really made from is compareRootImage's, and
// where that is another image too the label only follows from it.
func (p *pass) compareImage(vp *pair, root string) {
	want, image := vp.Intended.Image, vp.seen.lead.vm.Image
	if want == nil || p.agree(image != nil && image.ID == want.ID && (want.Version == "" || image.Version == want.Version)) {
		return
	}
	c := Comparison{Field: "image.id", Path: "image", Intended: imageName(want.ID, want.Version), Class: Unknown, Reason: "nothing on the host names its image"}
	if image != nil && image.ID != "" {
		same := image.ID == want.ID && (want.Version == "" || image.Version == want.Version)
		c.Observed, c.Class, c.Reason = imageName(image.ID, image.Version), class(same), ""
		if image.ID == want.ID && image.Version == "" && !same {
			c.Class, c.Reason = Unknown, "its label names no version"
		}
	}
	p.hold(vp, c, func() Finding {
		return Finding{
			Kind: VMImage, Verdict: Potential, CausedBy: root,
			Message:  fmt.Sprintf("%s is labelled as made from %s, Sentral says %s", vp.name(), c.Observed, c.Intended),
			Evidence: []string{"a label can be copied: it says what somebody wrote, not what the disk holds"},
			Resolutions: bothWays(fmt.Sprintf("rebuild it from %s, or correct the label", c.Intended), "person",
				fmt.Sprintf("set image to %s, if that is what it should run", c.Observed)),
		}
	})
}
