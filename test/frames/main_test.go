package frames

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/test/uml"
)

const (
	umlModules = "/usr/lib/uml/modules"
	guestOut   = "/run/out" // where the guest sees the test's directory
	guestDir   = "AVSTEM_FRAMES_DIR"
	guestArgs  = "AVSTEM_FRAMES_ARGS"
)

// TestMain is also the guest's first process.
func TestMain(m *testing.M) {
	dir := os.Getenv(guestDir)
	if dir == "" {
		flag.Parse()
		os.Exit(m.Run())
	}
	guest(m, dir)
}

func inGuest() bool { return os.Getenv(guestDir) != "" }

// guest runs the tests in the guest and powers it off.
func guest(m *testing.M, dir string) {
	code := 1
	if err := prepare(dir); err != nil {
		fmt.Println("guest:", err)
	} else {
		os.Args = append(os.Args[:1], strings.Split(os.Getenv(guestArgs), ",")...)
		flag.Parse()
		code = m.Run()
	}
	if code == 0 {
		_ = os.WriteFile(filepath.Join(guestOut, "passed"), nil, 0o644)
	}
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// prepare mounts what a test wants and loads the modules.
func prepare(dir string) error {
	for _, m := range []struct{ what, where, kind string }{
		{"proc", "/proc", "proc"}, {"sysfs", "/sys", "sysfs"}, {"tmpfs", "/run", "tmpfs"}, {"tmpfs", "/tmp", "tmpfs"}, {"tmpfs", "/dev", "tmpfs"},
	} {
		if err := unix.Mount(m.what, m.where, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.where, err)
		}
	}
	for _, d := range []string{guestOut, "/dev/net"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	for name, minor := range map[string]uint32{"null": 3, "zero": 5, "random": 8, "urandom": 9} {
		if err := unix.Mknod("/dev/"+name, unix.S_IFCHR|0o666, int(unix.Mkdev(1, minor))); err != nil {
			return err
		}
	}
	if err := unix.Mknod("/dev/net/tun", unix.S_IFCHR|0o600, int(unix.Mkdev(10, 200))); err != nil {
		return err
	}
	if err := unix.Mount("none", guestOut, "hostfs", 0, dir); err != nil {
		return fmt.Errorf("mount %s: %w", guestOut, err)
	}
	if err := os.Setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"); err != nil {
		return err
	}
	for _, module := range []string{"tun", "8021q", "bonding", "bridge", "veth", "macvlan", "macvtap", "vxlan", "openvswitch"} {
		if out, err := exec.Command("/sbin/modprobe", "-d", guestOut, module).CombinedOutput(); err != nil {
			return fmt.Errorf("load module %s: %w: %s", module, err, out)
		}
	}
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0); err != nil {
		return err
	}
	return startOVS()
}

// runInGuest runs this test in a guest, for at most limit.
func runInGuest(t *testing.T, limit time.Duration) {
	dir := t.TempDir()
	build := exec.Command("go", "test", "-c", "-o", filepath.Join(dir, "guest"), ".") // without -race, whose memory map needs the machine's own kernel
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build guest: %v\n%s", err, out)
	}
	if err := os.MkdirAll(filepath.Join(dir, "lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(umlModules, filepath.Join(dir, "lib/modules")); err != nil {
		t.Fatal(err)
	}
	args := []string{"-rapid.checks=60", "-rapid.nofailfile", "-test.run=^" + t.Name() + "$", "-test.timeout=" + limit.String()}
	flag.Visit(func(f *flag.Flag) {
		if strings.HasPrefix(f.Name, "rapid.") || f.Name == "test.v" {
			args = append(args, "-"+f.Name+"="+f.Value.String())
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), limit+30*time.Second)
	defer cancel()
	var console []byte
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good, see uml.Adapt
		var err error
		console, err = boot(ctx, dir, args)
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	console = bytes.TrimSpace(console)
	if _, err := os.Stat(filepath.Join(dir, "passed")); err != nil {
		t.Fatalf("in the guest:\n%s", console)
	}
	t.Logf("in the guest:\n%s", console)
}

// boot runs a guest to its end and gives what it wrote to its console.
func boot(ctx context.Context, dir string, args []string) (console []byte, err error) {
	adapted, err := uml.Adapt()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "linux.uml", append(adapted, "mem=256M", "rootfstype=hostfs", "ro", "init="+filepath.Join(dir, "guest"),
		"uml_dir="+dir, "con=null", "con0=null,fd:1", "quiet", guestDir+"="+dir, guestArgs+"="+strings.Join(args, ","))...)
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	// Its processes are a group of their own, since it leaves some behind when killed.
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	console, err = cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return console, fmt.Errorf("run guest (package user-mode-linux): %w", err)
	}
	return console, nil // what counts is what it wrote
}
