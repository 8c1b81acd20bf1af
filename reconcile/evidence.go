package reconcile

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

const otherOrder = "in the other byte order"

// vmEvidence holds every rung's two values side by side.
func vmEvidence(want *sentral.VM, vm *inventory.VM, site string) []Evidence {
	own := want.UUID()
	wantMACs, haveMACs := intendedMACs(want), observedMACs(vm)
	wantSerials, haveSerials := intendedSerials(want), observedSerials(vm)
	label := ""
	if vm.Placement != nil {
		label = strings.ToLower(vm.Placement.VM)
	}
	evidence := []Evidence{
		weighOne("sentral-id", strings.ToLower(want.ID), label),
		weighUUID("runtime-uuid", own, vm.UUID),
		weighUUID("smbios-uuid", own, vm.SMBIOSUUID),
		weigh("macs", wantMACs, haveMACs),
		weigh("disk-serials", wantSerials, haveSerials),
		weighOne("name", recordName(want), labelledName(vm)),
	}
	for i := range evidence {
		switch e := &evidence[i]; {
		case e.Says != Agrees:
		case e.Rung == "macs" && !oneHoldsOther(wantMACs, haveMACs),
			e.Rung == "disk-serials" && !oneHoldsOther(wantSerials, haveSerials):
			e.Note = "in part"
		case isWeak(e.Rung) && !couldBe(want, vm, site):
			e.Note = "in another site, or labelled as another's"
		}
	}
	return evidence
}

func isWeak(rung string) bool { return rung == "macs" || rung == "disk-serials" || rung == "name" }

// weigh says what one rung says of two things: one key in common is enough.
func weigh(name string, intended, observed []string) Evidence {
	e := Evidence{Rung: name, Intended: strings.Join(intended, " "), Observed: strings.Join(observed, " "), Says: Nothing}
	if len(intended) == 0 || len(observed) == 0 {
		return e
	}
	e.Says = Disagrees
	if shareKey(intended, observed) {
		e.Says = Agrees
	}
	return e
}

func shareKey(a, b []string) bool {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return true
			}
		}
	}
	return false
}

func weighOne(name, intended, observed string) Evidence {
	e := Evidence{Rung: name, Intended: intended, Observed: observed, Says: Nothing}
	switch {
	case intended == "" || observed == "":
	case intended == observed:
		e.Says = Agrees
	default:
		e.Says = Disagrees
	}
	return e
}

func weighUUID(name string, intended, observed uuid.UUID) Evidence {
	e := Evidence{Rung: name, Intended: uuidText(intended), Says: Nothing}
	switch {
	case intended == observed:
		e.Observed = e.Intended
	default:
		e.Observed = uuidText(observed)
	}
	switch {
	case e.Intended == "" || e.Observed == "":
	case intended == observed:
		e.Says = Agrees
	case inventory.SwapUUID(intended) == observed:
		e.Says, e.Note = Agrees, otherOrder
	default:
		e.Says = Disagrees
	}
	return e
}

// uuidText is "" where the UUID identifies nothing.
func uuidText(id uuid.UUID) string {
	if id == uuid.Nil || inventory.IsJunkUUID(id) {
		return ""
	}
	return id.String()
}

func evidenceOf(all []Evidence, rung string) *Evidence {
	for i := range all {
		if all[i].Rung == rung {
			return &all[i]
		}
	}
	return &Evidence{Says: Nothing}
}

// says writes what the rungs said, those that said something.
func says(evidence []Evidence) []string {
	var lines []string
	for i := range evidence {
		e := &evidence[i]
		if e.Says == Nothing {
			continue
		}
		mark := strings.TrimPrefix(strings.TrimPrefix(rungWords(e.Rung), "the "), "an ")
		line := "same " + mark + ": " + e.Observed
		if e.Says == Disagrees {
			line = fmt.Sprintf("different %s: Sentral has %s, the host shows %s", mark, e.Intended, e.Observed)
		}
		if e.Note != "" {
			line += " (" + e.Note + ")"
		}
		lines = append(lines, line)
	}
	return lines
}
