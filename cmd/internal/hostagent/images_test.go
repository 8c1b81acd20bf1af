package hostagent

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/collectors/images"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/test/rig"
)

// TestImagesOfARealGuest: what a real guest's disk rests on comes from libvirt's
// collector to that of images; a pass alone reads none, a running agent does, and
// the next pass tells what that kept.
func TestImagesOfARealGuest(t *testing.T) {
	r := rig.ForTest(t)
	base, err := r.CreateBootImage("base.qcow2", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	top, err := r.CreateImage("top.qcow2", 1<<20, "base.qcow2")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Define(`<domain type='qemu'><name>web-01</name><memory unit='MiB'>32</memory><os><type arch='x86_64' machine='q35'>hvm</type></os><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='` + top + `'/><target dev='vda' bus='virtio'/></disk></devices></domain>`); err != nil {
		t.Fatal(err)
	}
	o := Options{Root: r.Dir(), StateDir: t.TempDir(), LibvirtSockets: []string{r.LibvirtReadOnlySocket()},
		IncusSockets: []string{NoSocket}, LXDSockets: []string{NoSocket}}
	file := func() inventory.ImageFile {
		t.Helper()
		pass, err := Collect(t.Context(), o, "images")
		if err != nil || len(pass.Observations) != 1 || len(pass.Observations[0].ImageFiles) != 1 {
			t.Fatalf("the pass is %+v (%v), want one file", pass.Observations, err)
		}
		return pass.Observations[0].ImageFiles[0]
	}
	if f := file(); f.Path != base || f.Format != "qcow2" || f.Digest != "" || f.Undigested != "only a running agent reads images" {
		t.Errorf("before an agent ran it is %+v", f)
	}
	content, err := os.ReadFile(r.Outside(base))
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("sha256:%x", sha256.Sum256(content))

	running := o
	running.readImages = true
	all := Collectors(running)
	defer closeAll(all)
	var vms, reader collectors.Collector
	for _, c := range all {
		switch i, ok := c.(*images.Collector); {
		case ok:
			i.Settled = time.Nanosecond
			reader = c
		case c.Source() == "runtime-libvirt":
			vms = c
		}
	}
	for end := time.Now().Add(time.Minute); file().Digest != want; time.Sleep(20 * time.Millisecond) {
		for _, c := range []collectors.Collector{vms, reader} {
			(&collectors.Runner{Collector: c}).Run(t.Context())
		}
		if time.Now().After(end) {
			t.Fatalf("it is still %+v, want %s", file(), want)
		}
	}
	if _, err := Collect(t.Context(), o, "imagesx"); err == nil || !strings.Contains(err.Error(), "images") {
		t.Errorf("error is %v", err)
	}
}
