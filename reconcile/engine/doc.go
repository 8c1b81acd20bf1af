// Package engine keeps both books current and runs the core over them.
//
// It exists so that what must be remembered between two runs of the core is in
// one place and testable without a network: the newest document of each host and
// source, who was heard when, the last good inventory, what was refused, and the
// findings with their life. It knows neither NATS nor files nor a clock: what
// arrived is handed to it, with the time.
//
// Nothing is judged before it can be. [Engine.Step] does nothing until the hosts'
// last documents have been delivered, the inventory was read, and every host that
// spoke of late was heard again or had the time to be: a reconciler that has just
// started, or has been cut off, must not take its own deafness for silence.
//
// Memory is bounded: one document for each source of each host, at most
// [MaxSources] sources a host and [MaxRefusals] refusals; hosts that are not in
// Sentral and have been silent for [ForgetAfter] are dropped, and so are findings
// that were resolved long ago.
//
// An [Engine] may be used by several goroutines. What it returns is not changed
// afterwards, and must not be changed by the caller.
package engine
