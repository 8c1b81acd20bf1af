package report

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dataverket/avstem/evaluate"
)

// PlatformsOptions are what the caller knows about the page.
type PlatformsOptions struct {
	Width int // columns of a terminal: 0 means 100
	Color bool
	// All shows every field that is counted, and not only those that reconciling
	// needs or that have a gap to explain.
	All bool
}

// Platforms writes the numbers of runtimes side by side, for people: first the
// headlines, then each field, then the reason for every gap.
func Platforms(w io.Writer, numbers []evaluate.Numbers, o PlatformsOptions) error {
	width := (&Options{Width: o.Width}).width()
	var b strings.Builder
	if len(numbers) == 0 {
		b.WriteString("No host has reported such a runtime.\n")
	}
	// As many as fit stand side by side, the others below.
	each := max(1, (width-platformLabel)/platformColumn)
	for part := range slices.Chunk(numbers, each) {
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		t := &sideBySide{b: &b, painter: painter(o.Color), width: min(platformMost, (width-platformLabel)/len(part)), title: titles(numbers)}
		t.headlines(part)
		t.parts(part, append(seenPart(part, o.All), comparedPart(part)...))
	}
	if len(numbers) > 0 {
		b.WriteByte('\n')
		for _, line := range wrap(changeLegend, width) {
			b.WriteString(line + "\n")
		}
	}
	gaps(&b, numbers, &o, width)
	_, err := io.WriteString(w, b.String())
	return err
}

const (
	platformLabel  = 24 // columns for what a row is about
	platformColumn = 18 // the least for one platform
	platformMost   = 26 // and the most
)

// changeLegend explains the words beside the shares.
const changeLegend = "event: a change is told of at once; poll: the next pass over the host finds it; " +
	"another word is why most of those that lack it do."

// sideBySide writes rows of cells, one a platform.
type sideBySide struct {
	b       *strings.Builder
	painter painter
	width   int
	title   func(*evaluate.Numbers) string
}

func (t *sideBySide) row(label, sgr string, cells []string) {
	line := pad(label, platformLabel)
	for _, cell := range cells {
		line += pad(shorten(cell, t.width-gap), t.width)
	}
	t.b.WriteString(t.painter.paint(sgr, strings.TrimRight(line, " ")))
	t.b.WriteByte('\n')
}

func (t *sideBySide) head(text string) {
	t.b.WriteString("\n" + t.painter.paint(sgrBold, text) + "\n")
}

// headline is one line above the fields. One that is empty for all is left out.
type headline struct {
	Label string
	sgr   string
	Cell  func(*evaluate.Numbers) string
}

var headlines = []headline{
	{"runtime", "", func(n *evaluate.Numbers) string { return strings.TrimSpace(n.Runtime + " " + n.Version) }},
	{"host", "", func(n *evaluate.Numbers) string { return n.Host }},
	{"hosts seen whole", "", func(n *evaluate.Numbers) string { return ofAll(n.Hosts) }},
	{"guests seen", "", func(n *evaluate.Numbers) string { return count(n.VMs) }},
	{"observability", sgrBold, func(n *evaluate.Numbers) string { return ratio(n.Observability) }},
	{"  if all were set", "", func(n *evaluate.Numbers) string { return ratio(n.Observable) }},
	{"reconcilability", sgrBold, func(n *evaluate.Numbers) string { return ratio(n.Reconcilability) }},
	{"durable identity", "", func(n *evaluate.Numbers) string { return ofAll(n.Identity.Durable) }},
	{"NIC paths followed", "", func(n *evaluate.Numbers) string { return ofAll(n.Paths) }},
	{"not in Sentral", "", func(n *evaluate.Numbers) string { return orWords(some(n.Identity.Unknown), "0") }},
	{"missing", "", func(n *evaluate.Numbers) string { return some(n.Identity.Missing) }},
	{"could not be looked for", "", func(n *evaluate.Numbers) string { return some(n.Identity.Unseen) }},
}

func (t *sideBySide) headlines(part []evaluate.Numbers) {
	for _, h := range append([]headline{{"", sgrBold, t.title}}, headlines...) {
		cells := make([]string, len(part))
		some := false
		for i := range part {
			cells[i] = printable(h.Cell(&part[i]))
			some = some || cells[i] != ""
		}
		if some {
			t.row(h.Label, h.sgr, cells)
		}
	}
}

func platformTitle(n *evaluate.Numbers) string {
	if n.Type != "" {
		return n.Platform + " " + n.Type + "s"
	}
	return n.Platform
}

// titles names platforms so that no two are called the same, where more is known of
// them: one platform may be on several runtimes, and on several versions of one.
func titles(numbers []evaluate.Numbers) func(*evaluate.Numbers) string {
	same, runtimes := map[string]int{}, map[string]map[string]bool{}
	for i := range numbers {
		n := &numbers[i]
		if n.Host != "" {
			continue // which tells them apart
		}
		title := platformTitle(n)
		same[title]++
		if runtimes[title] == nil {
			runtimes[title] = map[string]bool{}
		}
		runtimes[title][n.Runtime] = true
	}
	return func(n *evaluate.Numbers) string {
		title := platformTitle(n)
		switch {
		case same[title] < 2 || n.Host != "":
			return title
		case len(runtimes[title]) == same[title]:
			return title + " on " + n.Runtime
		}
		return strings.TrimSpace(title + " " + n.Version)
	}
}

// numbersPart is a list of fields of all platforms, under its title.
type numbersPart struct {
	Title  string
	of     func(*evaluate.Numbers) []evaluate.FieldShare
	Fields []string // of any of them
}

// partsOf are the fields that reconciling needs, and those that were compared.
func partsOf(numbers []evaluate.Numbers) []numbersPart {
	return append(seenPart(numbers, false), comparedPart(numbers)...)
}

func seenPart(numbers []evaluate.Numbers, all bool) []numbersPart {
	return newPart("Seen on", numbers, func(n *evaluate.Numbers) []evaluate.FieldShare {
		return slices.DeleteFunc(slices.Clone(n.Fields), func(f evaluate.FieldShare) bool { return !f.Needed && !all })
	})
}

func comparedPart(numbers []evaluate.Numbers) []numbersPart {
	return newPart("Compared on", numbers, func(n *evaluate.Numbers) []evaluate.FieldShare { return n.Compared })
}

// newPart is none where there is no field.
func newPart(title string, numbers []evaluate.Numbers, of func(*evaluate.Numbers) []evaluate.FieldShare) []numbersPart {
	p := numbersPart{Title: title, of: of}
	for i := range numbers {
		for _, f := range of(&numbers[i]) {
			if !slices.Contains(p.Fields, string(f.Field)) {
				p.Fields = append(p.Fields, string(f.Field))
			}
		}
	}
	if len(p.Fields) == 0 {
		return nil
	}
	return []numbersPart{p}
}

func (t *sideBySide) parts(part []evaluate.Numbers, parts []numbersPart) {
	for _, p := range parts {
		t.head(p.Title)
		for _, field := range p.Fields {
			cells := make([]string, len(part))
			for i := range part {
				cells[i] = fieldCell(p.of(&part[i]), field)
			}
			t.row(field, "", cells)
		}
	}
}

// fieldCell is a field's cell among those of one platform.
func fieldCell(fields []evaluate.FieldShare, field string) string {
	at := slices.IndexFunc(fields, func(f evaluate.FieldShare) bool { return string(f.Field) == field })
	if at < 0 {
		return "–"
	}
	return shareCell(&fields[at])
}

// shareCell is "85 % poll", or "0 % not-there": how it is seen, or why it isn't.
func shareCell(f *evaluate.FieldShare) string {
	r, some := f.Ratio()
	if !some {
		return "–"
	}
	word := f.Change
	if f.Have < f.Of && len(f.Gaps) > 0 {
		most := slices.MaxFunc(f.Gaps, func(a, b evaluate.Gap) int { return cmp.Compare(a.Count, b.Count) })
		word = string(most.Why)
	}
	return strings.TrimSpace(fmt.Sprintf("%6s %s", evaluate.Percent(r), word))
}

func ratio(f *float64) string {
	if f == nil {
		return "–"
	}
	return evaluate.Percent(*f)
}

// ofAll is "12 of 13", or a dash where there is nothing to count.
func ofAll(s evaluate.Share) string {
	if s.Of == 0 {
		return "–"
	}
	return fmt.Sprintf("%d of %d", s.Have, s.Of)
}

func some(n int) string {
	if n == 0 {
		return ""
	}
	return count(n)
}

// gaps gives the reason for every gap in words. Fields that lack the same for
// the same reason are told together.
func gaps(b *strings.Builder, numbers []evaluate.Numbers, o *PlatformsOptions, width int) {
	lines := gapLines(numbers, o.All)
	if len(lines) == 0 {
		return
	}
	b.WriteString("\n" + painter(o.Color).paint(sgrBold, "Why something is lacking") + "\n")
	for i := range lines {
		lines[i].write(b, width)
	}
}

// gapLines are the gaps of the fields that reconciling needs, or of all.
func gapLines(numbers []evaluate.Numbers, all bool) []gapLine {
	var lines []gapLine
	title := titles(numbers)
	for i := range numbers {
		n := &numbers[i]
		for _, f := range n.Fields {
			if f.Needed || all {
				lines = addGaps(lines, n, title(n), &f)
			}
		}
		for _, f := range n.Compared {
			lines = addGaps(lines, n, title(n), &f)
		}
	}
	return lines
}

type gapLine struct {
	numbers *evaluate.Numbers
	title   string
	fields  []string
	of      int
	gap     evaluate.Gap
}

func addGaps(lines []gapLine, n *evaluate.Numbers, title string, f *evaluate.FieldShare) []gapLine {
	for _, g := range f.Gaps {
		same := func(l gapLine) bool { return l.numbers == n && l.of == f.Of && l.gap == g }
		if i := slices.IndexFunc(lines, same); i >= 0 {
			lines[i].fields = append(lines[i].fields, string(f.Field))
			continue
		}
		lines = append(lines, gapLine{n, title, []string{string(f.Field)}, f.Of, g})
	}
	return lines
}

func (l *gapLine) write(b *strings.Builder, width int) {
	lead := pad(printable(shorten(cmp.Or(l.numbers.Host, l.title), platformColumn-gap)), platformColumn) +
		pad(l.fields[0], platformLabel)
	words := l.words()
	if more := l.fields[1:]; len(more) > 0 {
		words += "; the same of " + strings.Join(more, ", ")
	}
	for _, line := range wrap(printable(words), max(width-displayWidth(lead), flexLeast)) {
		b.WriteString(strings.TrimRight(lead+line, " ") + "\n")
		lead = strings.Repeat(" ", displayWidth(lead))
	}
}

// words says why, without the fields.
func (l *gapLine) words() string {
	words := fmt.Sprintf("%d of %d: %s", l.gap.Count, l.of, gapWords[l.gap.Why])
	if l.gap.Note != "" {
		words += " (" + l.gap.Note + ")"
	}
	if l.gap.Remedy != "" {
		words += "; " + l.gap.Remedy
	}
	return words
}

var gapWords = map[evaluate.Why]string{
	evaluate.Refused:     "we may not read it",
	evaluate.TimedOut:    "the source didn't answer in time",
	evaluate.Broken:      "it couldn't be read",
	evaluate.Silent:      "what was said of it is too old",
	evaluate.Unset:       "nobody has set it",
	evaluate.NotRead:     "avstem doesn't read it there",
	evaluate.NotThere:    "the runtime doesn't have it",
	evaluate.NotCompared: "not compared",
}

// platformColumns are added to at the end and never renamed: scripts name them.
var platformColumns = []string{
	"platform", "type", "runtime", "version", "site", "host", "measure", "field", "needed", "have", "of", "share",
	"known", "change", "from", "oldestSeconds", "why", "count", "note", "remedy",
}

// PlatformsCSV writes the numbers as RFC 4180 says: a row for each field and
// measure, and one for each gap of it, which repeats the field's own columns.
func PlatformsCSV(w io.Writer, numbers []evaluate.Numbers) error {
	out := csv.NewWriter(w)
	rows := [][]string{platformColumns}
	for i := range numbers {
		n := &numbers[i]
		for _, f := range n.Fields {
			rows = append(rows, platformRows(n, "observed", &f)...)
		}
		for _, f := range n.Compared {
			rows = append(rows, platformRows(n, "compared", &f)...)
		}
	}
	for _, row := range rows {
		for i := range row {
			row[i] = disarm(printable(row[i]))
		}
	}
	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	return nil
}

func platformRows(n *evaluate.Numbers, measure string, f *evaluate.FieldShare) [][]string {
	share := ""
	if r, some := f.Ratio(); some {
		share = strconv.FormatFloat(r, 'f', 4, 64)
	}
	row := []string{
		n.Platform, n.Type, n.Runtime, n.Version, n.Site, n.Host, measure, string(f.Field), strconv.FormatBool(f.Needed),
		count(f.Have), count(f.Of), share, f.Known, f.Change, f.From, count(int(f.Oldest / time.Second)),
	}
	if len(f.Gaps) == 0 {
		return [][]string{append(row, "", "", "", "")}
	}
	var rows [][]string
	for _, g := range f.Gaps {
		rows = append(rows, append(slices.Clone(row), string(g.Why), count(g.Count), g.Note, g.Remedy))
	}
	return rows
}

// PlatformsJSON writes the numbers as an indented array.
func PlatformsJSON(w io.Writer, numbers []evaluate.Numbers) error {
	return writeJSON(w, append([]evaluate.Numbers{}, numbers...))
}

// PlatformsMarkdown writes the numbers as two tables of GitHub Flavored Markdown.
func PlatformsMarkdown(w io.Writer, numbers []evaluate.Numbers) error {
	var b strings.Builder
	writePlatformsMarkdown(&b, numbers)
	_, err := io.WriteString(w, b.String())
	return err
}

func writePlatformsMarkdown(b *strings.Builder, numbers []evaluate.Numbers) {
	title := titles(numbers)
	b.WriteString("| Platform | Runtime | Host | Hosts seen whole | Guests | Observability | If all were set | Reconcilability | Durable identity | NIC paths followed |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|\n")
	for i := range numbers {
		n := &numbers[i]
		markdownCells(b, title(n), strings.TrimSpace(n.Runtime+" "+n.Version), n.Host, ofAll(n.Hosts), count(n.VMs),
			ratio(n.Observability), ratio(n.Observable), ratio(n.Reconcilability), ofAll(n.Identity.Durable), ofAll(n.Paths))
	}
	b.WriteString("\n| Platform | Host | Measure | Field | Share | How | Why it is lacking |\n|---|---|---|---|---|---|---|\n")
	for i := range numbers {
		n := &numbers[i]
		for _, part := range []struct {
			measure string
			fields  []evaluate.FieldShare
		}{{"seen", n.Fields}, {"compared", n.Compared}} {
			for _, f := range part.fields {
				var why []string
				for _, g := range f.Gaps {
					why = append(why, strings.TrimSuffix(fmt.Sprintf("%d: %s (%s)", g.Count, gapWords[g.Why], g.Note), " ()"))
				}
				r, _ := f.Ratio()
				markdownCells(b, title(n), n.Host, part.measure, string(f.Field), evaluate.Percent(r), f.Change, strings.Join(why, "; "))
			}
		}
	}
}

func markdownCells(b *strings.Builder, cells ...string) {
	for i := range cells {
		cells[i] = inMarkdown(cells[i])
	}
	writeCells(b, cells)
}

// writeCells writes a row of what is Markdown already.
func writeCells(b *strings.Builder, cells []string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}
