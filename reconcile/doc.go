// Package reconcile holds what hosts showed against what Sentral says: it
// matches the two books, compares what it matched, checks what needs no intent,
// and gives the findings with everything they were made from.
//
// [Reconcile] is pure: the same [Input] gives the same [Result], findings in the
// same order. It reads no clock, does no I/O, starts no goroutine, and knows
// neither how observations arrive nor how findings are shown. [Advance] is the
// second pure step, which gives findings their life. What keeps both books
// current and calls the two is package reconcile/engine.
//
// Values of an Input are only read, so several calls may share them.
package reconcile
