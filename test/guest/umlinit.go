package guest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// umlFirst is the guest's first process: it sets the machine up, runs the test in
// a process of its own, and powers off. It doesn't return.
func umlFirst(dir string) {
	exit, err := umlRunTest(dir)
	end := umlEnd{Exit: exit}
	if err != nil {
		end.Error = err.Error()
		fmt.Println("guest:", err) // on the console, where the file can't be written
	}
	if err := writeJSON("end", end); err != nil {
		fmt.Println("guest:", err)
	}
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}

func writeJSON(file string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(umlRun, file), data, 0o644)
}

// umlRunTest gives the exit status of the test's process.
func umlRunTest(dir string) (exit int, err error) {
	plan, err := readPlan(dir)
	if err != nil {
		return 0, err
	}
	// Before /tmp is covered: the package may be below it.
	if err := os.Chdir(plan.Dir); err != nil {
		return 0, err
	}
	if err := umlMounts(dir); err != nil {
		return 0, err
	}
	for _, module := range plan.Modules {
		args := append([]string{"-d", umlRun}, strings.Fields(module)...)
		if said, err := exec.Command("/sbin/modprobe", args...).CombinedOutput(); err != nil {
			return 0, fmt.Errorf("load module %s: %w: %s", module, err, said)
		}
	}
	// Written through at once, so that it is there whatever ends the kernel.
	output, err := os.OpenFile(filepath.Join(umlRun, "output"), os.O_CREATE|os.O_WRONLY|os.O_APPEND|os.O_SYNC, 0o644)
	if err != nil {
		return 0, err
	}
	defer output.Close()
	ctx, cancel := context.WithTimeout(context.Background(), plan.Timeout+endWithin/3) // should its own not come to its turn
	defer cancel()
	test := exec.CommandContext(ctx, "/proc/self/exe", plan.Args...)
	// What the kernel was given to make programs work here comes last and wins.
	test.Env = append(append(plan.Environment, os.Environ()...), umlInside+"=yes", "HOME=/tmp", "TMPDIR=/tmp",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	test.Stdout, test.Stderr = output, output
	err = test.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

func readPlan(dir string) (plan umlPlan, err error) {
	data, err := os.ReadFile(filepath.Join(dir, "plan"))
	if err != nil {
		return plan, err
	}
	return plan, json.Unmarshal(data, &plan)
}

// umlMounts makes the machine's file system one that belongs to the guest. Its
// /dev is the kernel's doing.
func umlMounts(dir string) error {
	for _, m := range []struct{ kind, where, what string }{
		{"proc", "/proc", ""}, {"sysfs", "/sys", ""}, {"cgroup2", "/sys/fs/cgroup", ""}, {"devpts", "/dev/pts", ""}, {"tmpfs", "/dev/shm", ""},
		{"tmpfs", "/run", ""}, {"tmpfs", "/tmp", ""}, {"hostfs", umlRun, dir},
	} {
		if err := os.MkdirAll(m.where, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.where, m.kind, 0, m.what); err != nil {
			return fmt.Errorf("mount %s: %w", m.where, err)
		}
	}
	return nil
}

// runInside runs the function and writes down that it was run. It doesn't return,
// as the rest of the test happens outside.
func runInside(t *testing.T, inside func(t *testing.T, out string)) {
	returned := false
	defer func() {
		if err := writeJSON("ran", umlRan{Skipped: t.Skipped() && !returned}); err != nil {
			t.Error(err)
		}
	}()
	inside(t, filepath.Join(umlRun, "out"))
	returned = true
	t.SkipNow() // which ends the test's goroutine, and is nothing that the log should show
}
