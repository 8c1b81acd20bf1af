package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/evaluate/probe"
)

// program builds the command: what it starts of itself must be it, and no test.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "avstem-probe")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

const yes = "--yes-change-this-host"

func command(path string, args ...string) (*exec.Cmd, *bytes.Buffer, *bytes.Buffer) {
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "AVSTEM_STATE_DIR=/nonexistent", "AVSTEM_SERVER=nats://127.0.0.1:1", "HOME=/nonexistent")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	return cmd, &stdout, &stderr
}

// traces are the processes and the directory of a probe of QEMU.
func traces(t *testing.T) string {
	t.Helper()
	var found strings.Builder
	dirs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range dirs {
		if data, err := os.ReadFile(path); err == nil && bytes.Contains(data, []byte("qemu-system")) && bytes.Contains(data, []byte("\x00"+probe.Prefix)) {
			found.WriteString(path + " ")
		}
	}
	if _, err := os.Stat("/run/" + probe.Prefix + "qemu"); err == nil {
		found.WriteString("/run/" + probe.Prefix + "qemu")
	}
	return found.String()
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("gave up waiting for %s: %s", what, traces(t))
		}
	}
}

// The whole program on real QEMU processes, as a person runs it. One after the
// other, since they share the names of links.
func TestProgram(t *testing.T) {
	path := program(t)

	t.Run("what it writes is what evaluate reads", func(t *testing.T) {
		cmd, stdout, stderr := command(path, "--runtime", "qemu", yes, "--without-sentral", "-o", "json")
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v\n%s", err, stderr)
		}
		run, err := evaluate.ReadProbe(stdout)
		if err != nil || run.Platform != "qemu" || len(run.Steps) != len(evaluate.ProbeSteps) || run.Limit == 0 {
			t.Errorf("%v: %+v", err, run)
		}
		if !strings.Contains(stderr.String(), "attach-disk     worked") {
			t.Errorf("progress is %s", stderr)
		}
		if left := traces(t); left != "" {
			t.Errorf("left behind: %s", left)
		}
	})

	t.Run("interrupted, it cleans up", func(t *testing.T) {
		cmd, stdout, stderr := command(path, "--runtime", "qemu", yes, "--without-sentral", "-o", "json")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the VM", func() bool { return strings.Contains(traces(t), "/proc/") })
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Error("it says that all went well")
		}
		if left := traces(t); left != "" {
			t.Errorf("left behind: %s\n%s", left, stderr)
		}
		var run evaluate.ProbeRun
		if err := json.Unmarshal(stdout.Bytes(), &run); err != nil || run.Steps[len(run.Steps)-1].Outcome == evaluate.ProbeWorked {
			t.Errorf("what was found until then: %v: %s", err, stdout)
		}
	})

	t.Run("killed, it is cleaned up after", func(t *testing.T) {
		cmd, _, _ := command(path, "--runtime", "qemu", yes, "--without-sentral")
		cmd.Stderr = nil // the second process would keep it open
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the VM", func() bool { return strings.Contains(traces(t), "/proc/") })
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
		eventually(t, "the second process to clean up", func() bool { return traces(t) == "" })
	})

	// Each would remove the other's VM.
	t.Run("a second one is refused while it is at work", func(t *testing.T) {
		cmd, _, stderr := command(path, "--runtime", "qemu", yes, "--without-sentral")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the VM", func() bool { return strings.Contains(traces(t), "/proc/") })
		if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		for _, second := range [][]string{{"--runtime", "qemu", yes, "--clean"}, {"--runtime", "qemu", yes, "--without-sentral"}} {
			other, _, says := command(path, second...)
			if err := other.Run(); err == nil || !strings.Contains(says.String(), "another avstem-probe is at work") {
				t.Errorf("%v: %v\n%s", second, err, says)
			}
		}
		if traces(t) == "" {
			t.Error("the VM of the one at work is gone")
		}
		if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, stderr)
		}
	})

	t.Run("what was left is removed by the next, or alone", func(t *testing.T) {
		dir := "/run/" + probe.Prefix + "qemu"
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		left := exec.Command("qemu-system-x86_64", "-name", probe.Prefix+"left", "-S", "-display", "none", "-m", "16", "-daemonize", "-pidfile", dir+"/pid")
		if out, err := left.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		cmd, _, stderr := command(path, "--runtime", "qemu", yes, "--clean")
		if err := cmd.Run(); err != nil || traces(t) != "" {
			t.Errorf("%v: %s\n%s", err, traces(t), stderr)
		}
	})
}

func TestRefusals(t *testing.T) {
	path := program(t)
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	inventory := func(text string) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "i.yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	const site = "sites: [{id: lab}]\n"
	for name, test := range map[string]struct {
		args []string
		want string
		code int
	}{
		"no runtime":        {[]string{yes}, "--runtime is missing", 2},
		"another runtime":   {[]string{"--runtime", "luck", yes}, `invalid argument "luck" for "--runtime" flag: want one of libvirt, qemu, lxd, incus`, 2},
		"not said yes":      {[]string{"--runtime", "qemu"}, "say --yes-change-this-host", 2},
		"an active host":    {[]string{"--runtime", "qemu", yes, "--inventory", inventory(site + "hosts: [{id: h, name: " + hostname + ", site: lab, state: active}]")}, "refused: Sentral calls this host active", 1},
		"active by default": {[]string{"--runtime", "qemu", yes, "--inventory", inventory(site + "hosts: [{id: " + hostname + ", name: x, site: lab}]")}, "refused: Sentral calls this host active", 1},
		"half an inventory": {[]string{"--runtime", "qemu", yes, "--inventory", inventory(site + "hosts: [{id: h, nmae: x, site: lab}]")}, "refused: a part of the inventory", 1},
		"nobody to ask":     {[]string{"--runtime", "qemu", yes}, "give --inventory DIR, or say --without-sentral", 1},
		"no such daemon":    {[]string{"--runtime", "libvirt", yes, "--without-sentral", "--socket", "/nonexistent"}, "connect to libvirt's read-write socket", 1},
		"no such LXD":       {[]string{"--runtime", "lxd", yes, "--without-sentral", "--socket", "/nonexistent"}, "ask lxd what it is", 1},
	} {
		t.Run(name, func(t *testing.T) {
			cmd, _, stderr := command(path, test.args...)
			_ = cmd.Run() // its status is looked at
			if code := cmd.ProcessState.ExitCode(); code != test.code || !strings.Contains(stderr.String(), test.want) {
				t.Errorf("exit status %d, want %d, and %q in\n%s", code, test.code, test.want, stderr)
			}
			if left := traces(t); left != "" {
				t.Errorf("something was made: %s", left)
			}
		})
	}
	t.Run("a lab host is probed", func(t *testing.T) {
		cmd, _, stderr := command(path, "--runtime", "qemu", yes, "--inventory", inventory(site+"hosts: [{id: h, name: "+hostname+", site: lab, state: maintenance}]"), "--limit", "20s")
		if err := cmd.Run(); err != nil {
			t.Errorf("%v\n%s", err, stderr)
		}
	})
}
