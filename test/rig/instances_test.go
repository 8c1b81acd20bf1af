package rig

import (
	"os"
	"strings"
	"testing"
)

// TestContainers launches containers of both daemons in one rig: they run side
// by side, on a bridge of the rig's, and nothing of them is left.
func TestContainers(t *testing.T) {
	dir := shortDir(t)
	r, err := Start(t.Context(), dir, Options{LXD: true, Incus: true})
	if err != nil {
		t.Fatal(err)
	}
	groups, err := readRecord(dir)
	if err != nil || len(groups.CGroups) == 0 {
		t.Fatalf("control groups %v: %v", groups.CGroups, err)
	}
	must(t)(r.Run("ip", "link", "add", "br0", "type", "bridge"))
	for name, client := range map[string]func(...string) (string, error){"lxd": r.LXC, "incus": r.IncusCtl} {
		must(t)(client("launch", "tiny", "c1", "-n", "br0"))
		if list := must(t)(client("list", "--format", "csv", "--columns", "ns")); list != "c1,RUNNING" {
			t.Errorf("%s lists %q", name, list)
		}
	}
	if ports := must(t)(r.Run("ip", "-o", "link", "show", "master", "br0")); strings.Count(ports, "\n") != 1 {
		t.Errorf("br0 has not two ports:\n%s", ports)
	}
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, trace := range append(traces(t, dir), existing(groups.CGroups)...) {
		t.Errorf("left: %s", trace)
	}
}

func existing(dirs []string) []string {
	var found []string
	for _, dir := range dirs {
		if _, err := os.Stat(dir); err == nil {
			found = append(found, dir)
		}
	}
	return found
}
