// Package images describes the files that VMs' disks rest on: the grounds of
// backing chains, and disks that are only read. What such a file is, a name can't
// say and its SHA-256 can.
//
// To know a digest costs reading the whole file, so it is computed once, by one
// thread that gives way to everybody (I/O class idle, nice 19, resting half of
// the time, past the page cache where the file system lets it), and kept in the
// agent's state directory by device, inode, size, mtime and ctime. A file that is
// written to is never read: one that changed lately is left alone, and one that
// changed while it was read has no digest.
//
// The thread is not SCHED_IDLE: on a busy host that would get no time for
// seconds, while Go's garbage collector waits for every running thread, and with
// it the whole agent.
//
// It doesn't know runtimes: whoever makes a [Collector] says which files it is
// about. One pass runs at a time on one Collector, its reading thread beside it.
package images
