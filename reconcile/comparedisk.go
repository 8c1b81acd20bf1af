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

func (p *pass) compareDisks(vp *pair) {
	want := vp.Intended.Disks
	var have []inventory.Disk
	for _, d := range vp.seen.lead.vm.Disks {
		if d.IsStorage() {
			have = append(have, d)
		}
	}
	pairs, onlyWant, onlyHave := pairDisks(want, have)
	for _, dp := range pairs {
		p.compareDisk(vp, &want[dp.intended], &have[dp.observed], dp)
	}
	for _, i := range onlyWant {
		name := wantedDisk(&want[i], i)
		p.hold(vp, Comparison{Field: "disk.serial", Path: "disks[" + name + "]", Intended: diskWords(want[i].Name, want[i].Size), Class: Missing}, func() Finding {
			return Finding{
				Kind:        DiskMissing,
				Message:     fmt.Sprintf("%s has no disk %s, Sentral says %s", vp.name(), name, diskWords(want[i].Name, want[i].Size)),
				Resolutions: bothWays("attach it, or give the disk that it is its serial "+quote(want[i].Serial), "live", "take the disk out of the record"),
			}
		})
	}
	for _, o := range onlyHave {
		name := diskName(&have[o], o)
		p.hold(vp, Comparison{Field: "disk.serial", Path: "disks[" + name + "]", Observed: diskWords(have[o].Source, have[o].Capacity), Class: Unexpected}, func() Finding {
			return Finding{
				Kind:        DiskUnknown,
				Message:     fmt.Sprintf("%s has a disk %s that Sentral has not: %s", vp.name(), name, diskWords(have[o].Source, have[o].Capacity)),
				Resolutions: bothWays("detach it", "live", "add the disk to the record"),
			}
		})
	}
	p.compareDiskOrder(vp, pairs, have)
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
			c.Observed, c.Class, c.Reason = *have.Capacity, class(*have.Capacity == *want.Size), ""
		}
		p.hold(vp, c, func() Finding {
			do, how := "grow it to "+want.Size.String(), "live"
			if *have.Capacity > *want.Size {
				do, how = "shrink it to "+want.Size.String()+", after its file systems", "person"
			}
			return Finding{
				Kind: DiskSize, Verdict: verdict,
				Message:     fmt.Sprintf("disk %s of %s is %s, Sentral says %s", name, vp.name(), *have.Capacity, *want.Size),
				Resolutions: bothWays(do, how, "set the disk's size to "+plain(*have.Capacity)),
			}
		})
	}
	p.compareText(vp, DiskSerial, "disk.serial", at("serial"), want.Serial, have.Serial, verdict, "reboot")
	p.compareText(vp, DiskSource, "disk.source", at("source"), want.Source, have.Source, verdict, "person")
	p.compareText(vp, DiskFormat, "disk.format", at("format"), want.Format, have.Format, verdict, "person")
}

// compareText compares what Sentral only sometimes says.
func (p *pass) compareText(vp *pair, kind Kind, field inventory.Field, path, want, have string, verdict Verdict, how string) {
	if want == "" {
		return
	}
	_, word, _ := strings.Cut(path, "].")
	observed := any(have)
	if have == "" {
		observed = nil
	}
	shown := have
	if shown == "" {
		shown = "none"
	}
	p.hold(vp, Comparison{Field: field, Path: path, Intended: want, Observed: observed, Class: class(want == have)}, func() Finding {
		return Finding{
			Kind: kind, Verdict: verdict,
			Message:     fmt.Sprintf("%s of %s %s is %s, Sentral says %s", word, strings.TrimSuffix(path, "."+word), vp.name(), shown, want),
			Resolutions: bothWays("set its "+word+" to "+want, how, "set the disk's "+word+" to "+shown),
		}
	})
}

func (p *pass) compareDiskOrder(vp *pair, pairs []diskPair, have []inventory.Disk) {
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

// compareRootImage holds the file at the ground of the root disk's backing chain
// against the intended image's. Only a file that Sentral knows as another image
// is a difference: images are kept at more places than records say.
func (p *pass) compareRootImage(vp *pair) string {
	want := vp.Intended.Image
	root := slices.IndexFunc(vp.seen.lead.vm.Disks, func(d inventory.Disk) bool { return d.IsStorage() })
	if want == nil || root < 0 {
		return ""
	}
	path := "disks[" + diskName(&vp.seen.lead.vm.Disks[root], 0) + "].image"
	c := Comparison{Field: "image.source", Path: path, Intended: imageName(want.ID, want.Version), Class: Unknown}
	image := vp.seen.lead.vm.Image
	if image == nil || image.Source == "" {
		c.Reason = "its root disk has no backing chain to read"
		return p.hold(vp, c, nil)
	}
	made := p.intended.images[image.Source]
	if made == nil {
		c.Observed, c.Reason = image.Source, "Sentral knows no image at "+image.Source
		return p.hold(vp, c, nil)
	}
	observed := imageName(made.ID, made.Version)
	c.Observed = observed
	c.Class = class(made.ID == want.ID && (want.Version == "" || made.Version == want.Version))
	return p.hold(vp, c, func() Finding {
		return Finding{
			Kind:        DiskImage,
			Message:     fmt.Sprintf("the root disk of %s was made from %s, Sentral says %s", vp.name(), observed, c.Intended),
			Evidence:    []string{"its backing chain ends in " + image.Source},
			Resolutions: bothWays(fmt.Sprintf("make it again from %s", c.Intended), "person", "set image to "+observed+", if that is what it should run"),
		}
	})
}
