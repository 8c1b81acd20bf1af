// Package capture copies the files of a host that collectors read into one text
// file, without what would tell which host it is, and holds captures to what the
// agent sees in them.
//
// It exists so that a host that no test can have is seen as the agent sees it: a
// person runs the capture program there and sends the file. It knows which files
// are read, and not what they mean. What only a kernel or a daemon tells (links,
// Open vSwitch, VMs of libvirt and Incus, sizes of file systems) is in no capture.
package capture

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// files are what collectors read, below the root.
var files = []string{
	"etc/machine-id", "etc/os-release", "proc/sys/kernel/hostname", "proc/sys/kernel/osrelease", "proc/sys/kernel/arch",
	"proc/sys/kernel/random/boot_id", "proc/cpuinfo", "proc/meminfo", "proc/stat", "proc/self/mountinfo", "proc/net/bonding/*",
	"sys/devices/system/cpu/online", "proc/spl/kstat/zfs/*/state", "proc/1/cmdline", "proc/1/stat",
	"sys/class/dmi/id/sys_vendor", "sys/class/dmi/id/product_name", "sys/class/dmi/id/product_uuid", "sys/class/dmi/id/*_serial",
	"sys/class/dmi/id/*_asset_tag", "sys/class/net/*/address", "sys/class/net/*/addr_assign_type", "sys/class/net/*/ifindex",
	"sys/class/net/*/device/subsystem", "sys/class/net/*/device/driver", "sys/class/net/*/device/physfn", "sys/class/net/*/device",
	"sys/block/*/{size,ro,removable,hidden,dev,nsid,serial,wwid,nguid,eui,ana_state}", "sys/block/*/queue/rotational",
	"sys/block/*/device/{type,model,vendor,serial,state,wwid,vpd_pg80}", "sys/block/*/dm/{name,uuid,suspended}",
	"sys/block/*/md/{level,array_state,degraded,sync_action}", "sys/block/*/loop/backing_file", "sys/block/*/{slaves,holders}/*",
	"sys/block/*/*/{partition,size,ro,dev}", "sys/block/*/*/holders/*", "sys/dev/block/*", "sys/bus/rbd/devices/*/*",
	"sys/fs/btrfs/*/devices/*", "run/udev/data/b*", "dev/disk/by-id/*",
}

// secret are files whose content tells which host this is.
var secret = []string{
	"etc/machine-id", "proc/sys/kernel/hostname", "*/dmi/id/product_uuid", "*/dmi/id/*_serial", "*/dmi/id/*_asset_tag",
	"*/serial", "*/wwid", "*/nguid", "*/eui",
}

// Take writes the host's files below root as an archive that
// collectorstest.Tree unpacks. What can't be read is left out.
func Take(root string, out io.Writer) error {
	c := &taking{root: root, entries: map[string]string{}}
	for _, pattern := range files {
		for _, p := range braces(pattern) {
			found, err := filepath.Glob(filepath.Join(root, p))
			if err != nil {
				return fmt.Errorf("take capture: %w", err)
			}
			for _, path := range found {
				c.add(strings.TrimPrefix(strings.TrimPrefix(path, root), "/"), 0)
			}
		}
	}
	c.processes()
	return c.write(out)
}

// braces writes a pattern with {a,b} as the patterns that it stands for.
func braces(pattern string) []string {
	before, rest, found := strings.Cut(pattern, "{")
	if !found {
		return []string{pattern}
	}
	names, after, _ := strings.Cut(rest, "}")
	var all []string
	for name := range strings.SplitSeq(names, ",") {
		all = append(all, braces(before+name+after)...)
	}
	return all
}

// taking collects entries by path: a file's content, or where a link leads.
type taking struct {
	root    string
	entries map[string]string
	links   []string
}

// maxLinks is how many links a path may go through, as for the kernel.
const maxLinks = 40

// add takes a path, and each link that it goes through.
func (c *taking) add(path string, depth int) {
	parts := strings.Split(path, "/")
	for i := range parts {
		here := strings.Join(parts[:i+1], "/")
		target, err := os.Readlink(filepath.Join(c.root, here))
		if err != nil {
			continue
		}
		if !slices.Contains(c.links, here) {
			c.links = append(c.links, here)
			c.entries[here] = target
		}
		if depth == maxLinks {
			return
		}
		real := filepath.Join("/", filepath.Dir(here), target)
		if filepath.IsAbs(target) {
			real = target
		}
		c.add(strings.TrimPrefix(filepath.Join(append([]string{real}, parts[i+1:]...)...), "/"), depth+1)
		return
	}
	full := filepath.Join(c.root, path)
	info, err := os.Lstat(full)
	switch {
	case err != nil:
	case info.IsDir():
		c.entries[path+"/"] = ""
	case info.Mode().IsRegular():
		if data, err := os.ReadFile(full); err == nil {
			c.entries[path] = string(data)
		}
	}
}

// processes takes those of QEMU.
func (c *taking) processes() {
	found, _ := filepath.Glob(filepath.Join(c.root, "proc/[0-9]*/cmdline"))
	for _, path := range found {
		line, err := os.ReadFile(path)
		program, _, _ := bytes.Cut(line, []byte{0})
		if err != nil || !strings.Contains(filepath.Base(string(program)), "qemu") {
			continue
		}
		dir := strings.TrimPrefix(strings.TrimPrefix(filepath.Dir(path), c.root), "/")
		c.add(dir+"/cmdline", 0)
		c.add(dir+"/stat", 0)
	}
}

// isSecret says whether a file's whole content is one secret.
func isSecret(path string) bool {
	return slices.ContainsFunc(secret, func(p string) bool {
		if suffix, found := strings.CutPrefix(p, "*"); found {
			dir, name := filepath.Split(suffix)
			of, _ := filepath.Match(name, filepath.Base(path))
			return of && strings.HasSuffix(filepath.Dir(path)+"/", dir)
		}
		return p == path
	})
}

func (c *taking) write(out io.Writer) error {
	s := newScrubber()
	for path, content := range c.entries {
		if !slices.Contains(c.links, path) && isSecret(path) {
			s.learn(content)
		}
	}
	var text bytes.Buffer
	text.WriteString("What host this is, and how it was taken: say so here.\n")
	paths := make([]string, 0, len(c.entries))
	for path := range c.entries {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		content, name := shortened(path, c.entries[path]), s.scrub(path)
		if filepath.Base(path) != "stat" { // numbers, some of them long
			content = s.scrub(content)
		}
		switch {
		case slices.Contains(c.links, path):
			fmt.Fprintf(&text, "-- %s -> %s --\n", name, content)
		case strings.HasSuffix(path, "/"):
			fmt.Fprintf(&text, "-- %s --\n", name)
		case isText(content):
			fmt.Fprintf(&text, "-- %s --\n%s", name, content)
		default:
			fmt.Fprintf(&text, "-- %s (hex) --\n%s\n", name, hex.EncodeToString([]byte(content)))
		}
	}
	if _, err := out.Write(text.Bytes()); err != nil {
		return fmt.Errorf("write capture: %w", err)
	}
	return nil
}

// isText says whether txtar can hold it as it is.
func isText(content string) bool {
	return utf8.ValidString(content) && !strings.Contains(content, "\x00") && !strings.Contains("\n"+content, "\n-- ") &&
		(content == "" || strings.HasSuffix(content, "\n"))
}

// shortened leaves out what no collector reads.
func shortened(path, content string) string {
	first, _, _ := strings.Cut(content, "\n\n")
	switch {
	case path == "proc/cpuinfo" && first != content:
		return first + "\n"
	case path == "proc/1/cmdline": // anything may stand there
		program, _, _ := strings.Cut(content, "\x00")
		return program + "\n"
	case path == "proc/stat":
		var kept string
		for line := range strings.Lines(content) {
			if strings.HasPrefix(line, "btime ") {
				kept += line
			}
		}
		return kept
	case path == "proc/meminfo":
		line, _, _ := strings.Cut(content, "\n")
		return line + "\n"
	}
	return content
}
