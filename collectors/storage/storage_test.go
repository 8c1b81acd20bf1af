package storage

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/collectors/collectorstest"
	"github.com/dataverket/avstem/inventory"
)

var update = flag.Bool("update", false, "write the golden files anew")

func observe(c collectors.Collector) *inventory.Observation {
	r := collectors.Runner{Collector: c, Now: func() time.Time { return time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC) }}
	return r.Run(context.Background())
}

func fixtures(t *testing.T) []string {
	t.Helper()
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	return archives
}

// fakeSizes stands for statfs(2), which a capture doesn't hold.
func fakeSizes(m mount) (usage, error) {
	size, used, available := 100*inventory.GiB, inventory.GiB, inventory.Bytes(len(m.point))*inventory.GiB
	return usage{size: &size, used: &used, available: &available}, nil
}

func over(t *testing.T, archive string) *Collector {
	return &Collector{Root: collectorstest.Tree(t, archive), measure: fakeSizes}
}

func TestFixtures(t *testing.T) {
	for _, archive := range fixtures(t) {
		t.Run(filepath.Base(archive), func(t *testing.T) {
			o := observe(over(t, archive))
			o.Capabilities = nil // one table for all, and long
			got, err := json.MarshalIndent(o, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(archive, ".txtar") + ".json"
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimSpace(string(want)), string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", golden, diff)
			}
		})
	}
}

func TestConformance(t *testing.T) {
	empty := func(t *testing.T) collectors.Collector { return &Collector{Root: t.TempDir()} }
	down := func(t *testing.T) collectors.Collector { // sysfs is there, /proc isn't
		root := collectorstest.Tree(t, "testdata/guest.txtar")
		if err := os.RemoveAll(filepath.Join(root, "proc")); err != nil {
			t.Fatal(err)
		}
		return &Collector{Root: root}
	}
	for _, archive := range fixtures(t) {
		t.Run(filepath.Base(archive), func(t *testing.T) {
			collectorstest.Run(t, func(t *testing.T) collectors.Collector { return over(t, archive) },
				collectorstest.Absent(empty), collectorstest.Down(down))
		})
	}
	t.Run("this host", func(t *testing.T) {
		collectorstest.Run(t, func(*testing.T) collectors.Collector { return &Collector{} })
	})
}

func TestDeclaredFieldsAreShown(t *testing.T) {
	if unshown := collectorstest.Unshown(observe(over(t, "testdata/server.txtar"))); len(unshown) > 0 {
		t.Errorf("declared and never seen on a server that has everything: %v", unshown)
	}
}

func TestCaptureHasNoSizes(t *testing.T) {
	o := observe(&Collector{Root: collectorstest.Tree(t, "testdata/guest.txtar")})
	if len(o.FileSystems) != 1 || o.FileSystems[0].Size != nil || len(o.Problems) > 0 {
		t.Errorf("a capture tells sizes of this host: %+v, %v", o.FileSystems, o.Problems)
	}
}

// A line of mountinfo that can't be understood hides nothing else.
func TestBrokenMountinfoIsPartial(t *testing.T) {
	c := over(t, "testdata/guest.txtar")
	path := filepath.Join(c.Root, mountinfo)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append([]byte("27 1 254:x / / rw - ext4 /dev/vda rw\n"), good...), 0o644); err != nil {
		t.Fatal(err)
	}
	o := observe(c)
	if o.Outcome != inventory.OutcomePartial || o.Complete || len(o.FileSystems) != 1 || len(o.Problems) != 1 || !strings.Contains(o.Problems[0].Error, "line 1") {
		t.Errorf("outcome %s, %v, problems %v: want partial with the other mount and the line's number", o.Outcome, o.FileSystems, o.Problems)
	}
}
