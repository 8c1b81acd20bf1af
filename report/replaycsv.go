package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"

	"github.com/dataverket/avstem/replay"
)

// replayColumns are added to at the end and never renamed: scripts name them.
var replayColumns = []string{
	"by", "kind", "type", "subject", "name", "tenant", "project", "environment", "site", "host", "platform",
	"field", "intended", "observed", "message", "whyNot",
	"againstSeverity", "againstSince", "againstTimes", "againstSeconds", "againstOpen",
	"policySeverity", "policySince", "policyTimes", "policySeconds", "policyOpen", "id",
}

// ReplayCSV writes every finding that either policy had, one a row, with a header.
func ReplayCSV(w io.Writer, c *replay.Comparison) error {
	out := csv.NewWriter(w)
	_ = out.Write(replayColumns) // the writer keeps its first error
	for i := range c.Findings {
		f := &c.Findings[i]
		by := "both"
		switch {
		case f.Policy == nil:
			by = "against"
		case f.Against == nil:
			by = "policy"
		}
		s := &f.Subject
		record := []string{by, string(f.Kind), s.Type, s.ID, s.Name, s.Tenant, s.Project, s.Environment, s.Site, s.Host, s.Platform,
			f.Field, flat(f.Intended), flat(f.Observed), f.Message, f.WhyNot}
		for _, l := range []*replay.Life{f.Against, f.Policy} {
			if l == nil {
				record = append(record, "", "", "", "", "")
				continue
			}
			record = append(record, string(l.Severity), stamp(l.Since), count(l.Times), strconv.FormatFloat(l.OpenFor, 'f', 0, 64), strconv.FormatBool(l.Open))
		}
		record = append(record, f.ID)
		for i := range record {
			record[i] = disarm(printable(record[i]))
		}
		_ = out.Write(record)
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	return nil
}
