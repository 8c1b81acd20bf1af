// Package hostid keeps a host's identity: a UUID that is made once, the evidence
// of which host it was made on, and the counter of the agent's starts.
//
// It exists because a wrong identity is worse than none: an ID whose file was
// copied to other hardware, or that was made again because a file could not be
// read, would put one host's VMs under another's name. It knows nothing of
// where evidence is read or where an identity is used.
//
// A state directory has one [Identity] at a time, held by a lock. Its methods
// may be called from several goroutines.
package hostid
