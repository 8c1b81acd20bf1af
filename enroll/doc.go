// Package enroll is how a host comes by credentials of its own: the token that an
// operator hands out, what host and issuer say to each other, and the host's side.
// Package enroll/issuer is the other side.
//
// It exists so that a host's key is made on the host and never leaves it. The host
// sends its public key, a code that holds once, and the evidence of its hardware
// over HTTPS, to a server whose CA the token names; it gets a JWT for some days,
// and renews it at half its life by signing a nonce with the key. Why HTTPS and not
// NATS itself: who has no credentials yet then never reaches NATS at all, a host
// whose JWT has run out while it was off can still renew, and the token stays short
// enough to be pasted.
//
// What is kept is in the host's state directory ([Member]). Functions take no lock:
// the agent's own covers them.
package enroll
