package reconcile

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

// A book that isn't settled, as its inventory can't be read, remembers of each host
// once that it was heard.
func TestHeardIsBoundedByHosts(t *testing.T) {
	b := NewBook(DefaultPolicy())
	begin := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for i := range 1000 {
		for host := range 3 {
			b.Hear(uuid.UUID{15: byte(host + 1)}, begin.Add(time.Duration(i)*time.Second))
		}
	}
	if len(b.heard) != 3 {
		t.Errorf("%d are remembered of three hosts", len(b.heard))
	}
	b.Settle(begin.Add(time.Hour))
	b.Hear(uuid.UUID{15: 1}, begin.Add(time.Hour))
	if len(b.heard) != 1 {
		t.Errorf("%d are remembered of one host", len(b.heard))
	}
}
