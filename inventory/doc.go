// Package inventory is the model that both books share: hosts, links, block
// devices, virtual machines (VMs), network interfaces (NICs) and disks, the
// canonical form of each value, the catalogue that names every field, and the
// observation, which is the document that one collector's pass over one host
// becomes.
//
// It exists so that what a host showed and what Sentral says can be compared
// without either side knowing how the other got its values. Everything here is
// plain data and pure functions: no I/O, no clock, no goroutine, and it imports
// nothing else of avstem. Values may be shared between goroutines as long as
// nobody writes to them; nothing here locks.
//
// Conventions of every type in it:
//
//   - a pointer, an empty string, a zero UUID or MAC, or a nil slice means "not
//     reported"; a pointer to zero means zero;
//   - sizes are bytes, durations are time.Duration, times are UTC;
//   - the word that the source used stands beside our mapped one where they can
//     differ (State and RawState);
//   - lists whose order means something (NICs and disks, in guest order) keep
//     it; all others are sorted by [Body.Canonicalize].
package inventory
