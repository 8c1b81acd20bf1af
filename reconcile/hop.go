package reconcile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// Hop is one thing on a NIC's way to the wire.
type Hop struct {
	// Kind is what it is, in the words of explain: tap, bridge, port, VLAN link,
	// bond, physical, macvtap, veth, OVS port, OVS bridge, patch port, vxlan …
	Kind string `json:"kind"`
	Name string `json:"name,omitempty"`
	// Does is what happens to the frames' VLAN here, and VLAN which one that is.
	Does Treatment       `json:"does,omitempty"`
	VLAN *inventory.VLAN `json:"vlan,omitempty"`
	Note string          `json:"note,omitempty"`
	// Down says that no frame passes at the moment: the link is down or has no
	// carrier.
	Down bool `json:"down,omitempty"`
	// Beside says that frames take this hop or the one before it: a bond's other
	// member.
	Beside     bool                  `json:"beside,omitempty"`
	Neighbours []inventory.Neighbour `json:"neighbours,omitempty"`
}

// Treatment is what a hop does with a frame's VLAN.
type Treatment string

// The treatments.
const (
	Assigns  Treatment = "assigns"  // puts untagged frames on the VLAN: a PVID, an access or native VLAN
	Tags     Treatment = "tags"     // frames of the VLAN leave with its tag
	Untags   Treatment = "untags"   // frames of the VLAN leave without a tag
	Adds     Treatment = "adds"     // one more tag, around what the frames have: a VLAN link, a VF, a tunnel port
	Removes  Treatment = "removes"  // the outer tag is taken off
	Discards Treatment = "discards" // doesn't let frames of the VLAN through
)

// String writes the hop as a part of a line.
func (h *Hop) String() string {
	text := strings.TrimSpace(h.Kind + " " + h.Name)
	if words := h.treatment(); words != "" {
		text += ", " + words
	}
	var notes []string
	if h.Note != "" {
		notes = append(notes, h.Note)
	}
	for i := range h.Neighbours {
		notes = append(notes, "to "+neighbourWords(&h.Neighbours[i]))
	}
	if len(notes) > 0 {
		text += " (" + strings.Join(notes, "; ") + ")"
	}
	return text
}

func (h *Hop) treatment() string {
	vlan := ""
	if h.VLAN != nil {
		vlan = vlanText(*h.VLAN)
	}
	switch h.Does {
	case Assigns:
		if strings.HasPrefix(h.Kind, "OVS") {
			return "tag " + vlan
		}
		return "PVID " + vlan
	case Tags:
		return "tagged " + vlan
	case Untags:
		return "untagged"
	case Adds:
		return "adds tag " + vlan
	case Removes:
		return "takes off tag " + vlan
	case Discards:
		if vlan == "0" {
			vlan = "untagged frames"
		}
		return "doesn't carry " + vlan
	}
	return string(h.Does)
}

func neighbourWords(n *inventory.Neighbour) string {
	who := orElse(n.SystemName, n.ChassisID)
	if port := orElse(n.PortID, n.PortDescription); port != "" {
		who += " port " + port
	}
	return strings.TrimSpace(who)
}

// PathText writes a path's hops as one line.
func PathText(hops []Hop) string {
	var b strings.Builder
	for i := range hops {
		switch {
		case i == 0:
		case hops[i].Beside:
			b.WriteString(" + ")
		default:
			b.WriteString(" → ")
		}
		b.WriteString(hops[i].String())
	}
	return b.String()
}

// VLANRange is the VLANs from First to Last.
type VLANRange struct {
	First inventory.VLAN `json:"first"`
	Last  inventory.VLAN `json:"last"`
}

// allVLANs is what a port carries that filters nothing.
var allVLANs = []VLANRange{{1, 4094}}

func (r VLANRange) String() string {
	if r.First == r.Last {
		return vlanText(r.First)
	}
	return vlanText(r.First) + "-" + vlanText(r.Last)
}

func vlanText(v inventory.VLAN) string { return strconv.Itoa(int(v)) }

func rangesText(ranges []VLANRange) string {
	if slices.Equal(ranges, allVLANs) {
		return "all VLANs"
	}
	words := make([]string, len(ranges))
	for i, r := range ranges {
		words[i] = r.String()
	}
	return strings.Join(words, ", ")
}

// meet gives the VLANs that are in both lists. Lists are sorted and don't overlap.
func meet(a, b []VLANRange) []VLANRange {
	var both []VLANRange
	for i, j := 0, 0; i < len(a) && j < len(b); {
		if first, last := max(a[i].First, b[j].First), min(a[i].Last, b[j].Last); first <= last {
			both = append(both, VLANRange{first, last})
		}
		if a[i].Last < b[j].Last {
			i++
		} else {
			j++
		}
	}
	return both
}

// join gives the VLANs that are in either list, or in both.
func join(a, b []VLANRange) []VLANRange {
	if len(a) == 0 {
		return b
	}
	all := append(slices.Clone(a), b...)
	slices.SortFunc(all, func(x, y VLANRange) int { return int(x.First) - int(y.First) })
	joined := all[:1]
	for _, r := range all[1:] {
		if last := &joined[len(joined)-1]; r.First <= last.Last+1 {
			last.Last = max(last.Last, r.Last)
		} else {
			joined = append(joined, r)
		}
	}
	return joined
}

// without takes one VLAN out of a list.
func without(ranges []VLANRange, v inventory.VLAN) []VLANRange {
	return meet(ranges, outside([]VLANRange{{v, v}}))
}

// outside gives the VLANs that are not in a list.
func outside(ranges []VLANRange) []VLANRange {
	if len(ranges) == 0 {
		return allVLANs
	}
	others, next := make([]VLANRange, 0, len(ranges)+1), allVLANs[0].First
	for _, r := range ranges {
		if r.First > next {
			others = append(others, VLANRange{next, r.First - 1})
		}
		next = r.Last + 1
	}
	if last := allVLANs[0].Last; next <= last {
		others = append(others, VLANRange{next, last})
	}
	return others
}

// Tag is a VLAN tag as a frame carries it.
type Tag struct {
	VLAN     inventory.VLAN `json:"vlan"`
	Protocol string         `json:"protocol"` // 802.1q or 802.1ad
}

// frame is the tags of a frame at one place of its way. The zero frame has none.
// It can be compared, so that what was worked out for one is found again.
type frame struct {
	count uint8
	tags  [maxTags]tag // the innermost first
}

// maxTags is how many tags are followed: nobody stacks more than two or three.
const maxTags = 4

type tag struct {
	vlan    inventory.VLAN
	service bool // 802.1ad
}

func (f frame) top() (tag, bool) {
	if f.count == 0 {
		return tag{}, false
	}
	return f.tags[f.count-1], true
}

func (f frame) push(t tag) frame {
	if f.count < maxTags {
		f.tags[f.count] = t
		f.count++
	}
	return f
}

// pop takes the outermost tag off; of a frame without any there is nothing to take.
func (f frame) pop() frame {
	if f.count == 0 {
		return f
	}
	f.count--
	f.tags[f.count] = tag{}
	return f
}

// list gives the tags as they are on the wire, the outermost first.
func (f frame) list() []Tag {
	var tags []Tag
	for i := int(f.count) - 1; i >= 0; i-- {
		tags = append(tags, Tag{f.tags[i].vlan, f.tags[i].protocol()})
	}
	return tags
}

func (t tag) protocol() string {
	if t.service {
		return "802.1ad"
	}
	return "802.1q"
}

func (f frame) String() string {
	if f.count == 0 {
		return "untagged"
	}
	words := make([]string, 0, f.count)
	for _, t := range f.list() {
		words = append(words, vlanText(t.VLAN))
	}
	return fmt.Sprintf("tagged %s", strings.Join(words, " around "))
}
