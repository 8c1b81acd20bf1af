// Package qemu reads the virtual machines of QEMU processes: from /proc, and from
// the QMP monitors that an operator names.
//
// It exists for hosts where nothing else keeps VMs (QEMU started by hand, by a
// unit or by a script), for platforms that have no other collector here (Proxmox
// VE, KubeVirt), and as a second witness where there is one: a process is there
// while libvirt's daemon isn't.
//
// A process's command line says what the VM was started with, not what it has
// become: NICs and disks that were plugged in since aren't in it, and a paused VM
// looks like a running one. Such a VM carries AsOf, the time of its start. Only a
// monitor tells how it is now, and a QMP socket serves one client: a second one
// connects and waits in vain, and one that is connected keeps the manager out. So
// a monitor is only asked where an operator named it, and one that the command
// line shows to be another manager's is refused.
//
// The source holds no VM that doesn't run: where QEMU stops, nothing is left of
// it (Runtime.RunningOnly). Without -uuid there is no durable identity either: the
// VM is called by its name, which anybody may give again, or else by its process.
//
// It doesn't know hosts, Sentral, NATS, or what became of a NIC on the host. It
// changes nothing: of QMP it speaks queries only. One pass runs at a time on one
// [Collector], beside [Collector.Watch]. Several Collectors may run at once,
// though not on one monitor.
package qemu
