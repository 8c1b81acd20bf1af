package libvirt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/dataverket/avstem/test/rig"
)

// packet is one of that length, of a procedure.
func packet(length, proc uint32) []byte {
	p := make([]byte, length)
	binary.BigEndian.PutUint32(p, length)
	binary.BigEndian.PutUint32(p[offProc:], proc)
	return p
}

// readerConn is a connection to read from.
type readerConn struct {
	net.Conn
	io.Reader
}

func (c readerConn) Read(p []byte) (int, error) { return c.Reader.Read(p) }
func (c readerConn) Close() error               { return nil }

// TestFramedConnPasses holds the law of it: packets arrive as they were sent,
// however the stream is cut, up to the first one that can't be.
func TestFramedConnPasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		for range rapid.IntRange(0, 5).Draw(t, "packets") {
			stream = append(stream, packet(rapid.Uint32Range(packetMin, 300).Draw(t, "length"), procGetXML)...)
		}
		whole := len(stream)
		bad := rapid.SampledFrom([]uint32{0, 1, packetMin - 1, packetMax + 1, 1<<32 - 1}).Draw(t, "bad")
		broken := rapid.Bool().Draw(t, "broken")
		if broken {
			stream = append(stream, packet(64, procGetXML)...)
			binary.BigEndian.PutUint32(stream[whole:], bad)
		}
		var source io.Reader = bytes.NewReader(stream)
		if rapid.Bool().Draw(t, "byte by byte") {
			source = iotest.OneByteReader(source)
		}
		c := newFramedConn(readerConn{Reader: source})
		got, err := io.ReadAll(c)
		if errors.Is(err, errFraming) != broken || !c.ended.Load() {
			t.Fatalf("ended with %v, broken %t", err, broken)
		}
		if !bytes.HasPrefix(stream, got) || !broken && len(got) != whole {
			t.Fatalf("%d of %d bytes came through", len(got), whole)
		}
	})
}

// TestEndOfOpeningIsHeldBack lets the stream end behind the answer to opening it.
func TestEndOfOpeningIsHeldBack(t *testing.T) {
	c := newFramedConn(readerConn{Reader: bytes.NewReader(packet(packetMin, procConnectOpen))})
	ended := make(chan error, 1)
	go func() {
		_, err := io.ReadAll(c)
		ended <- err
	}()
	eventually(t, "the end to be read", c.ended.Load)
	select {
	case err := <-ended:
		t.Fatalf("the end came through: %v", err)
	default:
	}
	c.setOpened()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestLostWhileOpening hangs up as soon as the opening was answered. The race
// detector watches; the pass ends in any case.
func TestLostWhileOpening(t *testing.T) {
	r := rig.ForTest(t)
	var proxy *fakeProxy
	proxy = newFakeProxy(t, r.LibvirtReadOnlySocket(), nil, func(proc uint32, packet []byte) []byte {
		if proc == procConnectOpen {
			go proxy.hangUp()
		}
		return packet
	})
	c := closed(t, &Collector{Sockets: []string{proxy.socket}})
	for range 50 {
		if o := collect(t, c); !o.Complete && len(o.Problems) == 0 {
			t.Errorf("outcome %s and no problem", o.Outcome)
		}
	}
}
