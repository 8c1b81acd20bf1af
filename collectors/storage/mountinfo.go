package storage

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dataverket/avstem/collectors"
)

// mountinfo lists the mounts of the agent's mount namespace.
const mountinfo = "/proc/self/mountinfo"

// mount is one line of mountinfo (proc_pid_mountinfo(5)).
type mount struct {
	major, minor uint32
	root         string // what of the file system is mounted: "/" but for bind mounts and subvolumes
	point        string
	fsType       string
	source       string
	readOnly     bool   // the file system's own option, not the mount's
	subvolume    string // of btrfs
}

// parseMountinfo reads all lines. One that can't be understood makes an error
// that names it, beside the others.
func parseMountinfo(data []byte) ([]mount, error) {
	var mounts []mount
	var firstErr error
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		m, err := parseMount(strings.TrimRight(line, "\n"))
		if err != nil {
			if firstErr == nil {
				firstErr = fmt.Errorf("read line %d: %w", number, err)
			}
			continue
		}
		mounts = append(mounts, m)
	}
	return mounts, firstErr
}

// parseMount reads "36 35 98:0 /root /mnt rw,noatime master:1 - ext4 /dev/sda1
// rw,errors=continue": six fields, any number of tagged ones, a dash, and three.
// The source is empty for some file systems that have none.
func parseMount(line string) (mount, error) {
	fields := strings.Split(line, " ")
	dash := slices.Index(fields, "-")
	if dash < 6 || len(fields) < dash+4 {
		return mount{}, fmt.Errorf("%q is not a mount", line)
	}
	device, rest := fields[2], fields[dash+1:]
	majorText, minorText, _ := strings.Cut(device, ":")
	major, err1 := strconv.ParseUint(majorText, 10, 32)
	minor, err2 := strconv.ParseUint(minorText, 10, 32)
	if err1 != nil || err2 != nil {
		return mount{}, fmt.Errorf("%q is not a device number", device)
	}
	m := mount{
		major: uint32(major), minor: uint32(minor),
		root: unescape(fields[3]), point: unescape(fields[4]),
		fsType: collectors.Legible(unescape(rest[0])), source: unescape(rest[1]),
	}
	for option := range strings.SplitSeq(rest[2], ",") {
		subvolume, found := strings.CutPrefix(option, "subvol=")
		switch {
		case option == "ro":
			m.readOnly = true
		case found && m.fsType == "btrfs":
			m.subvolume = unescape(subvolume)
		}
	}
	return m, nil
}

// unescape undoes the kernel's writing of space, tab, newline, backslash and
// number sign as a backslash with three octal digits (fs/proc_namespace.c).
func unescape(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+3 < len(text) {
			if code, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				out.WriteByte(byte(code))
				i += 3
				continue
			}
		}
		out.WriteByte(text[i])
	}
	return out.String()
}

// unnumbered are the file systems that hold data and yet have no block device's
// number: those of a server, and those that spread over devices or share one.
var unnumbered = map[string]bool{
	"bcachefs": true, "btrfs": true, "ubifs": true, "zfs": true,
	"9p": true, "afs": true, "beegfs": true, "ceph": true, "cifs": true, "fuse.ceph": true, "fuse.glusterfs": true,
	"fuse.sshfs": true, "gpfs": true, "lustre": true, "nfs": true, "nfs4": true, "smb3": true, "virtiofs": true,
}

// isUnnumbered says whether a mount without a block device's number holds data.
// Of overlays only the root: those of containers are many, and what is on them
// is on the file system of their upper directory.
func (m mount) isUnnumbered() bool {
	return unnumbered[m.fsType] || m.fsType == "overlay" && m.point == "/"
}

// storing returns the mounts that show where data lies: of each file system (of
// btrfs each subvolume, whose files have a device number of its own) one, the mount of its top where there is one and else the shortest path. Where
// mounts lie on one another only the uppermost can be reached.
func storing(mounts []mount) []mount {
	uppermost := map[string]int{}
	for i, m := range mounts {
		uppermost[m.point] = i
	}
	type key struct {
		major, minor uint32
		fsType       string
		subvolume    string
	}
	best := map[key]mount{}
	for i, m := range mounts {
		if m.major == 0 && !m.isUnnumbered() || uppermost[m.point] != i {
			continue
		}
		k := key{m.major, m.minor, m.fsType, m.subvolume}
		if held, found := best[k]; !found || m.betterThan(held) {
			best[k] = m
		}
	}
	var chosen []mount
	for _, m := range best {
		chosen = append(chosen, m)
	}
	slices.SortFunc(chosen, func(x, y mount) int { return strings.Compare(x.point, y.point) })
	return chosen
}

func (m mount) betterThan(other mount) bool {
	if isTop := m.isTop(); isTop != other.isTop() {
		return isTop
	}
	return len(m.point) < len(other.point)
}

// isTop says whether the whole file system, or the whole subvolume, is mounted.
func (m mount) isTop() bool { return m.root == "/" || m.fsType == "btrfs" && m.root == m.subvolume }
