package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dataverket/avstem/test/demo"
	"github.com/dataverket/avstem/test/rig"
)

// says runs the program and returns what it wrote.
func says(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), append([]string{"--dir", dir, "--avstem", program}, args...), &out); err != nil {
		t.Fatalf("demo %v: %v\n%s", args, err, out.String())
	}
	return out.String()
}

func demoDir(t *testing.T) string {
	t.Helper()
	base, err := os.MkdirTemp("", "avstem-demo-")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(base, "demo")
	t.Setenv("AVSTEM_RUN_LINK", filepath.Join(base, "run", "current"))
	t.Cleanup(func() {
		if err := rig.Clean(dir); err != nil {
			t.Error(err)
		}
		os.RemoveAll(base)
	})
	return dir
}

func wants(t *testing.T, out string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(out, part) {
			t.Errorf("no %q in:\n%s", part, out)
		}
	}
}

// One demo from beginning to end, with what people do to it.
func TestDemo(t *testing.T) {
	program := filepath.Join(t.TempDir(), "avstem")
	build := exec.Command("go", "build", "-o", program, "github.com/dataverket/avstem/cmd/avstem")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build avstem: %v\n%s", err, out)
	}
	dir := demoDir(t)
	// As a killed "up" leaves it.
	if _, err := rig.Start(t.Context(), dir, rig.Options{Persist: true}); err != nil {
		t.Fatal(err)
	}

	out := says(t, dir, program, "up")
	wants(t, out, "starting over", "15 real VMs, 13 of them running",
		"$ avstem drift\n", "network.isolation", "acme/data/cache-01", "vm.missing",
		"$ avstem explain web-01\n", "OVS bridge br0", "Try next:", dir+"/inventory")
	link := os.Getenv("AVSTEM_RUN_LINK")
	if to, err := os.Readlink(link); err != nil || to != dir+"/state" {
		t.Errorf("commands are led to %q: %v", to, err)
	}
	if strings.ContainsAny(out, "\x1b\r") {
		t.Error("control characters went into a pipe")
	}

	if out := says(t, dir, program, "in", "hostname"); out != demo.Hostname+"\n" {
		t.Errorf("hostname is %q", out)
	}
	// Somebody repairs something; "up" then waits for nothing that can't come.
	says(t, dir, program, "in", "virsh", "-q", "start", "queue-01")
	wants(t, says(t, dir, program, "up"), "The demo runs already", "network.isolation")

	wants(t, says(t, dir, program, "down"), "avstem, 14 guests, libvirtd, Open vSwitch", "removed  "+dir)
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is there after down: %v", dir, err)
	}
	if _, err := os.Lstat(filepath.Dir(link)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the link's directory is there after down: %v", err)
	}
	wants(t, says(t, dir, program, "down"), "nothing to remove")
}

func TestInterrupted(t *testing.T) {
	dir := demoDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := run(ctx, []string{"--dir", dir, "--avstem", "/bin/true", "up"}, &bytes.Buffer{})
	if err == nil || err.Error() != "interrupted: what was built is removed again" {
		t.Errorf("error is %v, want that it was interrupted", err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s was left: %v", dir, err)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"in"}, {"up", "twice"}, {"sideways"}, {"--nonsense"}} {
		if err := run(t.Context(), args, &bytes.Buffer{}); !errors.Is(err, errUsage) {
			t.Errorf("demo %q: %v, want usage", args, err)
		}
	}
}

func TestUpWantsAvstem(t *testing.T) {
	dir := demoDir(t)
	err := run(t.Context(), []string{"--dir", dir, "--avstem", "/nonexistent/avstem", "up"}, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("error is %v, want one that says what to do", err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s was made: %v", dir, err)
	}
}

func TestOneAtATime(t *testing.T) {
	d := &demonstration{dir: demoDir(t)}
	err := d.alone(func() error { return d.alone(func() error { return nil }) })
	if err == nil || !strings.Contains(err.Error(), "at work") {
		t.Errorf("error is %v, want a refusal", err)
	}
	if err := d.alone(func() error { return nil }); err != nil {
		t.Errorf("after the first has ended: %v", err)
	}
}

func TestInWantsARunningDemo(t *testing.T) {
	err := run(t.Context(), []string{"--dir", demoDir(t), "in", "true"}, &bytes.Buffer{})
	if !errors.Is(err, rig.ErrNotRunning) {
		t.Errorf("error is %v, want %v", err, rig.ErrNotRunning)
	}
}

// A libvirtd that is stopped can't say how many guests there are, and doesn't
// keep the demo from ending.
func TestDownWithAStoppedLibvirtd(t *testing.T) {
	dir := demoDir(t)
	r, err := rig.Start(t.Context(), dir, rig.Options{Persist: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Run("sh", "-c", "kill -STOP $(cat /run/libvirtd.pid)"); err != nil {
		t.Fatal(err)
	}
	wants(t, says(t, dir, "/bin/true", "down"), "its guests, libvirtd", "removed  "+dir)
}
