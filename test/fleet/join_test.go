package fleet

import (
	"testing"

	"github.com/dataverket/avstem/reconcile"
)

// The same reconciliation in SQL finds what avstem finds, but for what policy says
// of itself, and nothing else.
func TestSQLFindsTheSame(t *testing.T) {
	f := New(Plan{Hosts: 120, VMs: 20, Sites: 3, DriftEvery: 5})
	dir := t.TempDir()
	if _, err := f.WriteRows(dir); err != nil {
		t.Fatal(err)
	}
	want := RowsOf(reconcile.Reconcile(f.Input(f.Inventory(), epoch)).Findings)
	joined, err := SQLite(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for row, n := range want {
		if joined.Found[row] != n {
			t.Errorf("%s of %s: avstem has %d, SQL %d", row.Kind, row.Subject, n, joined.Found[row])
		}
	}
	for row, n := range joined.Found {
		if want[row] == 0 {
			t.Errorf("%s of %s: SQL has %d, avstem none", row.Kind, row.Subject, n)
		}
	}
}
