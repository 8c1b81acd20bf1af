package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/dataverket/avstem/agent/hostid"
	"github.com/dataverket/avstem/cmd/internal/hostagent"
	"github.com/dataverket/avstem/inventory"
)

// writePass writes a summary for a person. What hosts say goes through
// [printable], so that no VM's name can speak to the terminal.
func writePass(w io.Writer, pass hostagent.Pass) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "host %s", pass.Host)
	if hostid.IsProvisional(pass.Host) {
		fmt.Fprintf(out, " (provisional: %s)", printable(pass.Note))
	}
	fmt.Fprintln(out)
	listed := map[string]bool{} // VMs, by key
	for _, o := range pass.Observations {
		fmt.Fprintf(out, "\n%s: %s in %s\n", o.Source, o.Outcome, took(o.Took))
		if counts := countsOf(o); len(counts) > 0 {
			fmt.Fprintf(out, "  %s\n", strings.Join(counts, ", "))
		}
		for _, line := range append(detailsOf(o), guestsOf(o, listed)...) {
			fmt.Fprintf(out, "  %s\n", printable(line))
		}
		for _, same := range alike(causes(o.Problems)) {
			writeProblem(out, same[0], len(same)-1)
		}
	}
	return out.Flush()
}

func took(d time.Duration) time.Duration {
	if d < time.Millisecond {
		return d.Round(time.Microsecond)
	}
	return d.Round(time.Millisecond)
}

// causes takes together the problems that differ in nothing but the field.
func causes(problems []inventory.Problem) [][]inventory.Problem {
	var all [][]inventory.Problem
	for rest := problems; len(rest) > 0; {
		n := 1
		for n < len(rest) && sameButField(&rest[0], &rest[n]) {
			n++
		}
		all = append(all, rest[:n])
		rest = rest[n:]
	}
	return all
}

// manyAlike is with how many entities a problem is before it is told of one.
const manyAlike = 4

// alike takes together what many entities of one kind have alike, such as a field
// that no VM shows; it stands where the first of them does.
func alike(causes [][]inventory.Problem) [][][]inventory.Problem {
	key := func(same []inventory.Problem) string {
		kind, _, _ := strings.Cut(same[0].Entity, ":")
		words := []string{kind, string(same[0].Why), same[0].Error, same[0].Remedy}
		for _, p := range same {
			words = append(words, string(p.Field))
		}
		return strings.Join(words, "\x00")
	}
	byKey := map[string][][]inventory.Problem{}
	for _, same := range causes {
		byKey[key(same)] = append(byKey[key(same)], same)
	}
	var all [][][]inventory.Problem
	for _, same := range causes {
		switch many := byKey[key(same)]; {
		case len(many) < manyAlike:
			all = append(all, [][]inventory.Problem{same})
		case &many[0][0] == &same[0]:
			all = append(all, many)
		}
	}
	return all
}

// sameButField says whether two problems are one to a reader: what can't be opened
// is missing in every field that would come from it.
func sameButField(a, b *inventory.Problem) bool {
	other := *b
	other.Field = a.Field
	return a.Field != "" && b.Field != "" && *a == other
}

// writeProblem writes problems that differ in nothing but the field as one; more
// is with how many other entities it is the same.
func writeProblem(out io.Writer, same []inventory.Problem, more int) {
	p := same[0]
	if p.Entity == "" && p.Field == "" && p.Why == inventory.WhyAbsent { // a runtime that this host doesn't have
		fmt.Fprintf(out, "  %s\n  → %s\n", printable(p.Error), printable(p.Remedy))
		return
	}
	for _, other := range same[1:] {
		p.Field += ", " + other.Field
	}
	about := p.Entity
	switch {
	case p.Field == "" && p.Entity == "":
		about = "the source"
	case p.Field != "" && strings.TrimSuffix(p.Entity, ":") != p.Entity, p.Entity == "":
		about = string(p.Field) // of the one host, or of everything
	case p.Field != "":
		about += " " + string(p.Field)
	}
	if more > 0 {
		about += fmt.Sprintf(" (and %d more)", more)
	}
	fmt.Fprintf(out, "  ! %s: %s: %s\n", printable(about), p.Why, printable(withCall(p)))
	if p.Remedy != "" {
		fmt.Fprintf(out, "    → %s\n", printable(p.Remedy))
	}
}

// withCall puts the call before the error, unless that names it already.
func withCall(p inventory.Problem) string {
	if p.Call == "" || strings.Contains(p.Error, p.Call) {
		return p.Error
	}
	return p.Call + ": " + p.Error
}

// countsOf says how much of each there is.
func countsOf(o *inventory.Observation) []string {
	var counts []string
	add := func(n int, one, many string) {
		switch {
		case n == 1:
			counts = append(counts, "1 "+one)
		case n > 1:
			counts = append(counts, strconv.Itoa(n)+" "+many)
		}
	}
	add(len(o.Links), "link", "links")
	add(len(o.OVSBridges), "Open vSwitch bridge", "Open vSwitch bridges")
	add(len(o.BlockDevices), "block device", "block devices")
	add(len(o.FileSystems), "file system", "file systems")
	if o.Runtime != nil && len(o.VMs) == 0 && o.Complete {
		counts = append(counts, "no VMs")
	}
	vms, running, containers := 0, 0, 0
	for i := range o.VMs {
		switch vm := &o.VMs[i]; {
		case vm.IsContainer():
			containers++
		default:
			vms++
			if vm.State == inventory.StateRunning {
				running++
			}
		}
	}
	add(vms, "VM", "VMs")
	if vms > 0 {
		counts = append(counts, strconv.Itoa(running)+" running")
	}
	add(containers, "container", "containers")
	volumes := 0
	for i := range o.StoragePools {
		volumes += len(o.StoragePools[i].Volumes)
	}
	add(len(o.StoragePools), "storage pool", "storage pools")
	add(volumes, "volume", "volumes")
	digests := 0
	for i := range o.ImageFiles {
		if o.ImageFiles[i].Digest != "" {
			digests++
		}
	}
	add(len(o.ImageFiles), "image file", "image files")
	if len(o.ImageFiles) > 0 {
		counts = append(counts, strconv.Itoa(digests)+" digested")
	}
	return counts
}

// detailsOf are the few values that tell a reader which host this is.
func detailsOf(o *inventory.Observation) []string {
	var lines []string
	add := func(name string, values ...string) {
		if text := strings.TrimSpace(strings.Join(values, " ")); text != "" {
			lines = append(lines, name+" "+text)
		}
	}
	if h := o.Identity; h != nil {
		add("hostname", h.Hostname)
		add("hardware", h.Vendor, h.Product)
		add("serial", h.Serial)
		add("OS", h.OS)
		add("kernel", h.Kernel, h.Architecture)
		if h.CPUs != nil && h.Memory != nil {
			add("capacity", strconv.Itoa(*h.CPUs), "CPUs,", h.Memory.String())
		}
	}
	if r := o.Runtime; r != nil {
		add("runtime", r.Name, r.Version)
		add("hypervisor", r.Hypervisor)
		add("endpoint", r.Endpoint)
		add("cluster member", r.Member)
	}
	return lines
}

// maxGuests is how many VMs and containers are named: a screenful.
const maxGuests = 20

// guestsOf names the VMs and containers, with their state and who manages them:
// but for those that are listed, which another source showed of the same host.
func guestsOf(o *inventory.Observation, listed map[string]bool) []string {
	var lines []string
	again, more := 0, 0
	for i := range o.VMs {
		vm := &o.VMs[i]
		switch {
		case listed[vm.Key()]:
			again++
			continue
		case len(lines) == maxGuests:
			more++
			continue
		}
		lines = append(lines, guestLine(vm))
	}
	for i := range o.VMs {
		listed[o.VMs[i].Key()] = true
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("· and %d more (-o json)", more))
	}
	if again > 0 {
		lines = append(lines, fmt.Sprintf("· %d of them as above", again))
	}
	return lines
}

func guestLine(vm *inventory.VM) string {
	line := "· " + cmp.Or(vm.Name, vm.Key()) + " " + cmp.Or(string(vm.State), "in an unknown state")
	if vm.Name != "" && vm.Name != vm.Key() {
		line += ", " + vm.Key()
	}
	if vm.Manager != nil {
		line += ", of " + vm.Manager.Name
	}
	if vm.AsOf != nil {
		line += ", as started " + vm.AsOf.Format(time.RFC3339)
	}
	return line
}

// printable shows what a terminal would act on instead of sending it.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
	}
	return b.String()
}
