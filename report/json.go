package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/dataverket/avstem/reconcile"
)

// JSON writes findings as an indented array: CONTRACTS.md §4.
func JSON(w io.Writer, findings []reconcile.Finding) error {
	list := make([]reconcile.Finding, 0, len(findings))
	for _, f := range sorted(findings) {
		list = append(list, finish(f))
	}
	return writeJSON(w, list)
}

// finish fills in what the contract always has, and puts times into UTC.
func finish(f reconcile.Finding) reconcile.Finding {
	f.FirstSeen, f.Since, f.LastSeen = f.FirstSeen.UTC(), f.Since.UTC(), f.LastSeen.UTC()
	if f.Provenance != nil {
		p := *f.Provenance
		p.ObservedAt = p.ObservedAt.UTC()
		f.Provenance = &p
	}
	if f.Resolutions == nil {
		f.Resolutions = []reconcile.Resolution{}
	}
	return f
}

// marshal is json.Marshal that leaves <, > and & as they are: nothing here is
// put into HTML.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

func writeJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	_, err := io.WriteString(w, quiet(b.String()))
	return err
}

// quiet escapes what encoding/json leaves as it is and a terminal acts on: DEL,
// the C1 controls (U+009B begins a sequence as ESC [ does) and what turns the
// direction of text. Such characters stand in strings only, where \u is allowed.
func quiet(text string) string {
	unsafe := func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }
	if strings.IndexFunc(text, unsafe) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case !unsafe(r):
			b.WriteRune(r)
		case r > 0xffff: // as a surrogate pair (RFC 8259 section 7)
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800|r>>10, 0xdc00|r&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
