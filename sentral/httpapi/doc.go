// Package httpapi reads Sentral's inventory from its HTTP API, and serves it:
// [Client] is a source of inventories, [Server] the reference server, and
// sentral/openapi.yaml says what they say to each other.
//
// Both are here because each is the other's proof. The server is real enough to
// stand in for Sentral in a lab; it knows nothing of where its inventory comes
// from.
//
// How it is kept whole:
//
//   - A page belongs to one version of the inventory, and its token says which.
//     A version that is gone is 410: the client begins again. A client takes no
//     pages of two versions, and no fewer records than the server has announced.
//   - Everything is read before anything is used: half an answer is none.
//   - Every answer has a deadline and a limit, on both sides.
//   - What the server itself couldn't use (problems, what is known of records
//     left out) comes with the first page, so that behind an API a spelling
//     mistake in a file is still told with file and line.
//
// A Client or a Server may be used from several goroutines.
package httpapi
