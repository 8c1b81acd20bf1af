package libvirt

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dataverket/avstem/collectors/collectorstest"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/test/rig"
)

// withPool is a host with the pool "images" over the rig's images: a base, a
// layer over it, a raw disk and a directory.
func withPool(t testing.TB) *rig.Rig {
	t.Helper()
	r := rig.ForTest(t)
	must(t)(r.CreateImage("base.qcow2", 1<<30, ""))
	must(t)(r.CreateImage("top.qcow2", 2<<30, "base.qcow2"))
	if err := os.WriteFile(r.Outside(rig.ImagePath("data.raw")), make([]byte, 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(r.Outside(rig.ImagePath("sub")), 0o755); err != nil {
		t.Fatal(err)
	}
	definePools(t, r)
	return r
}

// definePools makes one pool that runs and one that doesn't.
func definePools(t testing.TB, r *rig.Rig) {
	t.Helper()
	must(t)(r.Virsh("pool-define-as", "images", "dir", "--target", rig.ImagePath("")))
	must(t)(r.Virsh("pool-start", "images"))
	must(t)(r.Virsh("pool-define-as", "shared", "netfs", "--source-host", "127.0.0.1", "--source-path", "/export/vms", "--target", "/mnt/shared"))
}

// poolsOf makes passes until the round of reading pools that follows is in one.
func poolsOf(t testing.TB, c *Collector) *inventory.Observation {
	t.Helper()
	c.setUp()
	c.pools.mu.Lock()
	c.pools.notYet = time.Time{}
	ended := c.pools.ended
	c.pools.mu.Unlock()
	collect(t, c)
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("no round of reading pools ended")
	}
	return collect(t, c)
}

func pool(t testing.TB, o *inventory.Observation, name string) inventory.StoragePool {
	t.Helper()
	i := slices.IndexFunc(o.StoragePools, func(p inventory.StoragePool) bool { return p.Name == name })
	if i < 0 {
		t.Fatalf("pool %s is not in the document: %+v", name, o.Problems)
	}
	return o.StoragePools[i]
}

// TestPools reads real pools, running and not.
func TestPools(t *testing.T) {
	r := withPool(t)
	c := open(t, r)
	o := complete(t, c)
	dir := pool(t, o, "images")
	want := inventory.StoragePool{Name: "images", UUID: dir.UUID, Type: "dir", State: "running", Target: rig.ImagePath("."), Volumes: []inventory.StorageVolume{
		{Name: "base.qcow2", Path: rig.ImagePath("base.qcow2"), Type: "file", Format: "qcow2", Capacity: new(1 * inventory.GiB)},
		{Name: "data.raw", Path: rig.ImagePath("data.raw"), Type: "file", Format: "raw", Capacity: new(1 * inventory.MiB)},
		{Name: "sub", Path: rig.ImagePath("sub"), Type: "dir", Format: "dir"},
		{Name: "top.qcow2", Path: rig.ImagePath("top.qcow2"), Type: "file", Format: "qcow2", Capacity: new(2 * inventory.GiB),
			Backing: &inventory.BackingFile{Source: rig.ImagePath("base.qcow2"), Format: "qcow2"}},
	}}
	sizes := cmp.Options{cmpopts.IgnoreFields(inventory.StoragePool{}, "Capacity", "Available"), cmpopts.IgnoreFields(inventory.StorageVolume{}, "Allocation"),
		cmp.FilterPath(func(p cmp.Path) bool { return strings.HasSuffix(p.String(), "Volumes.Capacity") }, cmp.FilterValues(
			func(x, y *inventory.Bytes) bool { return x == nil || y == nil }, cmp.Ignore()))} // a directory's
	if diff := cmp.Diff(want, dir, sizes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if dir.Capacity == nil || dir.Available == nil || *dir.Available > *dir.Capacity || *dir.Capacity == 0 {
		t.Errorf("the pool's sizes are %s of %s", dir.Available, dir.Capacity)
	}
	if got := pool(t, o, "shared"); got.State != "inactive" || got.Source != "127.0.0.1:/export/vms" || got.Target != "/mnt/shared" || got.Volumes != nil {
		t.Errorf("the inactive pool is %+v", got)
	}
	for _, field := range collectorstest.Unshown(o) {
		if entity, _, _ := strings.Cut(string(field), "."); entity == "storagePool" || entity == "storageVolume" {
			t.Errorf("%s is declared and not shown", field)
		}
	}
}

// TestPoolsAreAsOldAsTheirRefresh: libvirt doesn't notice what others do to a
// pool's directory, and we don't make it look.
func TestPoolsAreAsOldAsTheirRefresh(t *testing.T) {
	r := withPool(t)
	c := open(t, r)
	names := func(o *inventory.Observation) (names []string) {
		for _, v := range pool(t, o, "images").Volumes {
			names = append(names, v.Name)
		}
		return names
	}
	must(t)(r.CreateImage("new.qcow2", 1<<20, ""))
	if err := os.Remove(r.Outside(rig.ImagePath("data.raw"))); err != nil {
		t.Fatal(err)
	}
	o := poolsOf(t, c)
	if diff := cmp.Diff([]string{"base.qcow2", "data.raw", "sub", "top.qcow2"}, names(o)); diff != "" {
		t.Errorf("before a refresh (-want +got):\n%s", diff)
	}
	p, found := o.ProblemOf("storagePool:images", "storageVolume.capacity")
	if !found || !strings.Contains(p.Remedy, "pool-refresh") || !strings.Contains(p.Call, "data.raw") {
		t.Errorf("problems are %+v, want one of the volume that went", o.Problems)
	}
	if v := pool(t, o, "images").Volumes[1]; v.Path != rig.ImagePath("data.raw") || v.Capacity != nil {
		t.Errorf("the volume that went is %+v", v)
	}
	must(t)(r.Virsh("pool-refresh", "images"))
	if diff := cmp.Diff([]string{"base.qcow2", "new.qcow2", "sub", "top.qcow2"}, names(poolsOf(t, c))); diff != "" {
		t.Errorf("after a refresh (-want +got):\n%s", diff)
	}
	must(t)(r.Virsh("pool-destroy", "images")) // stops it
	if got := pool(t, poolsOf(t, c), "images"); got.State != "inactive" || got.Volumes != nil || got.Capacity != nil {
		t.Errorf("the stopped pool is %+v", got)
	}
	must(t)(r.Virsh("pool-undefine", "images"))
	if o := poolsOf(t, c); len(o.StoragePools) != 1 {
		t.Errorf("pools are %+v", o.StoragePools)
	}
}

// TestPoolsOutliveADeadDaemon: what was known of the pools stays, beside a
// problem, and none of it delays the VMs.
func TestPoolsOutliveADeadDaemon(t *testing.T) {
	r := withPool(t)
	var down atomic.Bool
	proxy := newFakeProxy(t, r.LibvirtReadOnlySocket(), func(proc uint32, packet []byte) []byte {
		if down.Load() && proc == procListPools {
			return nil
		}
		return packet
	}, nil)
	c := closed(t, &Collector{Sockets: []string{proxy.socket}, Root: r.Dir()})
	if got := pool(t, complete(t, c), "images"); len(got.Volumes) != 4 {
		t.Fatalf("volumes are %+v", got.Volumes)
	}
	down.Store(true)
	c.pools.connect = func(ctx context.Context) (*client, error) { return connect(ctx, c.sockets(), c.URI, time.Second) }
	o := poolsOf(t, c)
	p, found := o.ProblemOf("", "storagePool.name")
	if !found || p.Why != inventory.WhyTimedOut || p.Remedy == "" || !o.Complete {
		t.Errorf("outcome %s, problems are %+v", o.Outcome, o.Problems)
	}
	if got := pool(t, o, "images"); len(got.Volumes) != 4 {
		t.Errorf("volumes are %+v", got.Volumes)
	}
}

// TestParsePools reads pools that can't be had here, as formatstorage describes
// them.
func TestParsePools(t *testing.T) {
	for name, want := range map[string]struct{ kind, source, target string }{
		"logical": {"logical", "vg0", "/dev/vg0"}, "netfs": {"netfs", "nfs1.example.org:/export/vms", "/var/lib/libvirt/nfs"},
		"rbd": {"rbd", "vms", ""}, "iscsi": {"iscsi", "san1.example.org:3260 iqn.2013-06.com.example:iscsi-pool", "/dev/disk/by-path"},
		"zfs": {"zfs", "tank/vms", ""}, "fs": {"fs", "/dev/sdb1", "/srv/vms"}, "scsi": {"scsi", "host0", "/dev/disk/by-path"},
		"gluster": {"gluster", "vms", ""}, "disk": {"disk", "/dev/sdc", "/dev"}, "mpath": {"mpath", "", "/dev/mapper"},
	} {
		raw, err := os.ReadFile(filepath.Join("testdata", "pools", name+".xml"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := parsePool(raw)
		if err != nil || got.Type != want.kind || got.Source != want.source || got.Target != want.target {
			t.Errorf("%s is %+v (%v), want %+v", name, got, err, want)
		}
	}
}

// TestParseVolumes likewise.
func TestParseVolumes(t *testing.T) {
	for name, want := range map[string]inventory.StorageVolume{
		"logical": {Name: "web-01", Path: "/dev/vg0/web-01", Type: "block", Capacity: new(20 * inventory.GiB), Allocation: new(20 * inventory.GiB)},
		"logical-snapshot": {Name: "web-01-snap", Path: "/dev/vg0/web-01-snap", Type: "block", Capacity: new(20 * inventory.GiB), Allocation: new(2 * inventory.GiB),
			Backing: &inventory.BackingFile{Source: "/dev/vg0/web-01"}},
		"netfs": {Name: "db.qcow2", Path: "/var/lib/libvirt/nfs/db.qcow2", Type: "file", Format: "qcow2", Capacity: new(100 * inventory.GiB),
			Allocation: new(inventory.Bytes(3221225472)), Backing: &inventory.BackingFile{Source: "/var/lib/libvirt/nfs/base.qcow2", Format: "qcow2"}},
		"rbd": {Name: "web-01", Path: "vms/web-01", Type: "network", Format: "raw", Capacity: new(10 * inventory.GiB), Allocation: new(10 * inventory.GiB)},
	} {
		raw, err := os.ReadFile(filepath.Join("testdata", "volumes", name+".xml"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseVolume(raw)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s (%v, -want +got):\n%s", name, err, diff)
		}
	}
	for _, raw := range []string{"", "<volume/>", "<pool/>", "<volume><name>x"} {
		if v, err := parseVolume([]byte(raw)); err == nil {
			t.Errorf("%q was read as %+v", raw, v)
		}
	}
}

func FuzzParsePool(f *testing.F) {
	for _, dir := range []string{"pools", "volumes"} {
		files, err := filepath.Glob(filepath.Join("testdata", dir, "*.xml"))
		if err != nil || len(files) == 0 {
			f.Fatal(err, "no seeds in "+dir)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := parsePool(raw); err == nil && len(raw) == 0 {
			t.Error("nothing was read as a pool")
		}
		if v, err := parseVolume(raw); err == nil && v.Name == "" {
			t.Errorf("read as volume %+v", v)
		}
	})
}

// daemonTime is the CPU time that libvirtd has used.
func daemonTime(b *testing.B, r *rig.Rig) time.Duration {
	b.Helper()
	ticks, err := strconv.Atoi(run(b, r, "sh", "-c", `awk '{print $14+$15}' "/proc/$(cat /run/libvirtd.pid)/stat"`))
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(ticks) * 10 * time.Millisecond // USER_HZ is 100
}

// BenchmarkPools reads a real pool of 10,000 volumes.
func BenchmarkPools(b *testing.B) {
	r := rig.ForTest(b)
	must(b)(r.CreateImage("base.qcow2", 1<<30, ""))
	template, err := os.ReadFile(r.Outside(must(b)(r.CreateImage("top.qcow2", 2<<30, "base.qcow2"))))
	if err != nil {
		b.Fatal(err)
	}
	for i := range maxVolumes - 2 {
		if err := os.WriteFile(r.Outside(rig.ImagePath(fmt.Sprintf("volume-%05d.qcow2", i))), template[:min(len(template), 64<<10)], 0o644); err != nil {
			b.Fatal(err)
		}
	}
	must(b)(r.Virsh("pool-define-as", "images", "dir", "--target", rig.ImagePath("")))
	must(b)(r.Virsh("pool-start", "images"))
	c := open(b, r)
	before := daemonTime(b, r)
	for b.Loop() {
		if got := pool(b, poolsOf(b, c), "images"); len(got.Volumes) != maxVolumes {
			b.Fatalf("%d volumes", len(got.Volumes))
		}
	}
	b.ReportMetric((daemonTime(b, r)-before).Seconds()/float64(b.N), "libvirtd-s/op")
}
