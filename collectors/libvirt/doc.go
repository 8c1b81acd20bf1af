// Package libvirt reads the virtual machines of a libvirt daemon (libvirtd, or
// the modular virtqemud) over its read-only socket.
//
// It exists because libvirt's view of a VM comes in two speeds. What the daemon
// itself knows (the list, the XML, the state) is read in every pass, for each
// domain apart. What only the VM's own QEMU process knows (capacity and
// allocation of a disk) enters a monitor that may never answer, so it is read
// beside the passes, see [Collector.SlowWait].
//
// It doesn't know hosts, Sentral, NATS, or what became of a NIC on the host: it
// says what libvirt said. It changes nothing, asks for no privilege, and needs
// no group: "libvirt" is root in disguise, the -ro socket is open to everybody.
//
// One pass runs at a time on one [Collector]; the slow lane runs beside it.
// Several Collectors may run at once.
package libvirt
