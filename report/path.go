package report

import (
	"strings"

	"github.com/dataverket/avstem/reconcile"
)

// paths shows each NIC's way through its host.
func (p *page) paths(paths []reconcile.NICPath) {
	if len(paths) == 0 {
		return
	}
	p.head("Network")
	for i := range paths {
		path := &paths[i]
		mac := path.MAC.String()
		if mac == "" {
			mac = "NIC " + count(i+1)
		}
		where, sgr := pathVLAN(path)
		if len(path.Hops) > 0 {
			where += ": " + printable(reconcile.PathText(path.Hops))
		}
		p.para(2, mac, sgr, where)
		if path.Reason != "" {
			p.para(4, "", sgrFaint, printable(path.Reason))
		}
		if len(path.GuestVLANs) > 0 && path.VLAN != nil {
			p.para(4, "", sgrFaint, "the guest may choose others by sending tagged frames: "+guestVLANs(path.GuestVLANs))
		}
		if path.Return != "" {
			p.para(4, "one way only:", sgrYellow, printable(path.Return))
		}
		if path.Down {
			p.para(4, "down:", sgrRed, "no frame leaves the host at the moment")
		}
	}
}

// pathVLAN says where a NIC is, in two or three words.
func pathVLAN(path *reconcile.NICPath) (words, sgr string) {
	switch {
	case path.VLAN != nil && path.Derived:
		return "VLAN " + count(int(*path.VLAN)) + ", derived", ""
	case path.VLAN != nil:
		return "VLAN " + count(int(*path.VLAN)), ""
	case path.VNI != nil:
		return "VNI " + count(*path.VNI), ""
	case len(path.Tags) > 1:
		tags := make([]string, len(path.Tags))
		for i, tag := range path.Tags {
			tags[i] = count(int(tag.VLAN))
		}
		return "VLANs " + strings.Join(tags, " around "), ""
	}
	return "VLAN unknown", sgrYellow
}

func guestVLANs(ranges []reconcile.VLANRange) string {
	words := make([]string, len(ranges))
	for i, r := range ranges {
		words[i] = r.String()
	}
	return strings.Join(words, ", ")
}
