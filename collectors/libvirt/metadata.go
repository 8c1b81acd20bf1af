package libvirt

import (
	"encoding/xml"
	"errors"
	"strings"

	"github.com/dataverket/avstem/collectors/internal/manager"
	"github.com/dataverket/avstem/inventory"
)

// Namespaces of what managers leave in <metadata>. A prefix means nothing, so
// everything is found by namespace and local name.
const (
	placementNS = "urn:dataverket:maskin:placement:v1"
	novaNS10    = "http://openstack.org/xmlns/libvirt/nova/1.0"
	novaNS11    = "http://openstack.org/xmlns/libvirt/nova/1.1"
	ovirtNS     = "http://ovirt.org/vm/1.0"
	ovirtTuneNS = "http://ovirt.org/vm/tune/1.0"
	kubevirtNS  = "http://kubevirt.io"
	nebulaNS    = "http://opennebula.org/xmlns/libvirt/1.0"
)

// element is any XML element.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Children []element  `xml:",any"`
}

// child is the first child of that name, and nil where there is none; nil has
// no children, attributes or text.
func (e *element) child(local string) *element {
	if e == nil {
		return nil
	}
	for i := range e.Children {
		c := &e.Children[i]
		if c.XMLName.Local == local && c.XMLName.Space == e.XMLName.Space {
			return c
		}
	}
	return nil
}

func (e *element) attr(name string) string {
	if e == nil {
		return ""
	}
	for _, a := range e.Attrs {
		if a.Name.Space == "" && a.Name.Local == name {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}

func (e *element) text() string {
	if e == nil {
		return ""
	}
	return strings.TrimSpace(e.Text)
}

// readMetadata reads whose VM this is and what manages it. Where both name an
// image, the placement's counts: it is addressed to us.
func readMetadata(vm *inventory.VM, doc *domainDoc, f *faults) {
	var placements []*element
	for i := range doc.Metadata.Children {
		e := &doc.Metadata.Children[i]
		switch e.XMLName {
		case xml.Name{Space: placementNS, Local: "placement"}:
			placements = append(placements, e)
		case xml.Name{Space: novaNS10, Local: "instance"}, xml.Name{Space: novaNS11, Local: "instance"}:
			readNova(vm, e)
		case xml.Name{Space: ovirtNS, Local: "vm"}, xml.Name{Space: ovirtTuneNS, Local: "qos"}:
			vm.Manager = &inventory.Manager{Name: manager.OVirt}
		case xml.Name{Space: kubevirtNS, Local: "kubevirt"}:
			// KubeVirt names its domains NAMESPACE_VM; a namespace has no underscore.
			namespace, _, _ := strings.Cut(doc.Name, "_")
			vm.Manager = &inventory.Manager{Name: manager.KubeVirt, Project: namespace}
		case xml.Name{Space: nebulaNS, Local: "vm"}:
			// A VM belongs to a group, which is the nearest that OpenNebula has.
			vm.Manager = &inventory.Manager{Name: manager.OpenNebula, Version: e.child("opennebula_version").text(), Project: e.child("gname").text()}
		}
	}
	if vm.Manager == nil { // CloudStack leaves no metadata
		if name := manager.OfSystem(systemEntry(doc, "manufacturer"), systemEntry(doc, "product")); name != "" {
			vm.Manager = &inventory.Manager{Name: name}
		}
	}
	switch len(placements) {
	case 0:
	case 1:
		readPlacement(vm, placements[0])
	default: // which of them is right is not ours to guess
		f.add("vm.placement", "metadata/placement", errors.New("there is more than one placement element"))
		f.list[len(f.list)-1].Remedy = "leave the one that is right (virsh metadata --remove)"
	}
}

func readPlacement(vm *inventory.VM, e *element) {
	p := inventory.Placement{VM: e.attr("vm"), Tenant: e.attr("tenant"),
		Project: e.attr("project"), Environment: e.attr("environment")}
	if p != (inventory.Placement{}) {
		vm.Placement = &p
	}
	if id, version := e.attr("image"), e.attr("imageVersion"); id != "" || version != "" {
		vm.Image = &inventory.Image{ID: id, Version: version, Known: inventory.ImageByLabel}
	}
}

// readNova reads Nova's instance element (nova/virt/libvirt/config.py,
// LibvirtConfigGuestMetaNovaInstance). Its project is the ID where there is one:
// names of projects may change and are only unique in their domain.
func readNova(vm *inventory.VM, e *element) {
	project := e.child("owner").child("project")
	nova := inventory.Manager{Name: manager.Nova, Version: e.child("package").attr("version"),
		Project: project.attr("uuid"), Flavor: e.child("flavor").attr("name")}
	if nova.Project == "" {
		nova.Project = project.text()
	}
	vm.Manager = &nova
	image := e.child("image").attr("uuid")
	if root := e.child("root"); image == "" && root.attr("type") == "image" {
		image = root.attr("uuid")
	}
	if image != "" && vm.Image == nil {
		vm.Image = &inventory.Image{ID: image, Known: inventory.ImageByManager}
	}
}
