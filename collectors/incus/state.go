package incus

import (
	"fmt"

	"github.com/dataverket/avstem/inventory"
)

// mapState gives our state and the daemon's own word for it.
//
// The codes are those of shared/api/status_code.go. Ready is a running instance
// whose guest has said so; one that starts or stops holds its memory. Error is
// what the daemon says of a VM whose monitor doesn't answer and of an instance
// that it can't look at: nothing is known then.
func mapState(code int, word string) (inventory.State, string) {
	if word == "" {
		word = fmt.Sprintf("status %d", code)
	}
	switch code {
	case 102: // Stopped
		return inventory.StateStopped, word
	case 103, 106, 107, 108, 111, 113: // Running, Starting, Stopping, Aborting, Thawed, Ready
		return inventory.StateRunning, word
	case 109, 110: // Freezing, Frozen
		return inventory.StatePaused, word
	}
	return inventory.StateUnknown, word
}
