// Package kvsource reads Sentral's inventory from a NATS KV bucket, and loads
// one into it.
//
// One record is one key, so that a change of one VM is one small message; a
// marker says that a load is whole, so that half of one is never taken for an
// inventory. docs/sentral.md has the form of keys and marker.
//
// How it is kept whole:
//
//   - The bucket's messages only say where to look: what is there is read level
//     by level, and again at intervals.
//   - While a load is under way, and without a marker, what was read last stands.
//   - Records that the marker counted and that are gone without a deletion mean
//     that the bucket has lost some: what was read last stands.
//   - A value that is no record is left out, its neighbours are used: its key
//     says which it was.
//
// A Source may be used from several goroutines.
package kvsource
