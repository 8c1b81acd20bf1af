package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/report/drift"
)

// driftColumns are one value a row, as a report holds things of many shapes: filter
// by section, and pivot by measure. They are added to at the end and never renamed.
var driftColumns = []string{"platform", "section", "item", "measure", "value"}

// DriftCSV writes a report as RFC 4180 says, one value a row.
func DriftCSV(w io.Writer, r *drift.Report) error {
	out := csv.NewWriter(w)
	c := &driftCSV{out: out}
	c.write(driftColumns...)
	c.platform = r.Platform
	c.row("report", "", "at", stamp(r.At))
	for _, note := range r.Notes {
		c.row("report", "", "note", note)
	}
	for i := range r.Sections {
		c.section(&r.Sections[i])
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	return nil
}

type driftCSV struct {
	out      *csv.Writer
	platform string
}

func (c *driftCSV) write(cells ...string) {
	for i := range cells {
		cells[i] = disarm(printable(cells[i]))
	}
	_ = c.out.Write(cells) // the writer keeps its first error
}

func (c *driftCSV) row(section, item, measure, value string) {
	c.write(c.platform, section, item, measure, value)
}

func (c *driftCSV) severities(section, item string, n map[reconcile.Severity]int) {
	for _, s := range drift.Severities() {
		c.row(section, item, string(s), count(n[s]))
	}
}

func (c *driftCSV) section(s *drift.Section) {
	c.platform = s.Platform
	c.row("total", "", "open", count(s.Open))
	c.row("total", "", "pending", count(s.Pending))
	c.row("total", "", "suppressed", count(s.Suppressed))
	c.severities("total", "", s.BySeverity)
	for i := range s.ByKind {
		k := &s.ByKind[i]
		c.row("kind", string(k.Kind), "open", count(k.Open))
		c.severities("kind", string(k.Kind), k.BySeverity)
		c.row("kind", string(k.Kind), "oldest", stamp(k.Oldest))
	}
	for i := range s.Trend {
		d := &s.Trend[i]
		c.row("day", d.Date, "opened", count(d.Opened))
		c.row("day", d.Date, "resolved", count(d.Resolved))
		c.row("day", d.Date, "open", count(d.Open))
		c.severities("day", d.Date, d.BySeverity)
		c.row("day", d.Date, "part", strconv.FormatBool(d.Part))
	}
	c.changes(&s.Changes)
	for _, o := range []struct {
		section string
		list    []drift.Offender
	}{{"host", s.Hosts}, {"project", s.Projects}, {"vm", s.VMs}} {
		for i := range o.list {
			item := o.list[i].Name
			if o.list[i].ID != "" {
				item += " " + o.list[i].ID
			}
			c.row(o.section, item, "open", count(o.list[i].Open))
			c.severities(o.section, item, o.list[i].BySeverity)
		}
	}
	c.health(s)
	for i := range s.Numbers {
		c.numbers(&s.Numbers[i])
	}
	for i := range s.Findings {
		c.finding(&s.Findings[i])
	}
}

func (c *driftCSV) changes(all *drift.Changes) {
	c.row("changes", "", "since", stamp(all.Since))
	c.row("changes", "", "from", all.From)
	c.row("changes", "", "new", count(len(all.New)))
	c.row("changes", "", "changed", count(len(all.Changed)))
	c.row("changes", "", "gone", count(len(all.Gone)))
	c.row("changes", "", "passed", count(all.Passed))
	for _, part := range []struct {
		what string
		list []drift.Change
	}{{"new", all.New}, {"changed", all.Changed}, {"gone", all.Gone}} {
		for i := range part.list {
			change := &part.list[i]
			c.row("change", change.ID, part.what, change.Message)
			if change.WasMessage != "" {
				c.row("change", change.ID, "was", change.WasMessage)
			}
		}
	}
}

func (c *driftCSV) health(s *drift.Section) {
	if s.Fleet != nil {
		for _, state := range evaluate.HostStates() {
			c.row("hosts", "", string(state), count(s.Fleet.Hosts[state]))
		}
		c.row("vms", "", "all", count(s.Fleet.VMs))
		c.row("vms", "", "agreeing", count(s.Fleet.Agreeing))
	}
	for i := range s.Troubled {
		h := &s.Troubled[i]
		c.row("troubled", h.Host, "state", string(h.State))
		c.row("troubled", h.Host, "lastHeard", stamp(h.LastHeard))
		c.row("troubled", h.Host, "version", h.Version)
		c.row("troubled", h.Host, "skewSeconds", strconv.FormatFloat(h.Skew.Seconds(), 'f', -1, 64))
		for _, why := range h.Why {
			c.row("troubled", h.Host, "why", why)
		}
	}
}

func (c *driftCSV) numbers(n *evaluate.Numbers) {
	item := strings.TrimSpace(n.Runtime + " " + n.Type)
	share := func(measure string, f *float64) {
		if f != nil {
			c.row("numbers", item, measure, strconv.FormatFloat(*f, 'f', 4, 64))
		}
	}
	share("observability", n.Observability)
	share("observable", n.Observable)
	share("reconcilability", n.Reconcilability)
	c.row("numbers", item, "guests", count(n.VMs))
	for _, part := range []struct {
		measure string
		fields  []evaluate.FieldShare
	}{{"observed", n.Fields}, {"compared", n.Compared}} {
		for _, f := range part.fields {
			if r, some := f.Ratio(); some {
				c.row(part.measure, item+" "+string(f.Field), "share", strconv.FormatFloat(r, 'f', 4, 64))
			}
		}
	}
}

// finding writes all that the CSV of avstem drift has, by the same names.
func (c *driftCSV) finding(f *reconcile.Finding) {
	for i, value := range csvRecord(f) {
		if value != "" && csvColumns[i] != "id" {
			c.row("finding", f.ID, csvColumns[i], value)
		}
	}
}

// DriftJSON writes a report as indented JSON: what the next one is held against.
func DriftJSON(w io.Writer, r *drift.Report) error {
	out := *r
	out.Sections = make([]drift.Section, len(r.Sections))
	for i := range r.Sections {
		out.Sections[i] = r.Sections[i]
		out.Sections[i].Findings = make([]reconcile.Finding, 0, len(r.Sections[i].Findings))
		for _, f := range r.Sections[i].Findings {
			out.Sections[i].Findings = append(out.Sections[i].Findings, finish(f))
		}
	}
	return writeJSON(w, &out)
}
