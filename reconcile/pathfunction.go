package reconcile

import (
	"fmt"

	"github.com/dataverket/avstem/inventory"
)

// hostDevice follows a virtual function: the adapter adds the VLAN that the
// physical function was told to use for it.
func (h *hostView) hostDevice(path NICPath, nic *inventory.NIC) NICPath {
	const note = "an SR-IOV device's VLAN is read from the runtime's configuration"
	pf, vf := h.functionOf(nic)
	if vf == nil {
		path.hop(Hop{Kind: "SR-IOV device", Name: nic.Address})
		return path.configured(nic, note)
	}
	hop := functionHop(pf, vf)
	path.Down = hop.Down
	path.hop(hop)
	physical := Hop{Kind: linkWord(pf), Name: pf.Name, Neighbours: pf.Neighbours}
	physical.Down, physical.Note = linkDown(pf)
	path.Exit = pf.Name
	path.Down = path.Down || physical.Down
	path.hop(physical)
	if tags(vf) {
		return path.on(*vf.VLAN, "virtualFunction.vlan")
	}
	path.GuestVLANs = allVLANs
	return path.unknown("the function has no VLAN: frames leave " + pf.Name + " as the guest sends them")
}

// functionOf finds the virtual function with the NIC's MAC, which libvirt and
// others set through the physical one. Two of one MAC tell nothing.
func (h *hostView) functionOf(nic *inventory.NIC) (pf *inventory.Link, vf *inventory.VirtualFunction) {
	if h.network == nil || !nic.MAC.Identifies() {
		return nil, nil
	}
	links := h.network.Links()
	for i := range links {
		link := &links[i]
		for j := range link.VFs {
			if link.VFs[j].MAC != nic.MAC {
				continue
			}
			if vf != nil {
				return nil, nil
			}
			pf, vf = link, &link.VFs[j]
		}
	}
	return pf, vf
}

func functionHop(pf *inventory.Link, vf *inventory.VirtualFunction) Hop {
	hop := Hop{Kind: "virtual function", Name: fmt.Sprintf("%d of %s", vf.Index, pf.Name)}
	if vf.LinkState == "disable" {
		hop.Down, hop.Note = true, "disabled"
	}
	if tags(vf) {
		hop.Does, hop.VLAN = Adds, vf.VLAN
	}
	return hop
}

// tags says whether the adapter adds a tag to the function's frames.
func tags(vf *inventory.VirtualFunction) bool { return vf.VLAN != nil && *vf.VLAN != 0 }

// functionBehind finds what the physical function was told of the virtual one that
// is a link of the host.
func (h *hostView) functionBehind(link *inventory.Link) (pf *inventory.Link, vf *inventory.VirtualFunction) {
	if pf = h.links[link.PhysicalFunction]; pf == nil || link.Device == "" {
		return nil, nil
	}
	for i := range pf.VFs {
		if pf.VFs[i].Device == link.Device {
			return pf, &pf.VFs[i]
		}
	}
	return nil, nil
}

// throughAdapter leaves the host by a physical link. Where that is a virtual
// function's, the adapter adds the function's VLAN around what frames have.
func (w *walk) throughAdapter(link *inventory.Link, f frame, hop Hop) {
	pf, vf := w.h.functionBehind(link)
	if vf == nil {
		w.leaveBy(&hop, step{link: link}, link.Name, f, false)
		return
	}
	function := functionHop(pf, vf)
	adds := step{}
	if tags(vf) {
		if f.count == maxTags {
			w.unsure("frames would have more than %d tags behind %s", maxTags, link.Name)
			return
		}
		adds.link = &inventory.Link{Kind: "vlan", Name: function.Name, VLAN: vf.VLAN} // for the way back
		f = f.push(tag{*vf.VLAN, vf.Protocol == "802.1ad"})
	}
	from := w.from
	if tags(vf) {
		w.from = "virtualFunction.vlan"
	}
	if t, may := w.on(&hop, step{link: link}); may {
		if t, may := w.on(&function, adds); may {
			physical := w.linkHop(pf)
			w.leaveBy(&physical, step{}, pf.Name, f, false)
			w.undo(t)
		}
		w.undo(t)
	}
	w.from = from
}
