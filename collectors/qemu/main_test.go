package qemu

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

var update = flag.Bool("update", false, "rewrite the golden files from what was seen")

// insideVariable says that the test's program runs as the first process of its
// own PID, mount and network namespace: what is there of QEMU is the tests' own,
// and ends with them.
const insideVariable = "AVSTEM_TEST_INSIDE"

// observeVariable makes the test's program one pass below the root that it names,
// printed, for passes as another user.
const observeVariable = "AVSTEM_TEST_OBSERVE"

func TestMain(m *testing.M) {
	flag.Parse()
	worker := flag.Lookup("test.fuzzworker")
	switch {
	case os.Getenv(observeVariable) != "":
		observeAndPrint()
	case os.Getenv(insideVariable) == "" && (worker == nil || worker.Value.String() != "true") && flag.Lookup("test.fuzz").Value.String() == "":
		os.Exit(runInside())
	case os.Getenv(insideVariable) != "":
		if err := mountProc(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// runInside runs the program again in namespaces of its own.
func runInside() int {
	c := exec.Command("/proc/self/exe", os.Args[1:]...)
	c.Args[0] = os.Args[0]
	c.Env = append(os.Environ(), insideVariable+"=1")
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	err := c.Run()
	if exit, failed := errors.AsType[*exec.ExitError](err); failed {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "run the tests in namespaces of their own (which takes root): %v\n", err)
		return 1
	}
	return 0
}

func mountProc() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return nil
}

// observeAndPrint makes one pass as whoever it runs as.
func observeAndPrint() {
	c := &Collector{}
	o := (&collectors.Runner{Collector: c}).Run(context.Background())
	if err := json.NewEncoder(os.Stdout).Encode(o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// machine is a QEMU process of a test.
type machine struct {
	t   testing.TB
	dir string
	cmd *exec.Cmd
	out bytes.Buffer
}

// monitorPath is the machine's monitor that is for the collector.
func (m *machine) monitorPath() string { return filepath.Join(m.dir, "avstem.qmp") }

// adminPath is the one that is for the test.
func (m *machine) adminPath() string { return filepath.Join(m.dir, "admin.qmp") }

// start runs QEMU with the least that it needs, paused, and waits until its
// monitors answer.
func start(t testing.TB, args ...string) *machine {
	t.Helper()
	m := &machine{t: t, dir: t.TempDir()}
	all := append([]string{"-accel", "tcg", "-display", "none", "-nodefaults", "-m", "16",
		"-qmp", "unix:" + m.monitorPath() + ",server=on,wait=off", "-qmp", "unix:" + m.adminPath() + ",server=on,wait=off"}, args...)
	m.cmd = exec.Command("/usr/bin/qemu-system-x86_64", all...)
	m.cmd.Dir = m.dir
	m.cmd.Stdout, m.cmd.Stderr = &m.out, &m.out
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); m.cmd.Wait() }()
	t.Cleanup(func() {
		m.cmd.Process.Kill()
		<-ended
	})
	await(t, "QEMU's monitor", func() bool {
		select {
		case <-ended:
			t.Fatalf("QEMU ended: %s", m.out.String())
		default:
		}
		c, err := dial(deadline(t), m.adminPath(), nil)
		if err == nil {
			c.close()
		}
		return err == nil
	})
	m.do("query-status") // answered once everything is open
	return m
}

// await asks again until it is so.
func await(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: waited for a minute", what)
		}
	}
}

// do runs commands on the test's own monitor.
func (m *machine) do(commands ...string) {
	m.t.Helper()
	c, err := dial(deadline(m.t), m.adminPath(), nil)
	if err != nil {
		m.t.Fatalf("dial %s: %v", m.adminPath(), err)
	}
	defer c.close()
	for _, command := range commands {
		name, arguments, _ := strings.Cut(command, " ")
		var parsed any
		if arguments != "" {
			if err := json.Unmarshal([]byte(arguments), &parsed); err != nil {
				m.t.Fatal(err)
			}
		}
		if err := c.call(deadline(m.t), name, parsed, nil); err != nil {
			m.t.Fatal(err)
		}
	}
}

func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// kill ends the process and waits until it is gone.
func (m *machine) kill() {
	m.t.Helper()
	pid := m.cmd.Process.Pid
	m.cmd.Process.Kill()
	await(m.t, "QEMU's end", func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
		return err != nil
	})
}

// open is a collector that is closed with the test.
func open(t testing.TB, monitors ...string) *Collector {
	return closed(t, &Collector{Monitors: monitors, CallTimeout: 30 * time.Second})
}

func closed(t testing.TB, c *Collector) *Collector {
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func collect(t testing.TB, c *Collector) *inventory.Observation {
	t.Helper()
	return (&collectors.Runner{Collector: c, Timeout: time.Minute}).Run(t.Context())
}

// only is the one VM of an observation.
func only(t testing.TB, o *inventory.Observation) *inventory.VM {
	t.Helper()
	if len(o.VMs) != 1 {
		t.Fatalf("%d VMs, want one; problems: %v", len(o.VMs), o.Problems)
	}
	return &o.VMs[0]
}

func command(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// addTap makes a tap that stays.
func addTap(t testing.TB, name string) {
	t.Helper()
	command(t, "ip", "tuntap", "add", "dev", name, "mode", "tap")
	t.Cleanup(func() { command(t, "ip", "link", "del", name) })
	if _, err := net.InterfaceByName(name); err != nil {
		t.Fatal(err)
	}
}
