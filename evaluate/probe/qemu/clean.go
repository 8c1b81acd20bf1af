package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/evaluate/probe"
)

// Clean implements [probe.Driver]: it ends the processes that a probe started,
// which have its prefix in their names, and removes their directory. QEMU removes
// the taps that it made.
func (d *Driver) Clean(ctx context.Context) (left []error) {
	d.Close()
	found, err := processes()
	if err != nil {
		left = append(left, err)
	}
	for _, pid := range found {
		if err := end(ctx, pid); err != nil {
			left = append(left, fmt.Errorf("end QEMU process %d: %w", pid, err))
		}
	}
	if err := os.RemoveAll(d.dir()); err != nil {
		left = append(left, err)
	}
	return left
}

// processes finds QEMUs whose -name is a probe's (proc(5), cmdline).
func processes() ([]int, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var found []int
	for _, dir := range dirs {
		data, err := os.ReadFile(dir + "/cmdline")
		if err != nil {
			continue // it has ended meanwhile
		}
		words := strings.Split(string(data), "\x00")
		for i := range len(words) - 1 {
			if strings.Contains(words[0], "qemu-system-") && words[i] == "-name" && strings.HasPrefix(words[i+1], probe.Prefix) {
				pid, _ := strconv.Atoi(filepath.Base(dir))
				found = append(found, pid)
			}
		}
	}
	return found, nil
}

// end kills a process and waits until it is gone. The descriptor is the very
// process's, whoever has its number next.
func end(ctx context.Context, pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int((100 * time.Millisecond).Milliseconds()))
		switch {
		case n > 0:
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
	}
}
