package libvirt

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/collectors/storage"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/test/rig"
)

// TestGroundOfARealGuest follows a guest's overlay and its base, as libvirt and
// the host's storage show them, to what this machine's kernel says they lie on.
func TestGroundOfARealGuest(t *testing.T) {
	r := rig.ForTest(t)
	base := must(t)(r.CreateBootImage("base.qcow2", 1<<20))
	top := must(t)(r.CreateImage("top.qcow2", 1<<20, "base.qcow2"))
	if err := r.Define(plain("plain-1", 1, top)); err != nil {
		t.Fatal(err)
	}
	if err := r.StartVMPaused("plain-1"); err != nil {
		t.Fatal(err)
	}
	runtime := complete(t, open(t, r))
	host := (&collectors.Runner{Collector: &storage.Collector{}}).Run(t.Context())
	now := time.Now()
	in := reconcile.Input{Policy: reconcile.DefaultPolicy(), Now: now}
	for _, o := range []*inventory.Observation{runtime, host} {
		o.Host = uuid.MustParse("00000000-0000-4000-8000-0000000000aa")
		in.Observed = append(in.Observed, reconcile.Document{Observation: o, Received: now})
	}
	layers := reconcile.Reconcile(in).VMs[0].DiskPaths[0].Layers
	if len(layers) != 2 || layers[0].Source != top || layers[1].Source != base || layers[0].Ground != layers[1].Ground {
		t.Fatalf("layers are %+v, want the overlay and its base on one ground", layers)
	}
	var st unix.Stat_t
	if err := unix.Stat(r.Outside(base), &st); err != nil {
		t.Fatal(err)
	}
	ground := layers[1].Ground
	t.Logf("%s lies on %s (%s%s)", base, reconcile.PathText(ground.Hops), ground.Remote, ground.Reason)
	if unix.Major(st.Dev) == 0 { // a container's own file system, which hides what is below it
		if !ground.Derived {
			t.Errorf("without a block device the ground is %+v", ground)
		}
		return
	}
	link, err := os.Readlink(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev)))
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(link)
	found := false
	for _, hop := range ground.Hops[1:] {
		found = found || hop.Name == name || hop.Kind == "logical volume"
	}
	if ground.Derived || ground.Hops[0].Kind != "file system" || !found {
		t.Errorf("the ground is %+v, want a file system on %s", ground, name)
	}
}
