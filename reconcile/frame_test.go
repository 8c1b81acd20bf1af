package reconcile

import "testing"

// A generated network once had a frame come back without the tag that a VLAN link
// on its way would take off.
func TestTakingATagOffABareFrame(t *testing.T) {
	if got := (frame{}).pop(); got != (frame{}) {
		t.Errorf("a bare frame became %+v", got)
	}
	if got := (frame{}).push(tag{vlan: 10}).pop(); got != (frame{}) {
		t.Errorf("what was put on is not off again: %+v", got)
	}
}
