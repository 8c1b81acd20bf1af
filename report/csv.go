package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/dataverket/avstem/reconcile"
)

// csvColumns are added to at the end and never renamed: scripts name them.
var csvColumns = []string{
	"severity", "kind", "state", "verdict",
	"type", "subject", "name", "tenant", "project", "environment", "site", "host", "platform",
	"field", "intended", "observed", "message",
	"matchedBy", "weak", "collector", "source", "observedAt",
	"changeRuntime", "how", "changeSentral",
	"firstSeen", "since", "lastSeen", "flaps", "causedBy", "id",
}

// CSV writes findings as RFC 4180 says, with a header, but for its line ends: they are
// those of all other text, as cut and $() take the CR of CRLF for a part of the value.
func CSV(w io.Writer, findings []reconcile.Finding) error {
	out := csv.NewWriter(w)
	if err := out.Write(csvColumns); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	for _, f := range sorted(findings) {
		record := csvRecord(&f)
		for i := range record {
			record[i] = disarm(printable(record[i]))
		}
		if err := out.Write(record); err != nil {
			return fmt.Errorf("write CSV: %w", err)
		}
	}
	out.Flush()
	return out.Error()
}

func csvRecord(f *reconcile.Finding) []string {
	var by, weak, collector, source, at string
	if f.Match != nil {
		by, weak = f.Match.By, strconv.FormatBool(f.Match.Weak)
	}
	if f.Provenance != nil {
		collector, source, at = f.Provenance.Collector, f.Provenance.Source, stamp(f.Provenance.ObservedAt)
	}
	runtime, how := resolution(f, "runtime")
	sentral, _ := resolution(f, "sentral")
	s := &f.Subject
	return []string{
		string(f.Severity), string(f.Kind), string(f.State), string(f.Verdict),
		s.Type, s.ID, s.Name, s.Tenant, s.Project, s.Environment, s.Site, s.Host, s.Platform,
		f.Field, flat(f.Intended), flat(f.Observed), f.Message,
		by, weak, collector, source, at,
		runtime, how, sentral,
		stamp(f.FirstSeen), stamp(f.Since), stamp(f.LastSeen), count(f.Flaps), f.CausedBy, f.ID,
	}
}

// resolution joins what can be done on one side.
func resolution(f *reconcile.Finding, side string) (do, how string) {
	var dos, hows []string
	for _, r := range f.Resolutions {
		if r.Side != side {
			continue
		}
		dos = append(dos, r.Do)
		if r.How != "" {
			hows = append(hows, r.How)
		}
	}
	return strings.Join(dos, "; "), strings.Join(hows, "; ")
}

// disarm puts an apostrophe before what a spreadsheet would take for a formula:
// =, +, -, @ and their fullwidth twins, also behind spaces, which some programs
// strip. (Tabs and line ends, which begin one too, are escaped by then.)
func disarm(s string) string {
	if rest := strings.TrimLeft(s, " '\""); rest != "" && strings.ContainsRune("=+-@＝＋－＠", []rune(rest)[0]) {
		return "'" + s
	}
	return s
}
