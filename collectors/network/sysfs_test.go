package network

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/collectors/collectorstest"
	"github.com/dataverket/avstem/inventory"
)

// replay answers with what a guest's kernel said once.
func replay(t testing.TB) dumper {
	return func(_ context.Context, what request) ([][]byte, error) {
		for file, of := range recordings {
			if of == what {
				return recorded(t, file), nil
			}
		}
		return nil, fmt.Errorf("no recording of %s", what.name)
	}
}

// What a guest's kernel said once, decoded without that kernel.
func TestRecordedLabHost(t *testing.T) {
	root := collectorstest.Tree(t, "testdata/lab.txtar")
	golden(t, "lab.json", 0, func() *inventory.Observation {
		return observeFrom(t, root, replay(t))
	})
}

// A NIC of a real server, its sysfs written by hand: no machine of the tests has
// a link with a speed.
func TestSysfsOfAPhysicalLink(t *testing.T) {
	const dir = "sys/class/net/eno1"
	mbits := 25000
	tests := []struct {
		name  string
		spoil func(t *testing.T, root string)
		want  inventory.Link
		hides map[inventory.Field]inventory.Why
	}{
		{"whole", func(*testing.T, string) {},
			inventory.Link{Device: "pci:0000:3b:00.0", Driver: "ice", Speed: &mbits}, nil},
		{"speed unknown", write(dir+"/speed", "-1\n"),
			inventory.Link{Device: "pci:0000:3b:00.0", Driver: "ice"}, nil},
		{"no speed", remove(dir + "/speed"),
			inventory.Link{Device: "pci:0000:3b:00.0", Driver: "ice"}, nil},
		{"speed is no number", write(dir+"/speed", "fast\n"),
			inventory.Link{Device: "pci:0000:3b:00.0", Driver: "ice"}, map[inventory.Field]inventory.Why{"link.speed": inventory.WhyBroken}},
		{"no device", remove(dir + "/device"), inventory.Link{Speed: &mbits}, nil},
		{"driver unbound", remove("sys/devices/pci0000:3a/0000:3b:00.0/driver"),
			inventory.Link{Device: "pci:0000:3b:00.0", Speed: &mbits}, nil},
		{"sysfs of another namespace", write(dir+"/ifindex", "99\n"), inventory.Link{},
			map[inventory.Field]inventory.Why{"link.driver": inventory.WhyAbsent, "link.physicalFunction": inventory.WhyAbsent, "link.speed": inventory.WhyAbsent}},
		{"no sysfs", remove("sys"), inventory.Link{},
			map[inventory.Field]inventory.Why{"link.driver": inventory.WhyAbsent, "link.physicalFunction": inventory.WhyAbsent, "link.speed": inventory.WhyAbsent}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := collectorstest.Tree(t, "testdata/eno1.txtar")
			tt.spoil(t, root)
			message := linkMessage("eno1", info("")) // no kind: a device
			message[4] = 2
			o := observeFrom(t, root, (&fakeKernel{links: [][]byte{message}}).dump)
			got := linkNamed(t, o, "eno1")
			if diff := cmp.Diff(tt.want, inventory.Link{Device: got.Device, Driver: got.Driver, Speed: got.Speed}); diff != "" || got.Kind != kindPhysical {
				t.Errorf("%s link (-want +got):\n%s", got.Kind, diff)
			}
			hides := map[inventory.Field]inventory.Why{}
			for _, p := range o.Problems {
				hides[p.Field] = p.Why
				if p.Entity != "link:eno1" || p.Remedy == "" {
					t.Errorf("problem %+v", p)
				}
			}
			if len(hides) != len(tt.hides) || len(hides) > 0 && !cmp.Equal(hides, tt.hides) {
				t.Errorf("hidden are %v, want %v", hides, tt.hides)
			}
		})
	}
}

func write(path, content string) func(*testing.T, string) {
	return func(t *testing.T, root string) {
		if err := os.WriteFile(filepath.Join(root, path), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func remove(path string) func(*testing.T, string) {
	return func(t *testing.T, root string) {
		if err := os.RemoveAll(filepath.Join(root, path)); err != nil {
			t.Fatal(err)
		}
	}
}
