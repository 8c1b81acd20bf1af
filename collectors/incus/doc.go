// Package incus reads the instances of an Incus or LXD daemon over its unix
// socket: virtual machines, and the containers that stand beside them.
//
// The two daemons have one ancestor and one API for what is read here, so there
// is one collector for both, see [Flavor]. It is a thin client of its own: the
// vendors' modules bring 46 others, and LXD's is under the AGPL.
//
// It exists because Incus says much of what libvirt leaves to convention: a UUID
// and a generation that it keeps itself, whose copy a clone never gets; the
// project; the image that an instance was made from. What it gets wrong, or
// keeps to itself: volatile keys of a removed device stay, so devices lead and
// keys follow; every VM's root disk has the same serial, so there is none to
// know a disk by; a root disk's size is only told where somebody set it.
//
// It asks for the list without states (recursion=1). The full one asks the agent
// inside each VM, and one guest that hangs would hold up all.
//
// It doesn't know hosts, Sentral, NATS, or what became of a NIC on the host. It
// changes nothing, but the socket would let it: both daemons know no read-only
// access, and whoever may connect is root. See docs/runtimes.md.
//
// One pass runs at a time on one [Collector], and [Collector.Watch] beside it.
// Several Collectors may run at once.
package incus
