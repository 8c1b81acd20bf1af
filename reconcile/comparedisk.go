package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// diskPair is a disk on both sides. Indexes count storage only, in guest order.
type diskPair struct {
	intended, observed int
	by                 string
}

// pairDisks climbs serial, WWN, target name and source, and pairs by order only
// where Sentral's record has none of the first two.
func pairDisks(want []sentral.Disk, have []inventory.Disk) (pairs []diskPair, onlyWant, onlyHave []int) {
	takenW, takenH := make([]bool, len(want)), make([]bool, len(have))
	rungs := []struct {
		by   string
		same func(w *sentral.Disk, h *inventory.Disk) bool
	}{
		{"serial", func(w *sentral.Disk, h *inventory.Disk) bool { return w.Serial != "" && w.Serial == h.Serial }},
		{"wwn", func(w *sentral.Disk, h *inventory.Disk) bool {
			return w.WWN != "" && inventory.CanonicalWWN(w.WWN) == inventory.CanonicalWWN(h.WWN)
		}},
		{"target", func(w *sentral.Disk, h *inventory.Disk) bool { return w.Name != "" && w.Name == h.Target }},
		{"source", func(w *sentral.Disk, h *inventory.Disk) bool { return w.Source != "" && w.Source == h.Source }},
		{"order", func(w *sentral.Disk, _ *inventory.Disk) bool { return w.Serial == "" && w.WWN == "" }},
	}
	for _, rung := range rungs {
		for i := range want {
			for o := range have {
				if !takenW[i] && !takenH[o] && rung.same(&want[i], &have[o]) {
					takenW[i], takenH[o] = true, true
					pairs = append(pairs, diskPair{i, o, rung.by})
				}
			}
		}
	}
	for i := range want {
		if !takenW[i] {
			onlyWant = append(onlyWant, i)
		}
	}
	for o := range have {
		if !takenH[o] {
			onlyHave = append(onlyHave, o)
		}
	}
	slices.SortFunc(pairs, func(a, b diskPair) int { return a.intended - b.intended })
	return pairs, onlyWant, onlyHave
}

// storage are the disks that hold the VM's data.
func storage(vm *inventory.VM) []inventory.Disk {
	all := true
	for i := range vm.Disks {
		all = all && vm.Disks[i].IsStorage()
	}
	if all {
		return vm.Disks
	}
	return slices.DeleteFunc(slices.Clone(vm.Disks), func(d inventory.Disk) bool { return !d.IsStorage() })
}

func (p *pass) compareDisks(vp *pair) {
	want := vp.Intended.Disks
	if reason := vp.hidden("vm.disks"); reason != "" {
		p.note(vp, Comparison{Field: "vm.disks", Path: "disks", Class: Unknown, Reason: reason, Provenance: vp.provenance("vm.disks")})
		return
	}
	have := storage(vp.seen.lead.vm)
	if p.agree(sameDisks(want, have)) {
		return
	}
	pairs, onlyWant, onlyHave := pairDisks(want, have)
	for _, dp := range pairs {
		p.compareDisk(vp, &want[dp.intended], &have[dp.observed], dp)
	}
	told := inventory.Field("disk.serial")
	if len(onlyHave) == 0 && vp.lacks(told) {
		told = "vm.disks" // which disks there are is known, whatever each would be called
	}
	for _, i := range onlyWant {
		name := wantedDisk(&want[i], i)
		words := diskWords(orElse(want[i].Name, name), want[i].Size)
		p.hold(vp, Comparison{Field: told, Path: "disks[" + name + "]", Intended: words, Class: Missing}, func() Finding {
			do := "attach it"
			if want[i].Serial != "" {
				do += ", or set serial " + quote(want[i].Serial) + " on the disk that it is"
			}
			return Finding{
				Kind:        DiskMissing,
				Message:     fmt.Sprintf("%s has no disk %s, Sentral says %s", vp.name(), name, words),
				Resolutions: bothWays(do, "live", "take the disk out of the record"),
			}
		})
	}
	for _, o := range onlyHave {
		name := diskName(&have[o], o)
		words := diskWords(orElse(have[o].Source, name), have[o].Capacity)
		p.hold(vp, Comparison{Field: "disk.serial", Path: "disks[" + name + "]", Observed: words, Class: Unexpected}, func() Finding {
			return Finding{
				Kind:        DiskUnknown,
				Message:     fmt.Sprintf("%s has a disk %s that its record doesn't have: %s", vp.name(), name, words),
				Resolutions: bothWays("detach it", "live", "add the disk to the record"),
			}
		})
	}
	p.compareDiskOrder(vp, pairs, have)
}

// sameDisks says whether the disks are those of the record by their serials, in
// its order, and as it says.
func sameDisks(want []sentral.Disk, have []inventory.Disk) bool {
	if len(want) != len(have) {
		return false
	}
	for i := range want {
		w, h := &want[i], &have[i]
		switch {
		case w.Serial == "" || w.Serial != h.Serial:
			return false
		case w.Size != nil && (h.Capacity == nil || *h.Capacity != *w.Size):
			return false
		case w.Source != "" && w.Source != h.Source, w.Format != "" && w.Format != h.Format:
			return false
		}
	}
	return true
}

// diskName is how paths and messages name a disk: serial, else target, else its
// place.
func diskName(d *inventory.Disk, index int) string {
	for _, name := range []string{d.Serial, d.Target} {
		if name != "" {
			return name
		}
	}
	return fmt.Sprintf("#%d", index+1)
}

func wantedDisk(d *sentral.Disk, index int) string {
	for _, name := range []string{d.Serial, d.WWN, d.Name} {
		if name != "" {
			return name
		}
	}
	return fmt.Sprintf("#%d", index+1)
}

func diskWords(name string, size *inventory.Bytes) string {
	if size == nil {
		return name
	}
	return strings.TrimSpace(name + " " + size.String())
}

func (p *pass) compareDisk(vp *pair, want *sentral.Disk, have *inventory.Disk, dp diskPair) {
	name := diskName(have, dp.observed)
	at := func(what string) string { return "disks[" + name + "]." + what }
	var verdict Verdict
	if dp.by == "order" {
		verdict = Potential
	}
	if want.Size != nil {
		c := Comparison{Field: "disk.capacity", Path: at("size"), Intended: *want.Size, Class: Unknown, Reason: "its capacity hasn't been read"}
		if have.Capacity != nil {
			c.Observed, c.Class, c.Reason = *have.Capacity, class(p.in.Policy.tolerates(DiskSize, *want.Size, *have.Capacity)), ""
			if c.Class == Equal && *have.Capacity != *want.Size {
				c.Reason = "policy tolerates the difference"
			}
		}
		p.hold(vp, c, func() Finding {
			is, intended := sizeWords(*have.Capacity, *want.Size)
			do, how := "grow it to "+intended, "live"
			if *have.Capacity > *want.Size {
				do, how = "shrink its file systems, then the disk to "+intended, "person"
			}
			return Finding{
				Kind: DiskSize, Verdict: verdict,
				Message:     fmt.Sprintf("disk %s of %s is %s, Sentral says %s", name, vp.name(), is, intended),
				Resolutions: bothWays(do, how, "set the disk's size to "+plain(*have.Capacity)),
			}
		})
	}
	p.compareText(vp, diskText{DiskSerial, "serial", want.Serial, have.Serial, "set its serial to %s", "reboot"}, name, verdict)
	p.compareText(vp, diskText{DiskSource, "source", want.Source, have.Source, "find out what is on each, then attach %s", "person"}, name, verdict)
	p.compareText(vp, diskText{DiskFormat, "format", want.Format, have.Format, "convert it to %s", "person"}, name, verdict)
}

// diskText is a text about a disk on both sides.
type diskText struct {
	kind       Kind
	word       string
	want, have string
	do, how    string
}

// compareText compares what Sentral only sometimes says. That a disk has no
// serial is something known; it always has a source and a format.
func (p *pass) compareText(vp *pair, t diskText, name string, verdict Verdict) {
	if t.want == "" {
		return
	}
	c := Comparison{Field: inventory.Field("disk." + t.word), Path: "disks[" + name + "]." + t.word,
		Intended: t.want, Observed: orNothing(t.have), Class: class(t.want == t.have)}
	if t.have == "" && t.kind != DiskSerial {
		c.Class, c.Reason = Unknown, notReported
	}
	p.hold(vp, c, func() Finding {
		is, record := "has no "+t.word, "take the disk's "+t.word+" out of the record"
		if t.have != "" {
			is, record = "has "+t.word+" "+t.have, "set the disk's "+t.word+" to "+t.have
		}
		return Finding{
			Kind: t.kind, Verdict: verdict,
			Message:     fmt.Sprintf("disk %s of %s %s, Sentral says %s", name, vp.name(), is, t.want),
			Resolutions: bothWays(fmt.Sprintf(t.do, t.want), t.how, record),
		}
	})
}

func (p *pass) compareDiskOrder(vp *pair, pairs []diskPair, have []inventory.Disk) {
	pairs = slices.DeleteFunc(pairs, func(dp diskPair) bool { return dp.by == "order" }) // it says nothing else
	if len(pairs) < 2 {
		return
	}
	seen := slices.Clone(pairs)
	slices.SortFunc(seen, func(a, b diskPair) int { return a.observed - b.observed })
	names := func(in []diskPair) []string {
		var names []string
		for _, dp := range in {
			names = append(names, diskName(&have[dp.observed], dp.observed))
		}
		return names
	}
	intended, observed := names(pairs), names(seen)
	p.hold(vp, Comparison{Field: "vm.disks", Path: "disks", Intended: intended, Observed: observed, Class: class(slices.Equal(intended, observed))}, func() Finding {
		return Finding{
			Kind:        DiskOrder,
			Message:     fmt.Sprintf("the disks of %s come in the order %s, Sentral says %s", vp.name(), strings.Join(observed, ", "), strings.Join(intended, ", ")),
			Resolutions: bothWays("attach them again in the intended order", "reboot", "put the record's disks into the order that the guest sees"),
		}
	})
}
