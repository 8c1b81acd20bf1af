// Package lab runs whole hypervisor hosts: user-mode Linux with systemd as its
// first process, each with a root file system, NICs on a switch, disks with
// serial numbers, LVM, Open vSwitch and libvirt. What needs a host and not just a
// daemon is held against them: services and their sandboxes, reboots, renames,
// bonds, state directories carried to other hardware.
//
// A lab is a [rig.Rig], whose namespaces the hosts run in, and so nothing
// survives it: processes, mounts, links and switch are gone with its first
// process, however the test ends. Hosts share one root file system, made once by
// debootstrap and kept in a cache (see [Root]); what each changes is in a layer
// of its own and lasts over its reboots.
//
// Every host has a NIC for the rig to talk to it (mgmt0), over which commands run
// by ssh, and two more (nic0, nic1) on the lab's switch, an Open vSwitch bridge
// whose ports to hosts carry VLANs tagged. Programs of the test can listen on
// [Lab.Address], which hosts reach by mgmt0, from within the rig's network.
//
// It needs root and some Debian packages; [Start] says which are missing. Any
// number of labs may run at once. A host takes about 15 s of one core to boot,
// 600 MiB on disk once for all, and as much memory as it uses of what it is given.
package lab
