package rig

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// process names one process so that a recycled PID, or the same PID after a
// reboot, is never taken for it.
type process struct {
	PID int `json:"pid"`
	// Start is in clock ticks since boot: field 22 of /proc/PID/stat.
	Start uint64 `json:"start"`
	Boot  string `json:"boot"` // /proc/sys/kernel/random/boot_id
}

func identify(pid int) (process, error) {
	start, err := startTime(pid)
	if err != nil {
		return process{}, fmt.Errorf("identify process %d: %w", pid, err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return process{}, fmt.Errorf("identify process %d: %w", pid, err)
	}
	return process{PID: pid, Start: start, Boot: strings.TrimSpace(string(boot))}, nil
}

func startTime(pid int) (uint64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is the command's name in parentheses and may hold blanks
	// and parentheses itself (proc(5)).
	_, rest, _ := strings.Cut(string(data[strings.LastIndexByte(string(data), ')')+1:]), " ")
	fields := strings.Fields(rest) // from field 3 on
	if len(fields) < 20 {
		return 0, fmt.Errorf("read /proc/%d/stat: only %d fields", pid, len(fields)+2)
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

// open returns a descriptor of the very process, and false if it is gone.
func (p process) open() (pidfd int, alive bool) {
	if p.PID <= 0 {
		return -1, false
	}
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		return -1, false
	}
	// The descriptor is of whoever has the PID now; only if that is our process
	// is it ours.
	now, err := identify(p.PID)
	if err != nil || now != p || ended(fd, 0) {
		unix.Close(fd)
		return -1, false
	}
	return fd, true
}

// ended waits up to timeout for the process of pidfd to end. A zombie has ended.
func ended(pidfd int, timeout time.Duration) bool {
	deadline := time.Now().Add(timeout)
	for {
		fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(max(0, time.Until(deadline)).Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return err == nil && n == 1
		}
	}
}

func (p process) alive() bool {
	fd, alive := p.open()
	if alive {
		unix.Close(fd)
	}
	return alive
}

// kill ends the process and waits until it is gone. As PID 1 of a namespace it
// is gone only after every other process of the namespace (pid_namespaces(7)).
func (p process) kill(timeout time.Duration) error {
	fd, alive := p.open()
	if !alive {
		return nil
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process %d: %w", p.PID, err)
	}
	if !ended(fd, timeout) {
		return fmt.Errorf("kill process %d: it is still there after %s", p.PID, timeout)
	}
	return nil
}
