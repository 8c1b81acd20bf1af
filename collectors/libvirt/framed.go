package libvirt

import (
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
)

// Sizes of a packet as its length word states them: the word itself and the
// header (virnetprotocol.x), and libvirt's limit on a message.
const (
	packetMin = 4 + 24
	packetMax = 32<<20 + 4
)

// procConnectOpen is REMOTE_PROC_CONNECT_OPEN (remote_protocol.x).
const procConnectOpen = 1

var errFraming = errors.New("the daemon sent a packet of impossible length")

// framedConn is the connection that go-libvirt reads from. It follows the packets
// in the stream for two faults of that library.
//
// It refuses packets of a length that the protocol doesn't allow: go-libvirt
// allocates what the length word says, and panics in a goroutine of its own where
// that comes to less than nothing.
//
// And where the connection ends in the moment in which it was opened, go-libvirt
// writes its state while another of its goroutines reads it, and may never notice
// the end. So the end of a connection whose opening was answered is held back
// until the library is done with it.
type framedConn struct {
	net.Conn
	head   [16]byte // of the current packet: length, program, version, procedure
	have   int      // bytes of head that came
	left   int      // bytes of the packet still to come
	broken atomic.Bool
	answer bool // the opening was answered

	opened sync.Once
	done   chan struct{} // closed when go-libvirt's opening returned
	ended  atomic.Bool   // nothing more comes
}

func newFramedConn(conn net.Conn) *framedConn {
	return &framedConn{Conn: conn, done: make(chan struct{})}
}

// setOpened says that go-libvirt's opening returned.
func (c *framedConn) setOpened() { c.opened.Do(func() { close(c.done) }) }

// Close is go-libvirt's, when its opening failed. We close c.Conn.
func (c *framedConn) Close() error {
	c.setOpened()
	return c.Conn.Close()
}

func (c *framedConn) Read(p []byte) (int, error) {
	if c.broken.Load() {
		return 0, c.end(errFraming)
	}
	n, err := c.Conn.Read(p)
	if !c.follow(p[:n]) {
		c.broken.Store(true)
		_ = c.Conn.Close() // there is nothing more to be read
		return 0, c.end(errFraming)
	}
	if err != nil {
		err = c.end(err)
	}
	return n, err
}

// end marks the end, and holds it back while the opening returns.
func (c *framedConn) end(err error) error {
	c.ended.Store(true)
	if c.answer {
		<-c.done
	}
	return err
}

// follow takes note of what was read, and returns false where it can't be.
func (c *framedConn) follow(p []byte) bool {
	for len(p) > 0 {
		if c.have < len(c.head) {
			n := copy(c.head[c.have:], p)
			c.have += n
			p = p[n:]
			if c.have < len(c.head) {
				return true
			}
			length := binary.BigEndian.Uint32(c.head[:])
			if length < packetMin || length > packetMax {
				return false
			}
			c.left = int(length) - len(c.head)
		}
		n := min(c.left, len(p))
		c.left -= n
		p = p[n:]
		if c.left == 0 {
			c.answer = c.answer || binary.BigEndian.Uint32(c.head[12:]) == procConnectOpen
			c.have = 0
		}
	}
	return true
}
