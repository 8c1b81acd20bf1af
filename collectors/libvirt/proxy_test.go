package libvirt

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Numbers of procedures (src/remote/remote_protocol.x).
const (
	procGetXML       = 14
	procListAll      = 273
	procListPools    = 281
	procAllStats     = 344
	procGetState     = 212
	procGetBlockInfo = 194
)

// Offsets in a packet (virnetprotocol.x): length, program, version, procedure,
// type, serial, status, payload.
const (
	offProc    = 12
	offType    = 16
	offPayload = 28
)

// hook sees a packet before its addressee does, and returns what is passed on:
// nil is nothing. A nil hook passes everything on.
type hook func(proc uint32, packet []byte) []byte

// fakeProxy stands between a collector and a real libvirtd. Its hooks can hold
// back, change or drop what either says.
type fakeProxy struct {
	socket      string
	call, reply hook

	mu    sync.Mutex
	conns []net.Conn
}

func newFakeProxy(t testing.TB, daemon string, call, reply hook) *fakeProxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "proxy-") // t.TempDir's paths may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	p := &fakeProxy{socket: filepath.Join(dir, "sock"), call: call, reply: reply}
	listener, err := net.Listen("unix", p.socket)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("unix", daemon)
			if err != nil {
				conn.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, conn, up)
			p.mu.Unlock()
			all.Go(func() { p.copy(up, conn, p.call) })
			all.Go(func() { p.copy(conn, up, p.reply) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		p.hangUp()
		all.Wait()
		os.RemoveAll(dir)
	})
	return p
}

// hangUp closes every connection.
func (p *fakeProxy) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

// copy passes packets on until either side ends.
func (p *fakeProxy) copy(to, from net.Conn, see hook) {
	defer to.Close()
	defer from.Close()
	for {
		var word [4]byte
		if _, err := io.ReadFull(from, word[:]); err != nil {
			return
		}
		packet := make([]byte, binary.BigEndian.Uint32(word[:]))
		copy(packet, word[:])
		if _, err := io.ReadFull(from, packet[4:]); err != nil {
			return
		}
		if see != nil {
			packet = see(binary.BigEndian.Uint32(packet[offProc:]), packet)
		}
		if _, err := to.Write(packet); err != nil && !errors.Is(err, net.ErrClosed) {
			return
		}
	}
}
