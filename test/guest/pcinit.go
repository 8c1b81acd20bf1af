package guest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// PCMain is the first process of a [PC]: it sets the machine up, lets run write
// its result, and powers off. It doesn't return.
func PCMain(run func(result io.Writer) error) {
	if err := pcRun(run); err != nil {
		fmt.Println("guest:", err) // on the console, which a failed boot shows
	}
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}

func pcRun(run func(result io.Writer) error) error {
	for _, m := range []struct{ kind, where string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/run"}, {"tmpfs", "/tmp"},
	} {
		if err := os.MkdirAll(m.where, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.where, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.where, err)
		}
	}
	modules, _ := filepath.Glob("/modules/*.ko")
	for _, file := range modules {
		if err := loadModule(file); err != nil {
			return fmt.Errorf("load module %s: %w", file, err)
		}
	}
	result, err := WaitForDisk("/dev/nvme0n1")
	if err != nil {
		return err
	}
	return errors.Join(run(result), result.Sync(), result.Close())
}

func loadModule(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.FinitModule(int(f.Fd()), "", 0)
}

// WaitForDisk opens a disk once the kernel has found it, which it does in the
// background.
func WaitForDisk(path string) (*os.File, error) {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err == nil || time.Now().After(deadline) {
			return f, err
		}
	}
}
