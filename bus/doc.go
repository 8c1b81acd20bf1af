// Package bus is avstem's use of NATS: subjects, streams, the envelope that a
// document travels in, publishing with an expected sequence, and reading back.
//
// It exists so that what goes over the wire is written in one place, for the
// agents that publish, the reconciler that reads, and the commands that ask. It
// knows the observation document and nothing of what is done with it; findings
// pass through as JSON that it doesn't look into.
//
// Hosts are the truth and JetStream is a cache of what each said last, so
// nothing here queues: a publish that can't be made is an error, and its caller
// keeps the document. A [Conn] may be used by several goroutines; a [Publisher]
// by one. Handlers of one subscription are called one at a time.
package bus
