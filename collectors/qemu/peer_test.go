package qemu

import (
	"bufio"
	"net"
	"path/filepath"
	"testing"
)

// peer is what a test makes of a monitor's socket: no real QEMU is silent, slow
// or talks nonsense on demand.
type peer struct {
	net.Conn
	in *bufio.Scanner
}

func (p *peer) say(line string) { p.Write([]byte(line + "\n")) }

// hear waits for a line, and is false at the end.
func (p *peer) hear() bool { return p.in.Scan() }

const hello = `{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": []}}`

// fakePeer listens as a monitor that behaves so with each client, and is its path.
func fakePeer(t testing.TB, behave func(*peer)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fake.qmp")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var conns []net.Conn
		for {
			conn, err := listener.Accept()
			if err != nil {
				break
			}
			conns = append(conns, conn)
			go behave(&peer{conn, bufio.NewScanner(conn)})
		}
		for _, conn := range conns {
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
	return path
}
