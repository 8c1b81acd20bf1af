package report

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ellipsis stands for what a cut leaves out.
const ellipsis = "…"

// Printable is for what a caller writes beside a report: it escapes everything
// that a terminal might act on instead of showing it, but for line ends.
func Printable(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

// printable escapes everything that a terminal might act on instead of showing
// it: control characters (so that a VM's name can't hold an escape sequence),
// line and paragraph separators, characters that turn the direction of text,
// and bytes that are no UTF-8.
func printable(s string) string {
	clean := true
	for _, r := range s {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteString(`\x` + strconv.FormatUint(uint64(s[i])|0x100, 16)[1:])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
		i += size
	}
	return b.String()
}

// wide holds what takes two columns of a terminal: East Asian wide and
// fullwidth characters (Unicode Standard Annex 11) and pictographs.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1}, {Lo: 0x231a, Hi: 0x231b, Stride: 1}, {Lo: 0x2329, Hi: 0x232a, Stride: 1},
		{Lo: 0x23e9, Hi: 0x23f3, Stride: 1}, {Lo: 0x25fd, Hi: 0x25fe, Stride: 1}, {Lo: 0x2614, Hi: 0x2615, Stride: 1},
		{Lo: 0x2648, Hi: 0x2653, Stride: 1}, {Lo: 0x26a1, Hi: 0x26a1, Stride: 1}, {Lo: 0x26aa, Hi: 0x26ab, Stride: 1},
		{Lo: 0x26bd, Hi: 0x26fd, Stride: 1}, {Lo: 0x2705, Hi: 0x2705, Stride: 1}, {Lo: 0x270a, Hi: 0x270b, Stride: 1},
		{Lo: 0x2728, Hi: 0x2728, Stride: 1}, {Lo: 0x274c, Hi: 0x2757, Stride: 1}, {Lo: 0x2795, Hi: 0x2797, Stride: 1},
		{Lo: 0x27b0, Hi: 0x27bf, Stride: 1}, {Lo: 0x2b1b, Hi: 0x2b1c, Stride: 1}, {Lo: 0x2b50, Hi: 0x2b55, Stride: 1},
		{Lo: 0x2e80, Hi: 0x303e, Stride: 1}, {Lo: 0x3041, Hi: 0x4dbf, Stride: 1}, {Lo: 0x4e00, Hi: 0xa4cf, Stride: 1},
		{Lo: 0xa960, Hi: 0xa97f, Stride: 1}, {Lo: 0xac00, Hi: 0xd7a3, Stride: 1}, {Lo: 0xf900, Hi: 0xfaff, Stride: 1},
		{Lo: 0xfe10, Hi: 0xfe19, Stride: 1}, {Lo: 0xfe30, Hi: 0xfe6f, Stride: 1}, {Lo: 0xff00, Hi: 0xff60, Stride: 1},
		{Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x16fe0, Hi: 0x1b2ff, Stride: 1}, {Lo: 0x1f004, Hi: 0x1f004, Stride: 1}, {Lo: 0x1f0cf, Hi: 0x1f0cf, Stride: 1},
		{Lo: 0x1f18e, Hi: 0x1f19a, Stride: 1}, {Lo: 0x1f200, Hi: 0x1faff, Stride: 1}, {Lo: 0x20000, Hi: 0x3fffd, Stride: 1},
	},
}

// runeWidth is how many columns of a terminal a printable character takes.
func runeWidth(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}

// displayWidth is how many columns of a terminal a printable text takes.
func displayWidth(s string) int {
	total := 0
	for _, r := range s {
		total += runeWidth(r)
	}
	return total
}

// shorten cuts a printable text in its middle so that it takes at most width
// columns: names of VMs and disks differ at both ends.
func shorten(s string, width int) string {
	if displayWidth(s) <= width {
		return s
	}
	if width <= 1 {
		return strings.Repeat(ellipsis, max(width, 0))
	}
	runes := []rune(s)
	head, tail := 0, len(runes)
	left, right := width/2, (width-1)/2
	for used := 0; head < tail; head++ {
		if used += runeWidth(runes[head]); used > left {
			break
		}
	}
	for used := 0; tail > head; tail-- {
		if used += runeWidth(runes[tail-1]); used > right {
			break
		}
	}
	return string(runes[:head]) + ellipsis + string(runes[tail:])
}

// shortenPath cuts a printable tenant/project/name so that it takes at most width
// columns: the name is what people look for and type, and the tenant whose it is.
func shortenPath(s string, width int) string {
	if displayWidth(s) <= width {
		return s
	}
	first, name := strings.IndexByte(s, '/'), strings.LastIndexByte(s, '/')+1
	if first < 0 {
		return shorten(s, width)
	}
	owner := s[:first]
	for _, short := range []string{owner + "/" + ellipsis + "/" + s[name:], ellipsis + "/" + s[name:]} {
		if displayWidth(short) <= width && len(short) < len(s)+len(ellipsis) {
			return short
		}
	}
	return shorten(s[name:], width)
}

// clip cuts a printable text at its end so that it takes at most width columns:
// sentences say most at their beginning.
func clip(s string, width int) string {
	if displayWidth(s) <= width {
		return s
	}
	head, _ := splitAt(s, width-1)
	return head + ellipsis
}

// pad fills a text to width columns.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(width-displayWidth(s), 0))
}

// wrap breaks a printable text into lines of at most width columns, between
// words where it can.
func wrap(s string, width int) []string {
	width = max(width, 8)
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(s) {
		for displayWidth(word) > width {
			if line != "" {
				lines, line = append(lines, line), ""
			}
			head, rest := splitPathAt(word, width)
			lines, word = append(lines, head), rest
		}
		switch {
		case line == "":
			line = word
		case displayWidth(line)+1+displayWidth(word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

// splitPathAt cuts a word that is too long for a line behind a slash, or before a
// field's dot or bracket, if that leaves no more than half of the line empty.
func splitPathAt(s string, width int) (head, rest string) {
	head, rest = splitAt(s, width)
	at := strings.LastIndexByte(head, '/') + 1
	if strings.IndexAny(rest, ".[") != 0 { // else it is cut before one already
		at = max(at, strings.LastIndexAny(head, ".["))
	} else {
		at = len(head)
	}
	if at > 0 && displayWidth(head[:at]) >= width/2 {
		return s[:at], s[at:]
	}
	return head, rest
}

// splitAt cuts a text after at most width columns.
func splitAt(s string, width int) (head, rest string) {
	used := 0
	for i, r := range s {
		if used += runeWidth(r); used > width {
			return s[:i], s[i:]
		}
	}
	return s, ""
}
