// Package document reads one document of an inventory, YAML or JSON, into
// records that know where each of their values stands.
//
// It exists apart from the sources because all of them carry the same records:
// a file, a page of the HTTP API and a value of the KV bucket are held to the
// same rules and complained of in the same words. It knows what a document looks
// like; what makes a good record is in package sentral.
//
// Nothing here keeps state: any of it may run at once.
package document
