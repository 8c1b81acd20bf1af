package incus

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// socketIn is where a socket may be made.
func socketIn(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "incus-") // t.TempDir's paths may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "unix.socket")
}

// listening gives a socket to whoever is to serve it.
func listening(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("unix", socketIn(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// silentSocket takes connections and never says a word.
func silentSocket(t testing.TB) string { return listening(t).Addr().String() }

// deadSocket is one that nobody listens on any more.
func deadSocket(t testing.TB) string {
	l := listening(t).(*net.UnixListener)
	l.SetUnlinkOnClose(false)
	l.Close()
	return l.Addr().String()
}

// fakeDaemon answers what the daemon at a socket would.
func fakeDaemon(t testing.TB, handler http.Handler) string {
	t.Helper()
	l := listening(t)
	server := &http.Server{Handler: handler}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // ends with Close
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return l.Addr().String()
}

// sync writes an answer with metadata that is JSON already.
func synced(w http.ResponseWriter, metadata string) {
	fmt.Fprintf(w, `{"type":"sync","status":"Success","status_code":200,"error_code":0,"error":"","metadata":%s}`, metadata)
}
