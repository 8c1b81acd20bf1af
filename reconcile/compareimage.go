package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// madeFrom is what VMs on one host have in common whose root disks were made from
// one image, and should have been from one.
type madeFrom struct {
	doc            *source
	want           sentral.ImageRef
	source, digest string
}

// rootImage is compareRootImage. Where findings alone are wanted, VMs that were made
// from one image are compared once.
func (p *pass) rootImage(vp *pair) string {
	want, vm, doc := vp.Intended.Image, vp.seen.lead.vm, vp.seen.lead.doc
	if p.whole || want == nil || vm.Image == nil || len(doc.Problems) > 0 {
		return p.compareRootImage(vp)
	}
	of := madeFrom{doc, *want, vm.Image.Source, vm.Image.Digest}
	if slices.Contains(p.right, of) {
		return ""
	}
	before := len(p.findings)
	wrong := p.compareRootImage(vp)
	if len(p.findings) == before && len(vm.Disks) > 0 {
		if len(p.right) > 0 && p.right[0].doc != doc || len(p.right) == maxRight {
			p.right = p.right[:0]
		}
		p.right = append(p.right, of)
	}
	return wrong
}

// maxRight bounds those that are looked through for each VM.
const maxRight = 64

// compareRootImage holds what the root disk was made from against the intended
// image: by the digest of the file at the ground of its backing chain where both
// sides have one, and else by that file's path. By its path only a file that
// Sentral knows as another image is a difference: images are kept at more places
// than records say.
func (p *pass) compareRootImage(vp *pair) string {
	want := vp.Intended.Image
	if want == nil {
		return ""
	}
	root := slices.IndexFunc(vp.seen.lead.vm.Disks, func(d inventory.Disk) bool { return d.IsStorage() })
	if root < 0 {
		return ""
	}
	path := "disks[" + diskName(&vp.seen.lead.vm.Disks[root], 0) + "].image"
	c := Comparison{Field: "image.source", Path: path, Intended: imageName(want.ID, want.Version), Class: Unknown}
	image := vp.seen.lead.vm.Image
	if image == nil || image.Source == "" && image.Digest == "" {
		c.Reason = "its root disk has no backing chain to read"
		return p.hold(vp, c, nil)
	}
	if id, judged := p.compareDigest(vp, c, image); judged {
		return id
	}
	known := p.intended.images[image.Source]
	if len(known) == 0 {
		c.Observed, c.Reason = orNothing(image.Source), "Sentral knows no image at "+image.Source
		if image.Source == "" {
			c.Reason = "Sentral knows no image by the digest " + image.Digest
		}
		return p.hold(vp, c, nil)
	}
	made := known[max(slices.IndexFunc(known, func(i *sentral.Image) bool { return meant(want, i) }), 0)]
	c.Observed, c.Class = imageName(made.ID, made.Version), class(meant(want, made))
	return p.hold(vp, c, p.wrongImage(vp, imageName(want.ID, want.Version), imageName(made.ID, made.Version), "its backing chain ends in "+image.Source))
}

func (p *pass) wrongImage(vp *pair, want, made string, evidence ...string) func() Finding {
	return func() Finding {
		return Finding{
			Kind:        DiskImage,
			Message:     fmt.Sprintf("the root disk of %s was made from %s, Sentral says %s", vp.name(), made, want),
			Evidence:    evidence,
			Resolutions: bothWays("rebuild it from "+want, "person", "set image to "+made+", if that is what it should run"),
		}
	}
}

// perhaps makes a finding that is only potential.
func perhaps(find func() Finding) func() Finding {
	return func() Finding {
		f := find()
		f.Verdict = Potential
		return f
	}
}

// meant says whether the reference means the image.
func meant(want *sentral.ImageRef, i *sentral.Image) bool {
	return i.ID == want.ID && (want.Version == "" || i.Version == want.Version)
}

// compareDigest compares digests, and says whether that settles it. A runtime
// names its images by a digest of its own kind of file, so one that Sentral
// doesn't know settles nothing; a file's digest is of what Sentral's is.
func (p *pass) compareDigest(vp *pair, c Comparison, image *inventory.Image) (finding string, settled bool) {
	want := vp.Intended.Image
	var digests []string
	for i := range p.intended.Images {
		if record := &p.intended.Images[i]; meant(want, record) {
			if !isDigest(record.Digest) {
				return "", false // which it may be
			}
			digests = append(digests, strings.ToLower(record.Digest))
		}
	}
	if len(digests) == 0 {
		return "", false
	}
	digest, evidence := strings.ToLower(image.Digest), "the runtime knows it by "+image.Digest
	if digest == "" {
		file := vp.seen.lead.host.imageFile(image.Source, &p.in)
		switch {
		case file == nil:
			return "", false
		case file.Digest == "" && p.isAnother(image.Source, want):
			return "", false // its path says enough
		case file.Digest == "":
			c.Field, c.Observed, c.Reason = "imageFile.digest", image.Source, "the digest of "+image.Source+" is not known: "+file.Undigested
			return p.hold(vp, c, nil), true
		}
		c.Field, c.Provenance = "imageFile.digest", vp.seen.lead.host.imageProvenance()
		digest, evidence = file.Digest, "its backing chain ends in "+image.Source
	}
	name, record := imageName(want.ID, want.Version), p.intended.byDigest[digest]
	made := name
	switch agrees := slices.Contains(digests, digest); {
	case agrees:
		c.Class = Equal
	case record != nil:
		c.Class, made = Mismatched, imageName(record.ID, record.Version)
	case image.Digest != "":
		return "", false
	default:
		c.Class, made = Mismatched, ""
	}
	theirs := strings.Join(digests, " or ")
	c.Intended, c.Observed = name+" "+theirs, strings.TrimSpace(made+" "+digest)
	wrong := p.wrongImage(vp, name, orElse(made, digest), evidence, "its digest is "+digest+", Sentral's is "+theirs)
	if made == "" && len(p.intended.images[image.Source]) == 0 {
		return p.hold(vp, c, perhaps(wrong)), true // or the same, converted to another format
	}
	return p.hold(vp, c, wrong), true
}

// isAnother says whether Sentral has only other images at the path.
func (p *pass) isAnother(path string, want *sentral.ImageRef) bool {
	known := p.intended.images[path]
	return len(known) > 0 && !slices.ContainsFunc(known, func(i *sentral.Image) bool { return meant(want, i) })
}

// isDigest says whether a record's digest is of the kind that is computed.
func isDigest(text string) bool { return strings.HasPrefix(strings.ToLower(text), "sha256:") }

// imageFile is what is known of a file that disks rest on; nil where nothing is.
func (h *hostView) imageFile(path string, in *Input) *inventory.ImageFile {
	for _, doc := range h.docs {
		if len(doc.ImageFiles) == 0 || !h.fresh(doc, in) {
			continue
		}
		for i := range doc.ImageFiles {
			if doc.ImageFiles[i].Path == path {
				return &doc.ImageFiles[i]
			}
		}
	}
	return nil
}

func (h *hostView) imageProvenance() *Provenance {
	for _, doc := range h.docs {
		if len(doc.ImageFiles) > 0 {
			return doc.provenance("imageFile.digest")
		}
	}
	return nil
}
