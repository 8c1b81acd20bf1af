package libvirt

import (
	"context"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// networkDoc is what we read of a libvirt network's XML.
type networkDoc struct {
	XMLName    xml.Name                        `xml:"network"`
	Bridge     libvirtxml.NetworkBridge        `xml:"bridge"`
	VLAN       *libvirtxml.DomainInterfaceVLan `xml:"vlan"`
	PortGroups []struct {
		Name    string                          `xml:"name,attr"`
		Default string                          `xml:"default,attr"`
		VLAN    *libvirtxml.DomainInterfaceVLan `xml:"vlan"`
	} `xml:"portgroup"`
}

const networkCall = "virNetworkGetXMLDesc"

func parseNetwork(raw []byte) (networkDoc, error) {
	var doc networkDoc
	if err := xml.Unmarshal(raw, &doc); err != nil {
		return networkDoc{}, fmt.Errorf("parse network XML: %w", err)
	}
	return doc, nil
}

// resolve says where a NIC on the network's port group would be plugged in. The
// NIC's own <vlan> comes before its port group's, and that before the network's
// (formatnetwork, "Setting VLAN tag").
func (d *networkDoc) resolve(nic *inventory.NIC, portGroup string, f *faults) {
	nic.Bridge = d.Bridge.Name
	if nic.VLAN != nil || nic.Trunks != nil {
		return
	}
	vlan := d.VLAN
	for i := range d.PortGroups {
		g := &d.PortGroups[i]
		if g.VLAN != nil && (g.Name == portGroup || portGroup == "" && g.Default == "yes") {
			vlan = g.VLAN
			break
		}
	}
	readVLAN(nic, vlan, "portgroup/", f)
}

// resolveNetworks completes the NICs of stopped VMs that name a libvirt network:
// the live XML of a running one says which bridge and VLAN that comes to, the
// inactive one doesn't. Each network is read once a pass.
func (c *Collector) resolveNetworks(ctx context.Context, cl *client, here []*reading) {
	type result struct {
		doc networkDoc
		err error
	}
	networks := map[string]result{}
	for _, r := range here {
		cloned := false
		for i := range r.vm.NICs {
			name, group, _ := strings.Cut(r.vm.NICs[i].Network, "/")
			if name == "" || r.vm.NICs[i].Bridge != "" {
				continue
			}
			known, found := networks[name]
			if !found {
				known.doc, known.err = cl.network(ctx, name)
				networks[name] = known
			}
			if known.err != nil {
				// NICs on one network have one problem.
				if p := problemOf(inventory.VMEntity(r.vm.UUID), "nic.bridge", known.err); !slices.Contains(r.problems, p) {
					r.problems = append(r.problems, p)
				}
				continue
			}
			if !cloned { // the last pass's document has the others
				r.vm.NICs, cloned = slices.Clone(r.vm.NICs), true
			}
			f := &faults{entity: inventory.VMEntity(r.vm.UUID), call: networkCall}
			known.doc.resolve(&r.vm.NICs[i], group, f)
			r.problems = append(r.problems, f.list...)
		}
	}
}

// network reads one libvirt network.
func (c *client) network(ctx context.Context, name string) (networkDoc, error) {
	var raw string
	err := c.call(ctx, networkCall+" "+name, func(lv *golibvirt.Libvirt) error {
		network, err := lv.NetworkLookupByName(name)
		if err != nil {
			return err
		}
		raw, err = lv.NetworkGetXMLDesc(network, 0)
		return err
	})
	if err != nil {
		return networkDoc{}, err
	}
	doc, err := parseNetwork([]byte(raw))
	if err != nil {
		return networkDoc{}, &collectors.SourceError{Call: networkCall + " " + name, Why: inventory.WhyBroken, Remedy: remedyReport, Err: err}
	}
	return doc, nil
}
