// Package auth makes and keeps what NATS decides by who may say what: the
// operator, the account, a signing key for each site, credentials, and the
// configuration of the server that goes with them.
//
// It exists so that what each of avstem's programs may say is written in one
// place, and so that nobody has to know how NATS does it. A host's credentials are
// named by its host ID and signed by its site's key; what that key may sign is in
// the account, so that a new source needs no new credentials. docs/security.md
// says what each attack meets.
//
// Everything is in one directory ([Dir]), whose seeds are the whole authority:
// mode 0600, below 0700. Methods that change it hold a lock, and several processes
// may use one. It knows nothing of what is said, and runs no server.
package auth
