// Package compare puts libvirt, plain QEMU and LXD beside each other on one
// machine, with the same guests as far as each can hold them, and lets avstem
// observe, reconcile, probe and evaluate all three.
//
// A private host ([rig.Rig]) runs the three, an Open vSwitch bridge that all
// guests are on, and "avstem up" with an inventory that knows the guests. What
// differs is then the runtimes' own: QEMU keeps no VM that is stopped and no
// metadata, and LXD holds containers here, since its VMs want more of a kernel.
// "make compare-runtimes" does it for a person.
package compare
