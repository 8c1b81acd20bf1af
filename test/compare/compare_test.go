package compare

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dataverket/avstem/evaluate"
)

// The whole comparison, on real libvirt, QEMU and LXD.
func TestCompare(t *testing.T) {
	build, out := t.TempDir(), t.TempDir()
	for _, program := range []string{"avstem", "avstem-probe"} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(build, program), "github.com/dataverket/avstem/cmd/"+program)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", program, err, text)
		}
	}
	dir, err := os.MkdirTemp("", "avstem-rig-compare-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := Run(t.Context(), dir, build, "../../docs/examples/attestations.yaml", out, t.Logf); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); !os.IsNotExist(err) && len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}

	var numbers []evaluate.Numbers
	read(t, out, "platforms.json", &numbers)
	type facts struct {
		guests, durable int
		paths           evaluate.Share
	}
	got := map[string]facts{}
	for i := range numbers {
		n := &numbers[i]
		if n.Identity.Durable.Of > 0 || n.Type != "" {
			got[key(n)] = facts{n.VMs, n.Identity.Durable.Have, n.Paths}
		}
	}
	for platform, want := range map[string]facts{
		"libvirt":       {3, 3, evaluate.Share{Have: 3, Of: 3}},
		"qemu":          {2, 2, evaluate.Share{Have: 3, Of: 3}},
		"lxd container": {3, 0, evaluate.Share{Have: 3, Of: 3}},
	} {
		if got[platform] != want {
			t.Errorf("%s has %+v, want %+v", platform, got[platform], want)
		}
	}
	if drift := text(t, out, "drift.txt"); !strings.Contains(drift, "Nothing open") {
		t.Errorf("guests that agree have findings:\n%s", drift)
	}

	var card evaluate.Scorecard
	read(t, out, "evaluate.json", &card)
	levels := map[string]string{}
	for _, p := range card.Platforms {
		if p.Selectable {
			t.Errorf("%s is selectable on an example's word", p.Platform)
		}
		for _, d := range p.Dimensions {
			for _, r := range d.Requirements {
				levels[p.Platform+" "+r.ID] = "–"
				if r.Level != nil {
					levels[p.Platform+" "+r.ID] = string(rune('0' + *r.Level))
				}
			}
		}
	}
	for requirement, want := range map[string]string{
		"libvirt lifecycle": "3", "libvirt identity": "3", "libvirt placement": "3", "libvirt isolation": "3",
		"qemu lifecycle": "3", "qemu placement": "0", "qemu identity": "3",
		"lxd lifecycle": "3", "lxd state": "–", // it was containers that were driven, and none of them is a VM
		"libvirt cost": "–", "lxd lab": "2",
	} {
		if levels[requirement] != want {
			t.Errorf("%s is at level %s, want %s", requirement, levels[requirement], want)
		}
	}
	page := text(t, out, "comparison.html")
	for _, part := range []string{`id="numbers"`, `id="probes"`, `<a href="#libvirt.lifecycle"`, "lxd containers"} {
		if !strings.Contains(page, part) {
			t.Errorf("the page has no %s", part)
		}
	}
}

func text(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func read(t *testing.T, dir, name string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text(t, dir, name)), into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}
