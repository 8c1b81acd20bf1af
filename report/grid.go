package report

import (
	"cmp"
	"slices"
	"strings"
)

// grid lays out rows in columns, one of which (flex) takes what the others
// leave. Where they leave too little it goes on lines of its own below them.
type grid struct {
	width   int
	painter painter
	columns []column
	flex    int
	least   int // the narrowest that flex gets beside others; 0 means flexLeast
	rows    []gridRow
}

// column is how one column of a grid may be laid out.
type column struct {
	title string
	most  int  // columns of the terminal at most; 0 means any number
	right bool // flush right
	cut   bool // what doesn't fit is cut in its middle, and not wrapped
	path  bool // it is cut between the owner that it begins and the name that it ends with, and only where it must
	firm  bool // gives nothing to the flexible column
	whole bool // is never made narrower
}

// gridRow is one row: its cells, how each is painted, and lines below it. One
// with a title is a line of its own across the columns, instead.
type gridRow struct {
	title string
	cells []string // printable
	sgr   []string
	below []note
}

// note is a text under a row, indented with the row's second column.
type note struct {
	text string
	sgr  string
	lead string // stands before it; further lines begin under the text
}

const (
	gap = 2
	// flexLeast is the narrowest that the flexible column gets beside others, where
	// its grid doesn't say.
	flexLeast = 30
	// columnLeast is the narrowest that any other column is made.
	columnLeast = 8
)

// layout decides the columns' widths and whether the flexible one is stacked
// below the others.
func (g *grid) layout() (widths []int, stacked bool) {
	widths = make([]int, len(g.columns))
	owned := make([]int, len(g.columns)) // what a path takes that begins with its owner
	for c := range g.columns {
		widths[c] = displayWidth(g.columns[c].title)
		for _, row := range g.rows {
			if row.title == "" {
				widths[c] = max(widths[c], displayWidth(row.cells[c]))
				if g.columns[c].path && strings.Contains(row.cells[c], "/") {
					owned[c] = max(owned[c], displayWidth(row.cells[c]))
				}
			}
		}
		if most := g.columns[c].most; most > 0 {
			widths[c] = min(widths[c], max(most, displayWidth(g.columns[c].title)))
		}
	}
	natural := slices.Clone(widths)
	least := min(natural[g.flex], cmp.Or(g.least, flexLeast))
	left := func() int { return g.width - total(widths) + widths[g.flex] }
	// A little is taken from the widest column before the layout changes.
	widths[g.flex] = least
	for range g.width / 8 {
		if left() >= least || !g.shrink(widths, owned) {
			break
		}
	}
	if widths[g.flex] = min(natural[g.flex], left()); widths[g.flex] >= least {
		return widths, false
	}
	widths = natural
	widths[g.flex] = -gap
	for total(widths) > g.width && g.shrink(widths, nil) {
	}
	return widths, true
}

// total is the width of a line of these columns.
func total(widths []int) int {
	sum := -gap
	for _, w := range widths {
		sum += w + gap
	}
	return sum
}

// shrink takes one off the widest column that may lose it. Where least is given,
// none gets narrower than it says, and firm ones stay as they are.
func (g *grid) shrink(widths, least []int) bool {
	widest := -1
	for c, w := range widths {
		column := &g.columns[c]
		if c == g.flex || column.whole || w <= columnLeast || least != nil && (column.firm || w <= least[c]) {
			continue
		}
		if widest < 0 || w > widths[widest] {
			widest = c
		}
	}
	if widest < 0 {
		return false
	}
	widths[widest]--
	return true
}

func (g *grid) write(b *strings.Builder) {
	widths, stacked := g.layout()
	indent := widths[0] + gap
	head := gridRow{cells: make([]string, len(g.columns)), sgr: make([]string, len(g.columns))}
	for c := range g.columns {
		head.cells[c], head.sgr[c] = g.columns[c].title, sgrBold
	}
	g.line(b, &head, widths, stacked)
	for i := range g.rows {
		row := &g.rows[i]
		if row.title != "" {
			g.below(b, indent, note{text: row.title})
			continue
		}
		g.line(b, row, widths, stacked)
		if stacked && row.cells[g.flex] != "" {
			g.below(b, indent, note{text: row.cells[g.flex], sgr: row.sgr[g.flex]})
		}
		for _, n := range row.below {
			g.below(b, indent, n)
		}
	}
}

// line writes one row, on as many lines as its tallest cell takes.
func (g *grid) line(b *strings.Builder, row *gridRow, widths []int, stacked bool) {
	cells := make([][]string, len(row.cells))
	height := 1
	for c, cell := range row.cells {
		switch {
		case c == g.flex && stacked:
			continue
		case g.columns[c].path:
			cells[c] = []string{shortenPath(cell, widths[c])}
		case g.columns[c].cut:
			cells[c] = []string{shorten(cell, widths[c])}
		default:
			cells[c] = wrap(cell, widths[c])
		}
		height = max(height, len(cells[c]))
	}
	for l := range height {
		var line strings.Builder
		blank := 0 // spaces that are only written if something follows
		for c := range cells {
			if c == g.flex && stacked {
				continue
			}
			cell := ""
			if l < len(cells[c]) {
				cell = cells[c][l]
			}
			room := widths[c] - displayWidth(cell)
			if cell != "" {
				if g.columns[c].right {
					blank, room = blank+room, 0
				}
				line.WriteString(strings.Repeat(" ", blank))
				line.WriteString(g.painter.paint(row.sgr[c], cell))
				blank = 0
			}
			blank += room + gap
		}
		b.WriteString(line.String())
		b.WriteByte('\n')
	}
}

func (g *grid) below(b *strings.Builder, indent int, n note) {
	lead := n.lead
	for _, line := range wrap(n.text, g.width-indent-displayWidth(lead)) {
		b.WriteString(strings.Repeat(" ", indent))
		b.WriteString(g.painter.paint(n.sgr, lead+line))
		b.WriteByte('\n')
		lead = strings.Repeat(" ", displayWidth(lead))
	}
}
