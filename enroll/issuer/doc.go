// Package issuer lets hosts in: it holds what a host sends against the token that an
// operator made, and has its key signed.
//
// It exists so that a code holds once, for one key, in its time and on the hardware
// that it was made for, and so that whatever else is tried with it is refused and
// told to whoever asked to know ([Issuer.Refused]). A host that has valid
// credentials never gets others without a person: a second enrolment of one
// identity waits, and is told.
//
// Tokens (by the hash of their code) and requests are files in the directory of
// package bus/auth, so that they outlast the process, and people decide from
// another one. Several processes may use it; methods may be called from several
// goroutines.
package issuer
