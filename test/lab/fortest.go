package lab

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/dataverket/avstem/test/rig"
)

// testPattern names the directories of tests' labs, below the system's directory
// for temporary files: t.TempDir's paths are too long for sockets.
const testPattern = "avstem-lab-"

// ForTest starts a lab and stops it when the test ends. Where a lab can't run (no
// root, packages missing) the test fails and says what to do.
func ForTest(t testing.TB, o Options) *Lab {
	t.Helper()
	rig.Sweep(testPattern)
	dir, err := os.MkdirTemp("", testPattern)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Start(t.Context(), dir, o)
	if err != nil {
		os.Remove(dir) // there yet if Start had not begun
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, h := range l.hosts {
				// The test's own context has ended.
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				said, err := h.Run(ctx, "journalctl --no-pager -o short-precise -n 80 -u 'avstem*' 2>&1")
				cancel()
				t.Logf("the console of %s:\n%s\nthe end of what avstem's units said there (%v):\n%s", h.Name(), h.Console(), err, said)
			}
		}
		if err := l.Stop(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// Full says whether the lab's tests are to run at their full size, as make
// lab-test does. The small one is for CI.
func Full() bool { return os.Getenv("AVSTEM_LAB") == "full" }
