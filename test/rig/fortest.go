package rig

import (
	"os"
	"path/filepath"
	"testing"
)

// testPattern names the directories of tests' rigs, below the system's directory
// for temporary files: t.TempDir's paths are too long for sockets.
const testPattern = "avstem-rig-"

// ForTest starts a rig and stops it when the test ends. Where a rig can't run
// (no root, packages missing) the test fails and says what to do. It also
// removes what earlier tests left whose process was killed.
func ForTest(t testing.TB) *Rig {
	t.Helper()
	return ForTestAs(t, "")
}

// ForTestAs is ForTest for a host that calls itself hostname.
func ForTestAs(t testing.TB, hostname string) *Rig {
	t.Helper()
	return ForTestWith(t, Options{Hostname: hostname})
}

// ForTestWith is ForTest for a rig with options of its own.
func ForTestWith(t testing.TB, o Options) *Rig {
	t.Helper()
	Sweep(testPattern)
	dir, err := os.MkdirTemp("", testPattern)
	if err != nil {
		t.Fatal(err)
	}
	// The read-only socket is for everybody.
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := Start(t.Context(), dir, o)
	if err != nil {
		os.Remove(dir) // there yet if Start had not begun
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what the rig's daemons said:\n%s", r.Log())
		}
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// Sweep removes the rigs of tests that were killed, in directories of that name
// with a suffix below the system's directory for temporary files. One that is
// starting has no record of its first process yet, and is left alone.
func Sweep(name string) {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), name+"*"))
	for _, dir := range dirs {
		if rec, err := readRecord(dir); err == nil && rec.Init.PID != 0 && !rec.Init.alive() {
			_ = Clean(dir) // its owner may be doing the same
		}
	}
}
