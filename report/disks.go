package report

import (
	"cmp"

	"github.com/dataverket/avstem/reconcile"
)

// diskPaths shows each disk's layers, and what each lies on, down to the ground.
func (p *page) diskPaths(paths []reconcile.DiskPath) {
	if len(paths) == 0 {
		return
	}
	p.head("Storage")
	for i := range paths {
		above := ""
		for j := range paths[i].Layers {
			layer := &paths[i].Layers[j]
			name := printable(layer.Source)
			if layer.Format != "" {
				name += " (" + printable(layer.Format) + ")"
			}
			if j == 0 {
				p.para(2, printable(paths[i].Disk), "", name)
			} else {
				p.para(2, "below it", "", name)
			}
			above = p.ground(layer.Ground, above)
		}
	}
}

// ground shows what a layer lies on, unless the layer above lies on the same, and
// returns it as text.
func (p *page) ground(g *reconcile.Ground, above string) string {
	if g == nil {
		return above
	}
	text := groundText(g)
	switch {
	case text == "":
	case text == above:
		p.para(4, "on", sgrFaint, "the same")
	default:
		p.para(4, "on", "", text)
	}
	if g.Reason != "" && (text != above || text == "") {
		p.para(4, "", sgrFaint, printable(g.Reason))
	}
	if g.Derived && text != above {
		p.para(4, "", sgrFaint, "followed by its path, which a symbolic link or a bind mount may lead elsewhere")
	}
	return cmp.Or(text, above)
}

func groundText(g *reconcile.Ground) string {
	text := printable(reconcile.PathText(g.Hops))
	if g.Remote == "" {
		return text
	}
	if text != "" {
		text += " → "
	}
	return text + printable(g.Remote)
}
