package replay

import "github.com/dataverket/avstem/reconcile"

// why says why findings of a kind can't be replayed, "" where they can: what they
// rest on is kept nowhere.
func why(k reconcile.Kind) string {
	switch k {
	case reconcile.ObserveClock, reconcile.ObserveGap, reconcile.ObserveRefused:
		return "it rests on heartbeats and requests, which aren't kept"
	case reconcile.InventoryHeld, reconcile.InventoryStale:
		return "an inventory that wasn't used, or couldn't be read, isn't kept"
	case reconcile.PolicyInvalid:
		return "a policy that couldn't be used isn't kept"
	}
	return ""
}
