// Package fleet makes up a fleet: what Sentral says of it, and what its hosts
// show, with drift of every common kind at a stated rate.
//
// It exists so that the reconciler can be measured at a size that nobody has
// here. It is a simulator and no host was seen: its documents have the shape, the
// size and the capability tables of those that the collectors make of a libvirt
// host with Open vSwitch. The same plan gives the same fleet, in every process, so
// that one can publish it while another one knows what must be found.
//
// [Fleet.Expected] says which kinds of findings follow from the drift that was
// planted; a test holds the core to that.
package fleet
