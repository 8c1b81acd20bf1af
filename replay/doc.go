// Package replay says what another policy would have said of a site's past.
//
// It exists so that a policy can be tried before it is used: what hosts showed and
// what the system of record said, as streams keep it, is put before the engine that
// the reconciler runs, once by the policy of then (or another one) and once by the
// one that is tried, with the same times. Nothing is judged here; what is here is
// what the streams don't keep and the engine needs: when hosts could be heard, which
// inventory was in use, which findings stood when the replayed time began.
//
// It knows neither NATS nor a clock. Memory is that of two engines and of one small
// entry for each finding that either had; documents are taken one by one. What goes
// in the same comes out the same. A [Replay] is not for several goroutines at once.
package replay
