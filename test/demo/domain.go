package demo

import (
	_ "embed"
	"fmt"
	"strings"
	"text/template"

	"github.com/dataverket/avstem/test/rig"
)

//go:embed domain.xml.tmpl
var domainText string

var domainTemplate = template.Must(template.New("domain.xml").Parse(domainText))

// disk is one of a guest's disks: an image file of the rig.
type disk struct {
	Path, Target, Serial string

	image, backing string
	size           int64 // bytes
}

// disks are the guest's disks in its order: vda is the root disk, over a layer
// of its image; the others are empty.
func (g *guest) disks() []disk {
	disks := []disk{g.disk("root", 0, g.Root)}
	disks[0].backing = imageFile(g.Image)
	for i, size := range g.Data {
		disks = append(disks, g.disk("data", i+1, size))
	}
	return disks
}

func (g *guest) disk(name string, index int, size int64) disk {
	serial := g.Name + "-" + name
	image := serial + ".qcow2"
	return disk{
		Path: rig.ImagePath(image), Target: fmt.Sprintf("vd%c", 'a'+index), Serial: serial,
		image: image, size: size,
	}
}

// imageFile names the file of a version of the base image.
func imageFile(version string) string { return "debian-12-" + version + ".qcow2" }

// domain is the guest as libvirt's XML.
func (g *guest) domain() (string, error) {
	var xml strings.Builder
	err := domainTemplate.Execute(&xml, struct {
		*guest
		Disks []disk
	}{g, g.disks()})
	return xml.String(), err
}
