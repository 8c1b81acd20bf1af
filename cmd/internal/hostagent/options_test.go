package hostagent

import (
	"os"
	"path/filepath"
	"testing"
)

// What runs under our kernel has our boot ID, wherever its / is seen.
func TestIsCapture(t *testing.T) {
	const bootID = "/proc/sys/kernel/random/boot_id"
	ours, err := os.ReadFile(bootID)
	if err != nil {
		t.Fatal(err)
	}
	root := func(id string) string {
		dir := t.TempDir()
		if id == "" {
			return dir
		}
		if err := os.MkdirAll(filepath.Dir(dir+bootID), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+bootID, []byte(id), 0o644); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	for name, test := range map[string]struct {
		root string
		want bool
	}{
		"this host":                 {"", false},
		"this host from elsewhere":  {root(string(ours)), false},
		"another boot":              {root("9b1f6a5e-2c40-4a3e-8f0d-3d2b6c7a1e01\n"), true},
		"no boot ID, as of a mount": {root(""), false},
	} {
		if got := isCapture(test.root); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
