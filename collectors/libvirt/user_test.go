package libvirt

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/test/rig"
)

// TestNobody makes a pass as a user without any privilege: the read-only socket
// shows everything but what only the images of stopped VMs tell.
func TestNobody(t *testing.T) {
	r := richHost(t)
	if err := r.Define(plain("plain-1", 1, rig.ImagePath("mid.qcow2"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(r.Outside(rig.ImagePath("mid.qcow2")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.StartVMPaused("rich"); err != nil {
		t.Fatal(err)
	}
	o := asNobody(t, r)
	if !o.Complete || len(o.VMs) != 2 {
		t.Fatalf("outcome %s with %d VMs: %+v", o.Outcome, len(o.VMs), o.Problems)
	}
	if vm := vmOf(t, o, richUUID); vm.State != inventory.StatePaused || len(vm.Disks[0].Backing) != 2 || vm.Disks[0].Capacity == nil {
		t.Errorf("nobody sees %+v", vm)
	}
	vm := vmOf(t, o, plainUUID(1))
	if vm.Disks[0].Capacity == nil || *vm.Disks[0].Capacity != inventory.MiB || vm.Disks[0].Backing != nil {
		t.Errorf("nobody sees disk %+v", vm.Disks[0])
	}
	p, found := o.ProblemOf(inventory.VMEntity(vm.UUID), "disk.backing")
	if !found || p.Why != inventory.WhyRefused || p.Remedy == "" || !strings.HasSuffix(p.Call, "mid.qcow2") || len(o.Problems) != 1 {
		t.Errorf("problems are %+v", o.Problems)
	}
}

// TestSocketRefused keeps a user out of the sockets' directory.
func TestSocketRefused(t *testing.T) {
	r := rig.ForTest(t)
	if err := os.Chmod(filepath.Dir(r.LibvirtReadOnlySocket()), 0o700); err != nil {
		t.Fatal(err)
	}
	o := asNobody(t, r)
	if o.Outcome != inventory.OutcomeFailed || len(o.Problems) != 1 ||
		o.Problems[0].Why != inventory.WhyRefused || o.Problems[0].Remedy == "" {
		t.Errorf("outcome %s, problems %+v", o.Outcome, o.Problems)
	}
}

// asNobody makes a pass as user and group 65534.
func asNobody(t *testing.T, r *rig.Rig) *inventory.Observation {
	t.Helper()
	dir, err := os.MkdirTemp("", "nobody-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "collect")
	copyProgram(t, program)
	cmd := exec.Command(program)
	cmd.Dir = "/"
	cmd.Env = []string{socketVariable + "=" + r.LibvirtReadOnlySocket(), socketVariable + "_ROOT=" + r.Dir()}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	o := &inventory.Observation{}
	if err := json.Unmarshal(out, o); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return o
}

// copyProgram copies the test's own program to where others may run it.
func copyProgram(t *testing.T, to string) {
	t.Helper()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(own)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
