// Package server is the reconciler as a program: package engine with NATS on one
// side and an inventory source on the other.
//
// It exists because `avstem up` and `avstem serve` run the same reconciler. It
// is wiring and decides nothing about findings: documents, heartbeats and
// inventories go into the engine as they come; what the engine wants stored goes
// to AVSTEM_FINDINGS and AVSTEM_DRIFT, where only the reconciler writes; questions
// are answered from the engine.
//
// One of several reconcilers of a site leads: the one that has the site's lease
// ([bus.Lease]). The others keep both books current, and one takes over when the
// lease is given back or not renewed. What the former one still writes is refused
// by the streams ([bus.Fence]).
//
// What could not be written is kept, one state for each finding and every event
// in order, and written when it can be. What was written is looked after: findings
// that the stream has lost are written again, and somebody who writes the same
// ones without the lease is reported.
//
// A [Server] runs once. Everything that Run starts has ended when it returns.
package server
