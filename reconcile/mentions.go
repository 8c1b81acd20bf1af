package reconcile

import (
	"hash/maphash"
	"slices"
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// What a document mentions that an inventory may come to say something else of.
const (
	mentionsPath uint64 = iota + 1 // of an image or a volume
	mentionsDigest
	mentionsNetwork
	mentionsProject
)

// mention hashes it. Two that are alike cost time, and nothing else.
func (b *Book) mention(kind uint64, text string) uint32 {
	return uint32(mix(maphash.String(b.marker.seed, text), kind) >> 32)
}

func (b *Book) mentionProject(key projectKey) uint32 {
	return b.mention(mentionsProject, strings.ToLower(key.String()))
}

// mentionsOf gives all that a document mentions, so that it tells without being unpacked
// whether it reads what has changed.
func (b *Book) mentionsOf(o *inventory.Observation) (all []uint32) {
	for i := range o.VMs {
		vm := &o.VMs[i]
		if pl := vm.Placement; pl != nil {
			all = append(all, b.mentionProject(projectKey{pl.Tenant, pl.Project}))
		}
		if image := vm.Image; image != nil {
			all = append(all, b.mention(mentionsPath, image.Source), b.mention(mentionsDigest, strings.ToLower(image.Digest)))
		}
		for j := range vm.NICs {
			if id := vm.NICs[j].Network; id != "" {
				all = append(all, b.mention(mentionsNetwork, id))
			}
		}
	}
	for i := range o.StoragePools {
		for j := range o.StoragePools[i].Volumes {
			all = append(all, b.mention(mentionsPath, o.StoragePools[i].Volumes[j].Path))
		}
	}
	slices.Sort(all)
	return slices.Clone(slices.Compact(all))
}

// mentioned is what documents are asked for.
type mentioned map[uint32]bool

// by says whether a document mentions something of it.
func (m mentioned) by(doc *source) bool {
	return len(m) > 0 && slices.ContainsFunc(doc.mentions, func(mention uint32) bool { return m[mention] })
}

// asMentioned gives what has moved as VMs mention it.
func (b *Book) asMentioned(m *moved) mentioned {
	asked := mentioned{}
	for key := range m.projects {
		asked[b.mentionProject(key)] = true
	}
	for label := range m.leftOut {
		if key, is := strings.CutPrefix(label, "project "); is {
			asked[b.mention(mentionsProject, key)] = true
		}
	}
	for at := range m.sources {
		asked[b.mention(mentionsPath, at)] = true
	}
	for digest := range m.digests {
		asked[b.mention(mentionsDigest, digest)] = true
	}
	for id := range m.networks {
		asked[b.mention(mentionsNetwork, id)] = true
	}
	return asked
}
