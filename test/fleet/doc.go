// Package fleet makes up a fleet: what Sentral says of it, and what its hosts
// show, with drift of every kind at a stated rate.
//
// It exists so that the reconciler can be measured at a size that nobody has
// here. It is a simulator and no host was seen: its documents have the shape, the
// size and the capability tables of those that the collectors make of hosts with
// libvirt, OpenStack's Nova on libvirt, and Incus. The same plan gives the same
// fleet, in every process, so that one can publish it while another one knows what
// must be found.
//
// [VMDrifts] and [HostDrifts] are what is planted, [Unplanted] are the kinds that
// a fleet at rest can't show. [Fleet.Expected] says which findings follow; a test
// holds the core to that. [World] is the fleet's life: what is made and deleted,
// migrates, dies and comes up elsewhere, of which nothing false may be found.
package fleet
