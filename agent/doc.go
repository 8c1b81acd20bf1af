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
// has a goroutine, and one more where it tells of changes; one publishes, and one
// beats. All end with the context given to [Agent.Run], but for a watch or a pass
// that heeds no context, which is left behind after a grace.
//
// What a source tells makes a pass over the whole of it due at once, and never
// stands for one. Several changes before that pass are one, and a pass that an
// event caused is followed by a rest, so that a storm of events costs a tenth of
// a core at most for each source.
package agent
