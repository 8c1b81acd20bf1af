package rig

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ownCGroups names the control groups of a rig that runs containers, one in each
// hierarchy that is mounted here, below our own. They aren't there yet.
func ownCGroups(name string) ([]string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("find control groups: %w", err)
	}
	ours, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("find control groups: %w", err)
	}
	var dirs []string
	for line := range strings.Lines(string(ours)) {
		// hierarchy-ID:controllers:path (cgroups(7)).
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) < 3 {
			continue
		}
		if top, root := cgroupMount(string(mounts), parts[1]); top != "" {
			dirs = append(dirs, filepath.Join(top, strings.TrimPrefix(parts[2], root), name))
		}
	}
	return dirs, nil
}

// cgroupMount finds where a hierarchy is mounted, and which of its groups is on
// top there. No controllers mean version 2.
func cgroupMount(mounts, controllers string) (top, root string) {
	for line := range strings.Lines(mounts) {
		own, typed, _ := strings.Cut(line, " - ")
		fields, of := strings.Fields(own), strings.Fields(typed)
		if len(fields) < 5 || len(of) < 3 {
			continue
		}
		options := strings.Split(of[2], ",")
		if controllers == "" && of[0] == "cgroup2" ||
			controllers != "" && of[0] == "cgroup" && !slices.ContainsFunc(strings.Split(controllers, ","),
				func(c string) bool { return !slices.Contains(options, c) }) {
			return fields[4], strings.TrimSuffix(fields[3], "/")
		}
	}
	return "", ""
}

// enterCGroups makes the groups and puts a process into them.
func enterCGroups(dirs []string, pid int) error {
	for _, dir := range dirs {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		// A group of version 1's cpuset takes nobody in before it has these.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			if set, err := os.ReadFile(filepath.Join(filepath.Dir(dir), file)); err == nil && len(strings.TrimSpace(string(set))) > 0 {
				_ = os.WriteFile(filepath.Join(dir, file), set, 0o644) // version 2 needs none
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// removeCGroups removes the groups and what was made below them. Their processes
// have been killed; the kernel may still be counting them out.
func removeCGroups(dirs []string) error {
	for _, dir := range dirs {
		for deadline := time.Now().Add(killTimeout); ; time.Sleep(10 * time.Millisecond) {
			err := removeGroup(dir)
			if err == nil {
				break
			}
			if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
				return fmt.Errorf("remove control group: %w", err)
			}
		}
	}
	return nil
}

func removeGroup(dir string) error {
	var groups []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			groups = append(groups, path)
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, group := range slices.Backward(groups) { // inner ones first
		if err := unix.Rmdir(group); err != nil && !errors.Is(err, unix.ENOENT) {
			return &os.PathError{Op: "rmdir", Path: group, Err: err}
		}
	}
	return nil
}
