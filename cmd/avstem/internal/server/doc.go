// Package server is the reconciler as a program: package engine with NATS on one
// side and an inventory source on the other.
//
// It exists because `avstem up` and `avstem serve` run the same reconciler. It
// is wiring and decides nothing about findings: documents, heartbeats and
// inventories go into the engine as they come; what the engine wants stored goes
// to AVSTEM_FINDINGS and AVSTEM_DRIFT, where only the reconciler writes; questions
// are answered from the engine.
//
// What could not be written is kept, one state for each finding and every event
// in order, and written when it can be. What was written is looked after: findings
// that the stream has lost are written again, and another reconciler that writes
// the same ones is reported.
//
// A [Server] runs once. Everything that Run starts has ended when it returns.
package server
