package guest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// caseVariable chooses what the guest of TestGuest does: by itself that passes,
// and other tests run this binary again to see it go wrong.
const caseVariable = "AVSTEM_TEST_GUEST_CASE"

const guestMAC = "52:54:00:aa:00:01"

func TestGuest(t *testing.T) {
	guest := UML{Modules: []string{"8021q", "dummy", "sd_mod", "scsi_debug dev_size_mb=8"}, NICs: []string{guestMAC}}
	if os.Getenv(caseVariable) == "hang" || os.Getenv(caseVariable) == "stuck" {
		guest.Limit = endWithin + 15*time.Second
	}
	out := guest.Run(t, func(t *testing.T, out string) {
		switch os.Getenv(caseVariable) {
		case "":
			proveGuest(t, out)
		case "fail":
			t.Run("part", func(t *testing.T) { t.Error("one of its parts went wrong") })
		case "panic":
			panic("nothing to be done")
		case "skip":
			t.Skip("not here")
		case "hang":
			hangHere()
		case "stuck":
			if err := os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0); err != nil { // the kernel crashes
				t.Fatal(err)
			}
		case "wait":
			fmt.Println("waiting")
			hangHere()
		}
	})
	written, err := os.ReadFile(filepath.Join(out, "dir/file"))
	if err != nil || string(written) != "from the guest" {
		t.Errorf("the guest wrote %q: %v", written, err)
	}
}

func hangHere() { select {} }

// proveGuest checks that the guest is what UML promises.
func proveGuest(t *testing.T, out string) {
	parent := &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: "nic"}}
	if err := netlink.LinkAdd(parent); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkAdd(&netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Name: "vlan", ParentIndex: parent.Index}, VlanId: 110}); err != nil {
		t.Errorf("add VLAN link: %v", err)
	}
	if nic, err := netlink.LinkByName("vec0"); err != nil || nic.Attrs().HardwareAddr.String() != guestMAC {
		t.Errorf("its NIC is %v: %v", nic, err)
	}
	await(t, "there is a disk", func() bool { // found in the background
		_, err := os.Stat("/dev/sda")
		return err == nil
	})
	if _, err := os.Stat("uml_test.go"); err != nil {
		t.Errorf("not in the package's directory: %v", err)
	}
	if err := os.WriteFile("uml_test.go.new", nil, 0o600); err == nil {
		t.Error("it can write to the machine's file system")
	}
	if err := os.WriteFile(filepath.Join(t.TempDir(), "file"), nil, 0o600); err != nil {
		t.Error(err)
	}
	if err := os.Mkdir(filepath.Join(out, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(out, "dir/file"), []byte("from the guest"), 0o600); err != nil {
		t.Error(err)
	}
}

// rerun is this test's binary, to run TestGuest in one of its cases.
func rerun(t *testing.T, name string) (c *exec.Cmd, temp string) {
	temp = t.TempDir()
	c = exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestGuest$", "-test.v")
	c.Env = append(os.Environ(), caseVariable+"="+name, "TMPDIR="+temp)
	return c, temp
}

func TestWhatGoesWrongInsideIsSeenOutside(t *testing.T) {
	for name, want := range map[string][]string{
		"fail":  {"--- FAIL: TestGuest ", "one of its parts went wrong"},
		"panic": {"--- FAIL: TestGuest ", "nothing to be done", "TestGuest.func1"},
		"skip":  {"--- SKIP: TestGuest ", "not here"},
		"hang":  {"--- FAIL: TestGuest ", "test timed out after 15s", "hangHere"},
		"stuck": {"--- FAIL: TestGuest ", "the guest ended early", "sysrq triggered crash"},
	} {
		t.Run(name, func(t *testing.T) {
			c, temp := rerun(t, name)
			said, err := c.CombinedOutput()
			if failed := err != nil; failed != (name != "skip") {
				t.Errorf("it ended with %v", err)
			}
			for _, text := range want {
				if !strings.Contains(string(said), text) {
					t.Errorf("it doesn't say %q", text)
				}
			}
			if t.Failed() {
				t.Logf("it said:\n%s", said)
			}
			nothingLeft(t, temp)
		})
	}
}

// The test's process is killed while the guest runs.
func TestGuestEndsWithItsTest(t *testing.T) {
	c, temp := rerun(t, "wait")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the guest waits", func() bool {
		outputs, _ := filepath.Glob(filepath.Join(temp, "*/*/output"))
		for _, file := range outputs {
			if said, err := os.ReadFile(file); err == nil && strings.Contains(string(said), "waiting") {
				return true
			}
		}
		return false
	})
	if len(processesIn(t, temp)) == 0 {
		t.Fatal("no process of the guest is found while it runs")
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // killed
	await(t, "no process is left", func() bool { return len(processesIn(t, temp)) == 0 })
	mountsGone(t, temp)
}

func nothingLeft(t *testing.T, temp string) {
	t.Helper()
	await(t, "no process is left", func() bool { return len(processesIn(t, temp)) == 0 })
	mountsGone(t, temp)
	if entries, err := os.ReadDir(temp); err != nil || len(entries) > 0 {
		t.Errorf("left in its directory: %v, %v", entries, err)
	}
}

func mountsGone(t *testing.T, dir string) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), dir) {
		t.Errorf("a mount is left: %v\n%s", err, mounts)
	}
}

// processesIn lists those that have dir on their command line.
func processesIn(t *testing.T, dir string) (found []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if line, err := os.ReadFile(file); err == nil && strings.Contains(string(line), dir) {
			found = append(found, file)
		}
	}
	return found
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not after a minute: %s", what)
		}
	}
}
