package reconcile

import (
	"path"
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// uses is what of a host's storage its VMs use, CD-ROMs too, and what it uses
// itself.
type uses struct {
	// names are the last parts of paths: a symbolic link or a bind mount may lead
	// to a pool, and other hosts have it at another place. A file of the same name
	// elsewhere passes for the same.
	names    map[string]bool
	devices  map[string]bool // by the kernel's names
	nameless string          // a VM's device that isn't among the host's by its path
	grounds  *grounds
	// site has the names that others of the site use, by their hash, where they
	// could use the same.
	site map[uint64]int
	hash func(string) uint64
}

// has says whether what is at a path is used. A device is known by its own name,
// whatever path leads to it.
func (u *uses) has(at string) bool {
	if d := u.grounds.deviceAt(at); d != nil {
		return u.devices[d.Name]
	}
	return u.names[path.Base(at)] || u.site != nil && u.site[u.hash(path.Base(at))] > 0
}

// add notes that a path is used; device is what it is, where the collector saw.
func (u *uses) add(at, device string) {
	if d := u.grounds.deviceAt(at); d != nil && device == "" {
		device = d.Name
	}
	switch {
	case device != "":
		u.devices[device] = true
	case strings.HasPrefix(at, "/dev/"):
		u.nameless = at
	}
	u.names[path.Base(at)] = true
}

// usedOn collects what a host uses.
func (p *pass) usedOn(hp *hostPair) *uses {
	u := &uses{names: map[string]bool{}, devices: map[string]bool{}, grounds: hp.view.groundsOf(&p.in)}
	for _, doc := range hp.view.docs {
		vms := doc.VMs()
		for i := range vms {
			for j := range vms[i].Disks {
				d := &vms[i].Disks[j]
				u.addDisk(d)
				if pool, name, found := strings.Cut(d.Source, "/"); found && d.SourceType == "volume" {
					u.add(volumePath(doc, pool, name), "")
				}
			}
		}
		u.addHost(doc)
	}
	return u
}

func (u *uses) addDisk(d *inventory.Disk) {
	u.add(d.Source, d.BlockDevice)
	u.add(d.DataFile, "")
	for i := range d.Backing {
		u.add(d.Backing[i].Source, d.Backing[i].BlockDevice)
		u.add(d.Backing[i].DataFile, "")
	}
}

// addHost adds what the host has mounted, swaps to, shows as a loop device, or
// has made something else of.
func (u *uses) addHost(doc *source) {
	all := doc.parts()
	for i := range all.FileSystems {
		fs := &all.FileSystems[i]
		u.devices[fs.BlockDevice] = true
		for _, member := range fs.Members {
			u.devices[member] = true
		}
	}
	for i := range all.BlockDevices {
		d := &all.BlockDevices[i]
		if len(d.Holders) > 0 || d.Content == "swap" {
			u.devices[d.Name] = true
		}
		for _, member := range d.Members {
			u.devices[member] = true
		}
		if d.BackingFile != "" {
			u.names[path.Base(d.BackingFile)] = true
		}
	}
}

// volumePath is where the volume of one of the source's pools is.
func volumePath(doc *source, pool, name string) string {
	pools := doc.StoragePools()
	for i := range pools {
		if pools[i].Name != pool {
			continue
		}
		for j := range pools[i].Volumes {
			if v := &pools[i].Volumes[j]; v.Name == name {
				return v.Path
			}
		}
	}
	return ""
}
