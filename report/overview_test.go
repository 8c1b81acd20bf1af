package report

import (
	"slices"
	"testing"

	"github.com/dataverket/avstem/report/drift"
)

// The overview has one column for a number, whether a section has one of it or more.
func TestOverviewColumns(t *testing.T) {
	sections := make([]sectionView, 2)
	for i := range sections {
		sections[i].headlines(&drift.Section{Open: i + 1})
	}
	table := overview(sections)
	if !slices.Equal(table.Labels, []string{"open findings", "new", "gone"}) || table.Rows[0].Cells[0] != "1" {
		t.Errorf("the overview is %+v", table)
	}
}
