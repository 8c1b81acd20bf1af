// Package embedded is the NATS server inside `avstem up`.
//
// It exists so that one machine needs no NATS of its own: the server keeps its
// streams in the state directory, listens on a unix socket there for who may
// open it, and on TCP for who has the token. It knows nothing of what is
// published. Agents on hypervisor hosts don't link it.
//
// One [Server] owns a state directory at a time, held by a lock file; all its
// methods may be called from several goroutines.
package embedded
