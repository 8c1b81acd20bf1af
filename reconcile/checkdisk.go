package reconcile

import (
	"fmt"
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// checkBacking finds disks whose chain is broken: an image that isn't there, or
// isn't what the runtime or the image above says that it is.
func (p *pass) checkBacking(vp *pair) {
	at := &vp.seen.lead
	disks := storage(at.vm)
	for i := range disks {
		source, fault := firstFault(&disks[i])
		if fault == "" {
			continue
		}
		name := diskName(&disks[i], i)
		words := source + ": " + fault
		f := Finding{
			Kind: DiskBacking, Field: "disks[" + name + "].backing", Intended: "a whole chain", Observed: words,
			Message:     fmt.Sprintf("disk %s of %s can't be read: %s", name, vp.name(), words),
			Evidence:    []string{"its chain is " + strings.Join(chainOf(&disks[i]), " → ")},
			Provenance:  vp.provenance("disk.fault"),
			Resolutions: bothWays("put the image back where it was, or the disk back from a backup", "person", ""),
		}
		if at.vm.State.Active() {
			f.Evidence = append(f.Evidence, "the VM runs on with what it has open, and can't start again")
		}
		p.find(vp.finding(f))
	}
}

// firstFault is the first layer of a disk that isn't what it is said to be.
func firstFault(d *inventory.Disk) (source, fault string) {
	if d.Fault != "" {
		return d.Source, d.Fault
	}
	for i := range d.Backing {
		if d.Backing[i].Fault != "" {
			return d.Backing[i].Source, d.Backing[i].Fault
		}
	}
	return "", ""
}

func chainOf(d *inventory.Disk) []string {
	chain := []string{d.Source}
	for i := range d.Backing {
		chain = append(chain, d.Backing[i].Source)
	}
	return chain
}
