// Package rig runs a private, real virtualization host for tests and the demo:
// libvirtd, virtlogd and Open vSwitch in a mount, network, PID, UTS and IPC
// namespace of their own. Collectors are held against what the real daemons say,
// and neither the machine's own libvirt nor its network can be touched.
//
// A small script (init.sh) is PID 1 of the namespaces. When it dies the kernel
// kills everything in them and their mounts and links go with them, so nothing
// survives a rig but its directory, which [Clean] removes. Unless it was started
// with Options.Persist, a rig dies with the process that started it, however
// that one ends.
//
// Everything a rig writes is below its directory, which is laid out like the
// file system: DIR/var/lib/libvirt is /var/lib/libvirt inside. Programs outside
// reach its daemons by the unix sockets under DIR/run.
//
// If asked it runs LXD and Incus too (instances.sh), with a directory as the pool,
// no network of their own and one tiny image, in control groups that are the rig's
// and go with it. They run containers; VMs take a vhost_vsock that the machine may
// lack.
//
// Guests are emulated (domain type 'qemu'): the machine needs no virtualization
// of its own, and /dev/kvm is hidden from libvirtd. The switch is Open vSwitch's
// userspace datapath, so a bridge needs datapath_type=netdev. The rig knows
// nothing of avstem.
//
// It needs root and some Debian packages; [Start] says which are missing. Any
// number of rigs may run at once, each in its own directory; the methods of one
// may be called from several goroutines.
package rig
