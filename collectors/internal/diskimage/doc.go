// Package diskimage reads what a VM's disk images say of themselves: size,
// backing file, and the chain that these make, without running a program and
// without opening more than headers.
//
// It exists since several runtimes leave the same files on a host, and since
// reading them is where a guest could reach for the host. So an image is only
// ever read as what somebody other than the guest says it is, the runtime or the
// header of the image above it: a raw image that begins like a qcow2 one is a
// raw image whose guest wrote that. Nothing is followed without a bound, and
// nothing that isn't a file or a block device is opened.
//
// It doesn't know VMs. Its functions keep nothing and may run at once; a file
// system that hangs keeps the caller, who decides how long to wait.
package diskimage
