package reconcile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// checkConfig reports a VM that runs otherwise than it is defined, so that its
// next start changes it: by then nobody remembers who changed what. Where the
// definition is what Sentral says, a restart is all that is missing; where what
// runs is, the next start makes drift.
func (p *pass) checkConfig(vp *pair) {
	if why := vp.hidden("vm.pending"); why != "" {
		vp.blindConfig = true
		return
	}
	at := &vp.seen.lead
	if len(at.vm.Pending) == 0 || !at.vm.State.Active() || inFlight(at.vm) {
		return
	}
	var defined, live, evidence []string
	toSentral, away := 0, 0
	for i := range at.vm.Pending {
		change := &at.vm.Pending[i]
		live = append(live, change.Path+": "+pendingWords(change.Path, change.Live))
		defined = append(defined, change.Path+": "+pendingWords(change.Path, change.Defined))
		want, known := vp.wanted(change.Path)
		switch {
		case !known:
		case want == change.Defined:
			toSentral++
			vp.waiting = append(vp.waiting, change.Path)
			evidence = append(evidence, change.Path+" is as Sentral says once it is started again")
		case want == change.Live:
			away++
			evidence = append(evidence, change.Path+" is as Sentral says until it is started again")
		}
	}
	f := Finding{
		Kind: VMConfig, Field: "pending", Intended: defined, Observed: live, Evidence: evidence, Provenance: vp.provenance("vm.pending"),
		Message: fmt.Sprintf("%s runs otherwise than it is defined on %s, and changes when it is started again: %s",
			vp.name(), at.host.key(), pendingList(at.vm.Pending)),
		Resolutions: bothWays("stop and start it, if the definition is right, or change the definition to what runs (libvirt: with --config)", "reboot", ""),
	}
	if away == 0 && toSentral == len(at.vm.Pending) {
		f.Severity = Low // it only waits
	}
	vp.config = p.find(vp.finding(f))
}

// wanted is what the record says of something that may be pending, in the same
// words, and whether it says anything.
func (vp *pair) wanted(path string) (string, bool) {
	want := vp.Intended
	switch {
	case path == "vcpus" && want.VCPUs != nil:
		return strconv.Itoa(*want.VCPUs), true
	case path == "memory" && want.Memory != nil:
		return strconv.FormatUint(uint64(*want.Memory), 10), true
	case path == "machine" && want.Machine != "":
		return want.Machine, true
	}
	return "", false
}

// waits gives the finding that a difference follows from, where the definition is
// as Sentral says and the VM was only not started again since.
func (vp *pair) waits(path string) string {
	if slices.Contains(vp.waiting, path) {
		return vp.config
	}
	return ""
}

// waitsForNIC is the same for a NIC that the record has and what runs has not, or the
// other way round.
func (vp *pair) waitsForNIC(mac inventory.MAC) string {
	if vp.config == "" || mac == (inventory.MAC{}) {
		return ""
	}
	path := "nics[" + mac.String() + "]"
	if slices.ContainsFunc(vp.seen.lead.vm.Pending, func(c inventory.Pending) bool { return c.Path == path }) {
		return vp.config
	}
	return ""
}

// pendingWords writes one side's value as people say it.
func pendingWords(path, value string) string {
	switch {
	case value == "":
		return "none"
	case path == "memory":
		if n, err := strconv.ParseUint(value, 10, 64); err == nil {
			return inventory.Bytes(n).String()
		}
	}
	return value
}

func pendingList(all []inventory.Pending) string {
	words := make([]string, len(all))
	for i, c := range all {
		words[i] = fmt.Sprintf("%s %s → %s", c.Path, pendingWords(c.Path, c.Live), pendingWords(c.Path, c.Defined))
	}
	return strings.Join(words[:min(len(words), maxListed)], ", ")
}
