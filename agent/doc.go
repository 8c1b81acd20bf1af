// Package agent runs collectors on a host and publishes what they see.
//
// It exists so that how often a source is read, when a document is worth
// publishing, and what happens while NATS is away or another agent claims the
// same host, are decided in one place. It knows collectors by their interface
// and NATS by package bus, and nothing of what is in a document.
//
// It keeps state and no queue: the newest document of each source, so memory is
// bounded by the number of sources, and after any outage one document of each
// brings the readers up to date. A source that hangs delays itself only: each
// has a goroutine, and one more publishes, and one beats. All end with the
// context given to [Agent.Run].
package agent
