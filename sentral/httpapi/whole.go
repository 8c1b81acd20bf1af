package httpapi

import (
	"encoding/json"
	"fmt"
	"mime"
	"time"

	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/document"
	"github.com/dataverket/avstem/sentral/internal/get"
)

// parsePage reads one answer. Keys of the page that aren't known are left alone;
// those of records are held to the contract.
func parsePage(contentType string, body []byte) (*page, error) {
	if kind, _, _ := mime.ParseMediaType(contentType); kind != "application/json" {
		return nil, fmt.Errorf("the answer is %q, and no JSON: is this the address of Sentral's API?", get.Cut(contentType, 80))
	}
	var p page
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, fmt.Errorf("the answer is no page of an inventory, or half of one: %w", err)
	}
	switch {
	case p.Schema != Schema:
		return nil, fmt.Errorf("the answer has the schema %q, and this avstem knows %q: the server and avstem are of different ages, or this isn't Sentral's API", get.Cut(p.Schema, 80), Schema)
	case p.Version == "" || p.Inventory == nil || p.Total == nil:
		return nil, fmt.Errorf("the answer lacks version, total or inventory: want a page as sentral/openapi.yaml describes it")
	}
	return &p, nil
}

// whole is an inventory whose pages are coming in.
type whole struct {
	source  string
	first   *page
	records []sentral.Record
	faults  []sentral.Fault
	tokens  map[string]bool
}

func newWhole(source string, first *page) *whole {
	return &whole{source: source, first: first, tokens: map[string]bool{}}
}

// add takes a page, in order.
func (w *whole) add(p *page) error {
	if p.Version != w.first.Version || *p.Total != *w.first.Total {
		return errChanged
	}
	c := document.Parse("page.json", p.Inventory)
	switch {
	case c.Broken != nil:
		return fmt.Errorf("a page's inventory can't be read: %s", c.Broken.Error)
	case p.Next != "" && (w.tokens[p.Next] || len(c.Records) == 0):
		return fmt.Errorf("its pages go round in a circle: %q comes again", get.Cut(p.Next, 80))
	}
	w.tokens[p.Next] = true
	for _, record := range c.Records {
		w.records = append(w.records, w.placed(record))
	}
	for _, fault := range c.Faults {
		fault.Place = sentral.Place{Name: w.source}
		w.faults = append(w.faults, fault)
	}
	if len(w.records) > *w.first.Total {
		return w.miscounted()
	}
	return nil
}

func (w *whole) miscounted() error {
	return fmt.Errorf("it announced %d records and gave %d: a part of them is missing", *w.first.Total, len(w.records))
}

// placed names a record by where it is to be found.
func (w *whole) placed(record sentral.Record) sentral.Record {
	place := sentral.Place{Name: w.source + " (" + sentral.Identify(record.Value).Label() + ")"}
	record.Place = func(string) sentral.Place { return place }
	for i := range record.Faults {
		record.Faults[i].Place = place
	}
	return record
}

// inventory is what all pages make, once the last is there.
func (w *whole) inventory(now func() time.Time) (*sentral.Inventory, error) {
	if len(w.records) < *w.first.Total && len(w.faults) == 0 {
		return nil, w.miscounted()
	}
	for i := range w.first.LeftOut {
		place := sentral.Place{Name: w.source}
		w.records = append(w.records, sentral.Record{Value: &w.first.LeftOut[i], Place: func(string) sentral.Place { return place }})
	}
	if w.first.Incomplete {
		w.faults = append(w.faults, sentral.Fault{Lost: true})
	}
	inv := sentral.Assemble(w.records, w.faults)
	inv.Source, inv.Version = w.source, w.first.Version
	if inv.Stale, inv.ReadAt = w.first.Stale, now().UTC(); inv.Stale != "" && !w.first.ReadAt.IsZero() {
		inv.ReadAt = w.first.ReadAt.UTC()
	}
	inv.Problems = merge(w.first.Problems, inv.Problems)
	return inv, nil
}

// merge puts the server's problems, which know of lines in files, in the place
// of ours about the same keys.
func merge(theirs, ours []sentral.Problem) []sentral.Problem {
	type about struct{ record, key string }
	said := make(map[about]bool, len(theirs))
	for _, p := range theirs {
		said[about{p.Record, p.Key}] = true
	}
	all := theirs
	for _, p := range ours {
		if !said[about{p.Record, p.Key}] {
			all = append(all, p)
		}
	}
	return all
}
