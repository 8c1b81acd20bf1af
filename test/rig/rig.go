package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Options say what kind of rig to start.
type Options struct {
	// Hostname is what the host calls itself; empty means "rig".
	Hostname string
	// LXD and Incus start that daemon too, with a directory as its pool, no network
	// and the image "tiny". They run containers; VMs need what the machine may lack.
	LXD, Incus bool
	// CGroups gives the rig control groups of its own, which go with it, for what
	// makes some below its own. LXD and Incus have them anyway.
	CGroups bool
	// Persist lets the rig outlive the process that started it, until Stop or
	// Clean.
	Persist bool
}

// Rig is a running host.
type Rig struct {
	dir  string
	init process // PID 1 of its namespaces, as seen from outside
}

// Open attaches to the running rig in dir. The error wraps [ErrNotRunning] when
// there is none.
func Open(dir string) (*Rig, error) {
	dir, err := resolve(dir)
	if err != nil {
		return nil, err
	}
	rec, err := readRecord(dir)
	if err != nil {
		return nil, fmt.Errorf("open rig: %w", err)
	}
	if !rec.Ready || !rec.Init.alive() {
		return nil, fmt.Errorf("open rig in %s: %w", dir, ErrNotRunning)
	}
	return &Rig{dir: dir, init: rec.Init}, nil
}

// Stop ends every process of the rig and removes its directory. It may be called
// again.
func (r *Rig) Stop() error { return Clean(r.dir) }

// Running says whether the rig still lives.
func (r *Rig) Running() bool { return r.init.alive() }

// Dir is the directory that holds everything of the rig.
func (r *Rig) Dir() string { return r.dir }

// NetNS is the path of the rig's network namespace. It is valid while the rig
// runs.
func (r *Rig) NetNS() string { return fmt.Sprintf("/proc/%d/ns/net", r.init.PID) }

// LibvirtReadOnlySocket is libvirtd's read-only socket, for use from outside. As
// on an ordinary host anybody may connect to it, if the directories above let
// them.
func (r *Rig) LibvirtReadOnlySocket() string { return r.dir + longestSocket }

// Outside translates a path inside the rig to the one by which it can be opened
// from outside.
func (r *Rig) Outside(path string) string {
	path = filepath.Clean(path)
	for _, covered := range slices.Concat(covered, coveredToo) {
		if path == covered || strings.HasPrefix(path, covered+"/") {
			return r.dir + path
		}
	}
	return path
}

// Log returns the last lines of what the daemons said while they started and of
// libvirtd's own log.
func (r *Rig) Log() string {
	return tail(r.dir+logFile) + tail(r.dir+"/var/log/libvirt/libvirtd.log")
}

// tail returns the last 4 KiB of a file, and nothing of one that isn't there.
func tail(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(data[max(0, len(data)-4096):])
}

// withDeadline bounds what a command inside may take, so that a daemon that
// hangs fails its test with a sentence.
func withDeadline() (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(context.Background(), commandTimeout,
		fmt.Errorf("no answer within %s", commandTimeout))
}
