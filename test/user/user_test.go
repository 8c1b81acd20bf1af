package user

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/test/rig"
)

const guest = `<domain type='qemu'><name>web-01</name><uuid>0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='%s'/><target dev='vda' bus='virtio'/></disk>
<interface type='ethernet'><mac address='52:54:00:aa:00:01'/><model type='virtio'/></interface></devices></domain>`

// host is a rig with a VM of libvirt, a container of LXD and a bridge of Open
// vSwitch.
func host(t *testing.T) *rig.Rig {
	t.Helper()
	r := rig.ForTestWith(t, rig.Options{LXD: true})
	image, err := r.CreateImage("web.qcow2", 1<<20, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Define(fmt.Sprintf(guest, image)); err != nil {
		t.Fatal(err)
	}
	if err := r.StartVMPaused("web-01"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.VSCtl("add-br", "ovs0", "--", "set", "bridge", "ovs0", "datapath_type=netdev"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.LXC("launch", "tiny", "c1"); err != nil {
		t.Fatal(err)
	}
	return r
}

// program builds the agent as it ships, where every user of the rig can run it.
func program(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "avstem-user-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "avstem-agent")
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-s -w", "-o", file, "github.com/dataverket/avstem/cmd/avstem-agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build avstem-agent: %v\n%s", err, said)
	}
	return file
}

// collect runs the program on the rig's host.
func collect(t *testing.T, r *rig.Rig, command ...string) (text string, bySource map[string]*inventory.Observation) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	run := func(more ...string) []byte {
		args := append(append([]string{}, command[1:]...), append([]string{"collect", "--state-dir", "/nowhere"}, more...)...)
		cmd := r.Command(ctx, command[0], args...)
		var errors strings.Builder
		cmd.Stderr = &errors
		out, err := cmd.Output()
		if err != nil || errors.Len() > 0 {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, errors.String())
		}
		return out
	}
	var all []*inventory.Observation
	if err := json.Unmarshal(run("-o", "json"), &all); err != nil {
		t.Fatal(err)
	}
	bySource = map[string]*inventory.Observation{}
	for _, o := range all {
		bySource[o.Source] = o
	}
	return string(run()), bySource
}

// TestOrdinaryUser compares what nobody sees with what root does.
func TestOrdinaryUser(t *testing.T) {
	r, agent := host(t), program(t)
	_, root := collect(t, r, agent)
	text, user := collect(t, r, "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", agent)

	for source, o := range root {
		if (source != "runtime-incus" && o.Outcome == inventory.OutcomeAbsent) || slices.ContainsFunc(o.Problems, refused) {
			t.Errorf("root's %s is %s: %+v", source, o.Outcome, o.Problems)
		}
	}
	t.Run("what can't be read is said with a remedy", func(t *testing.T) {
		for source, o := range user {
			for _, p := range o.Problems {
				if refused(p) && (p.Remedy == "" || !strings.Contains(text, p.Remedy)) {
					t.Errorf("%s: no remedy on the screen for %+v", source, p)
				}
			}
		}
		if p, found := user["network"].ProblemOf("", "ovsBridge.name"); !found || !refused(p) {
			t.Errorf("network's problems: %+v", user["network"].Problems)
		}
		if o := user["runtime-lxd"]; o.Complete || len(o.VMs) > 0 || len(o.Problems) != 1 || !refused(o.Problems[0]) {
			t.Errorf("LXD is %s: %+v", o.Outcome, o.Problems)
		}
	})
	t.Run("nothing else differs", func(t *testing.T) {
		for source, o := range root {
			if source == "runtime-lxd" {
				continue
			}
			if diff := cmp.Diff(o.Body, user[source].Body, hidden(user[source])...); diff != "" {
				t.Errorf("%s (-root +user):\n%s", source, diff)
			}
		}
	})
}

func refused(p inventory.Problem) bool { return p.Why == inventory.WhyRefused }

// hidden leaves out what the user's document says it could not read. Of a VM of
// libvirt's, libvirt tells what its process doesn't show to others.
func hidden(o *inventory.Observation) []cmp.Option {
	options := []cmp.Option{
		cmpopts.IgnoreFields(inventory.FileSystem{}, "Available", "Used"),
		cmpopts.IgnoreFields(inventory.Disk{}, "Allocation"),
	}
	add := func(field inventory.Field, value any, names ...string) {
		if slices.ContainsFunc(o.Problems, func(p inventory.Problem) bool { return p.Field == field && refused(p) }) {
			options = append(options, cmpopts.IgnoreFields(value, names...))
		}
	}
	add("ovsBridge.name", inventory.Body{}, "OVSBridges")
	for field, name := range map[inventory.Field]string{
		"host.systemUUID": "SystemUUID", "host.serial": "Serial", "host.boardSerial": "BoardSerial",
		"host.chassisSerial": "ChassisSerial", "host.endorsementKey": "EndorsementKey",
	} {
		add(field, inventory.Host{}, name)
	}
	if o.Source == "runtime-qemu" {
		options = append(options, cmpopts.IgnoreFields(inventory.NIC{}, "Link"), cmpopts.IgnoreFields(inventory.Disk{}, "Capacity", "Number"))
	}
	return options
}
