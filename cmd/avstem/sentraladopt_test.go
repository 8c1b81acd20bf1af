package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/test/rig"
)

// adoptedGuest is a guest whose metadata says whose it is.
const adoptedGuest = `<domain type='qemu'><name>%[1]s</name><uuid>%[2]s</uuid>
<metadata><dv:placement xmlns:dv="urn:dataverket:maskin:placement:v1" vm="%[2]s" tenant="acme" project="web" environment="prod" image="debian-12" imageVersion="20261101"/></metadata>
<memory unit='MiB'>32</memory><vcpu>1</vcpu><os><type arch='x86_64' machine='q35'>hvm</type></os>
<devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='%[3]s'/><target dev='vda' bus='virtio'/><serial>%[1]s-root</serial></disk>
<interface type='ethernet'><mac address='%[4]s'/><model type='virtio'/></interface>
</devices></domain>`

// TestAdoptedHostHasNoDrift begins with an inventory that names a site, has what
// a real libvirt shows written down, and holds the one against the other.
func TestAdoptedHostHasNoDrift(t *testing.T) {
	t.Parallel()
	r := rig.ForTestAs(t, "lab-01")
	for i, name := range []string{"web-01", "web-02"} {
		image, err := r.CreateImage(name+".qcow2", 64<<20, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Define(fmt.Sprintf(adoptedGuest, name, fmt.Sprintf("0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c00a%d", i), image, fmt.Sprintf("52:54:00:aa:00:a%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.StartVM("web-01"); err != nil {
		t.Fatal(err)
	}
	p := newPlace(t)
	p.write("inventory.yaml", "sites: [{id: lab}]\n")
	p.up("--root", r.Dir())
	p.drift(reconcile.VMUnknown)
	must := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := p.try(append(args, "--state-dir", p.state)...)
		if code != exitOK {
			t.Fatalf("%v: exit %d\n%s%s", args, code, stdout, stderr)
		}
		return stdout
	}
	if shown := must("sentral", "adopt", "web-02"); strings.Contains(shown, "web-01") || !strings.Contains(shown, "name: web-02") || !strings.Contains(shown, "hostID: ") {
		t.Errorf("adopt web-02 shows\n%s\nwant it and its host alone", shown)
	}
	if wrote := must("sentral", "adopt", "--all", "--inventory", p.inventory, "--write"); !strings.Contains(wrote, "adopted.yaml") {
		t.Errorf("it says %s", wrote)
	}
	must("sentral", "lint", p.inventory)
	var left []string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		var findings []reconcile.Finding
		if err := json.Unmarshal([]byte(must("drift", "-o", "json")), &findings); err != nil {
			t.Fatal(err)
		}
		left = nil
		for _, f := range findings {
			switch group, _, _ := strings.Cut(string(f.Kind), "."); group {
			case "vm", "nic", "disk", "host", "identity", "inventory":
				left = append(left, string(f.Kind)+": "+f.Message)
			}
		}
		if left == nil {
			break
		}
	}
	if left != nil {
		t.Errorf("what was adopted still differs:\n%s\nadopted:\n%s", strings.Join(left, "\n"), must("sentral", "adopt", "--all"))
	}
	if again := must("sentral", "adopt", "--all", "--inventory", p.inventory); again != "" {
		t.Errorf("there is more to adopt:\n%s", again)
	}
}
