// Package frames holds a NIC's path, as reconcile works it out, against what
// frames really do.
//
// A topology is a list of commands (ip, bridge, ovs-vsctl) that build a host's
// network: taps for guests' NICs, taps that stand for physical links, and
// anything between. The network collector reads what the kernel and Open vSwitch
// made of it, reconcile follows each NIC, and frames are sent by the NICs and
// come in from the wires. Which tags they then have, and where they don't
// arrive, must be what the path says. Topologies are generated; those that once
// showed a disagreement, or that people run, have a name.
//
// It runs in user-mode Linux (Debian's package user-mode-linux), whose kernel has
// VLAN links, bonds, VLAN filtering and Open vSwitch's datapath, whatever the
// machine's own kernel has. One boot runs all topologies, one after the other.
// The package has tests alone.
package frames
