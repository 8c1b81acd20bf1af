package frames

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestGeneratedTopologies draws topologies; -rapid.checks says how many.
func TestGeneratedTopologies(t *testing.T) {
	if !inGuest() {
		runInGuest(t, 5*time.Minute)
		return
	}
	var sum outcome
	rapid.Check(t, func(t *rapid.T) {
		o, err := check(generate().Draw(t, "topology"))
		if errors.Is(err, errRefused) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		sum.add(o)
	})
	t.Logf("%+v", sum)
}
