// Package evaluate says how well each runtime can be seen and reconciled, and
// holds platforms against the decision record that they are to be chosen by
// (MASKIN 014).
//
// It exists because a platform is to be chosen by evidence. The numbers come
// from what hosts really reported and what reconciling really compared, never
// from what a collector declares alone: a declared field that no VM shows counts
// as not seen, with the reason. docs/observability.md says how each number is
// made and what would make it a lie.
//
// Everything here is a function of documents, a reconcile.Result, evidence files
// and a time. It has no clock, no network and no memory, and judges nothing that
// reconcile hasn't found: it counts.
package evaluate
