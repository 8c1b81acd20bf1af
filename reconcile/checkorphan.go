package reconcile

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// maxOrphans bounds the findings of one pool: they have one cause.
const maxOrphans = 50

// minOrphan is the least that a raw file must hold to pass for a disk: libvirt
// calls every file of a directory a raw volume.
const minOrphan = inventory.MiB

// usersIn gives what all of a pool's site use that could use it, or why that isn't
// known. Own is what its host uses.
type usersIn func(hp *hostPair, pool *inventory.StoragePool, own *uses) (used *uses, unsure string)

// checkPools finds volumes of a host's pools that no VM uses. It takes a whole and
// fresh look at the pool and at every VM that could reach it: all of its host, and
// where the pool is on another machine all of the site. Where that can't be had,
// the pool is unknown on its host, with the reason.
func (p *pass) checkPools(hp *hostPair, usersIn usersIn) {
	var own *uses
	for _, doc := range hp.view.docs {
		pools := doc.StoragePools()
		for i := range pools {
			pool := &pools[i]
			if pool.State != "running" {
				continue
			}
			if own == nil {
				own = p.usedOn(hp)
			}
			used, unsure := p.users(hp, doc, pool, own, usersIn)
			if unsure != "" {
				hp.pools = append(hp.pools, Comparison{Field: "storagePool.volumes", Path: "storagePools[" + pool.Name + "].volumes",
					Class: Unknown, Reason: "which of them no VM uses: " + unsure, Provenance: doc.provenance("storagePool.volumes")})
				continue
			}
			p.orphans(hp, doc, pool, used)
		}
	}
}

// orphans makes findings of a pool's unused volumes.
func (p *pass) orphans(hp *hostPair, doc *source, pool *inventory.StoragePool, used *uses) {
	backs := map[string]bool{} // what a volume of a used chain rests on, by the last part of its path
	for range len(pool.Volumes) {
		before := len(backs)
		for i := range pool.Volumes {
			v := &pool.Volumes[i]
			if v.Backing != nil && (p.needed(v.Path, used) || backs[path.Base(v.Path)]) {
				backs[path.Base(v.Backing.Source)] = true
			}
		}
		if len(backs) == before {
			break
		}
	}
	var unused []*inventory.StorageVolume
	for i := range pool.Volumes {
		if v := &pool.Volumes[i]; isDisk(v) && !p.needed(v.Path, used) && !backs[path.Base(v.Path)] {
			unused = append(unused, v)
		}
	}
	slices.SortFunc(unused, func(a, b *inventory.StorageVolume) int { return cmp.Compare(a.Name, b.Name) })
	for _, v := range unused[:min(len(unused), maxOrphans)] {
		words := diskWords(v.Path, v.Capacity)
		f := Finding{
			Kind: DiskOrphan, Subject: hp.subject(), Field: "storagePools[" + pool.Name + "].volumes[" + v.Name + "]",
			Intended: "a VM that uses it", Observed: words,
			Message:     fmt.Sprintf("no VM uses volume %s of pool %s on %s: %s", v.Name, pool.Name, hp.key(), words),
			Provenance:  doc.provenance("storagePool.volumes"),
			Resolutions: bothWays("find out whose it was, keep what is needed, delete it", "person", "record it as an image, or as the source of a VM's disk"),
		}
		if len(unused) > 1 {
			f.Evidence = []string{fmt.Sprintf("it is one of %d in the pool", len(unused))}
		}
		p.find(f)
	}
}

// isDisk says whether a volume would be a VM's disk: no directory, no medium for
// a CD-ROM drive, and of a raw file's size.
func isDisk(v *inventory.StorageVolume) bool {
	if v.Capacity == nil || v.Path == "" || v.Type == "dir" || v.Type == "netdir" || v.Format == "iso" || v.Format == "dir" {
		return false
	}
	return v.Format != "raw" || *v.Capacity >= minOrphan
}

// needed says whether what is at the path is used, or Sentral has it as an image
// or as a disk's source.
func (p *pass) needed(at string, used *uses) bool {
	return used.has(at) || len(p.intended.images[at]) > 0 || p.book.sources[at] > 0
}

// users gives what is used by whoever could use the pool, or why that isn't known.
// Own is what its host uses.
func (p *pass) users(hp *hostPair, doc *source, pool *inventory.StoragePool, own *uses, usersIn usersIn) (used *uses, unsure string) {
	switch {
	case p.intended.unsure || len(p.intended.LeftOut) > 0:
		return nil, "a record of Sentral that can't be used may name it"
	case !hp.view.fresh(doc, &p.in):
		return nil, hp.view.why(doc)
	}
	for _, problem := range []*inventory.Problem{
		doc.hides(doc.problems["storagePool:"+pool.Name], "storagePool.volumes"), doc.hides(nil, "storagePool.name"),
	} {
		if problem != nil {
			return nil, problemWords(problem)
		}
	}
	local, unsure := p.isLocal(hp, pool)
	if unsure == "" {
		unsure = unseenVMs(hp)
	}
	if unsure == "" && pool.Type == "logical" && own.nameless != "" {
		unsure = "nobody can say which device " + own.nameless + " is, which a VM has"
	}
	if local || unsure != "" {
		return own, unsure
	}
	return usersIn(hp, pool, own)
}

// isLocal says whether only the pool's host can reach it, or why that isn't
// known.
func (p *pass) isLocal(hp *hostPair, pool *inventory.StoragePool) (local bool, unsure string) {
	switch pool.Type {
	case "netfs", "rbd", "gluster":
		return false, ""
	case "dir", "fs", "logical":
	default:
		return false, "a pool of type " + pool.Type + " shows what other hosts may use"
	}
	at := pool.Target
	if pool.Type == "logical" && len(pool.Volumes) > 0 {
		at = pool.Volumes[0].Path
	}
	ground := hp.view.groundsOf(&p.in).of(where{source: at})
	switch {
	case ground.Remote != "" && !strings.HasPrefix(ground.Remote, "ZFS "):
		return false, ""
	case !ground.Reached():
		return false, "what it lies on is not known: " + ground.Reason
	}
	for i := range ground.Disks {
		if d := &ground.Disks[i]; p.book.sharedDisk(d.WWN) {
			return false, "other hosts see its disk " + d.WWN + " too"
		}
	}
	return true, ""
}

// unseenVMs says why not every VM of the host is there with all of its disks.
func unseenVMs(hp *hostPair) string {
	if !hp.covered() || hp.view == nil {
		return hp.unseen()
	}
	for _, doc := range hp.view.docs {
		if isRuntime(doc.Source) && doc.Outcome != inventory.OutcomeAbsent && doc.hidesAny("", "vm.disks", "disk.source", "disk.backing") {
			return "the disks of some VM on " + hp.key() + " can't be seen whole"
		}
	}
	return ""
}
