package reconcile

// Reconcile holds both books side by side.
func Reconcile(in Input) *Result {
	r := &Result{}
	return r
}
