// Package demo builds the world of the demo: one hypervisor host with real
// guests, and a Sentral inventory that disagrees with it in every way once. The
// golden test holds avstem's findings to it.
//
// The host is a rig (test/rig). Its guests are real QEMU processes under a real
// libvirtd, on ports of a real Open vSwitch; they boot a disk whose only program
// halts the processor, so that fifteen of them idle at no cost. The disagreements
// are listed beside the guests in guests.go and beside the records in inventory/.
//
// [Build] may run once in a rig.
package demo
