package qemu

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxMessage bounds one message of a monitor. The largest that QEMU sends is a
// description of all its block nodes, some 2 KiB each.
const maxMessage = 16 << 20

var (
	errNotQMP = errors.New("what listens there doesn't speak QMP")
	errBusy   = errors.New("no greeting: another program is connected to the monitor")
	errClosed = errors.New("the monitor was closed")
)

// message is anything that a monitor says: its greeting, a reply or an event.
type message struct {
	QMP    *greeting       `json:"QMP"`
	ID     *uint64         `json:"id"`
	Return json.RawMessage `json:"return"`
	Error  *qmpError       `json:"error"`
	Event  string          `json:"event"`
	Data   json.RawMessage `json:"data"`
}

type greeting struct {
	Version struct {
		QEMU struct{ Major, Minor, Micro int } `json:"qemu"`
	} `json:"version"`
}

// qmpError is QEMU's answer to a command that it can't do.
type qmpError struct {
	Class string `json:"class"`
	Desc  string `json:"desc"`
}

func (e *qmpError) Error() string { return e.Class + ": " + e.Desc }

// decodeMessage reads one line of a monitor.
func decodeMessage(line []byte) (message, error) {
	var m message
	if err := json.Unmarshal(line, &m); err != nil {
		return message{}, fmt.Errorf("%w: %w", errNotQMP, err)
	}
	if m.QMP == nil && m.Event == "" && m.Return == nil && m.Error == nil {
		return message{}, fmt.Errorf("%w: a message that is neither greeting, event nor reply", errNotQMP)
	}
	return m, nil
}

// readLine reads to the end of a line, and refuses one that is too long.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxMessage:
			return nil, fmt.Errorf("%w: a message larger than %d bytes", errNotQMP, maxMessage)
		case err == nil:
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// client is a connection to a monitor. Its methods may be called from several
// goroutines; replies find their command by its ID.
type client struct {
	greeting greeting
	peer     int // the process that listens; 0 where unknown
	conn     net.Conn
	event    func(name string) // called by the reading goroutine

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan message
	err     error         // why it ended
	done    chan struct{} // closed when it has
}

// dial connects to a monitor and makes it ready for commands. A monitor that has
// a client says nothing, so ctx needs a deadline.
func dial(ctx context.Context, path string, event func(string)) (*client, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		if errors.Is(err, syscall.EAGAIN) { // others wait already, as many as may
			return nil, errBusy
		}
		return nil, rootCause(err)
	}
	c := &client{conn: conn, event: event, peer: peerOf(conn), waiting: map[uint64]chan message{}, done: make(chan struct{})}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	r := bufio.NewReaderSize(conn, 64<<10)
	err = c.greet(r)
	if !stop() { // ctx ended first, which is why
		err = errBusy
		if context.Cause(ctx) != context.DeadlineExceeded {
			err = context.Cause(ctx)
		}
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	go c.read(r)
	if err := c.call(ctx, "qmp_capabilities", nil, nil); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// rootCause leaves out what net says of the dialling: the caller names the path.
func rootCause(err error) error {
	if oe, ok := errors.AsType[*net.OpError](err); ok {
		return oe.Err
	}
	return err
}

// peerOf is the process that listened on the socket.
func peerOf(conn net.Conn) int {
	pid := 0
	if raw, err := conn.(*net.UnixConn).SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) {
			if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
				pid = int(cred.Pid)
			}
		})
	}
	return pid
}

func (c *client) greet(r *bufio.Reader) error {
	line, err := readLine(r)
	if err != nil {
		return err
	}
	m, err := decodeMessage(line)
	switch {
	case err != nil:
		return err
	case m.QMP == nil:
		return fmt.Errorf("%w: it began without a greeting", errNotQMP)
	}
	c.greeting = *m.QMP
	return nil
}

// read hands out what the monitor says until the connection ends.
func (c *client) read(r *bufio.Reader) {
	for {
		line, err := readLine(r)
		if err == nil {
			err = c.take(line)
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("QEMU closed the connection")
			}
			c.end(err)
			return
		}
	}
}

func (c *client) take(line []byte) error {
	m, err := decodeMessage(line)
	switch {
	case err != nil:
		return err
	case m.Event != "":
		if c.event != nil {
			c.event(m.Event)
		}
		return nil
	case m.ID == nil:
		return fmt.Errorf("%w: a reply to nothing", errNotQMP)
	}
	c.mu.Lock()
	reply := c.waiting[*m.ID]
	delete(c.waiting, *m.ID)
	c.mu.Unlock()
	if reply != nil { // else its caller has given up
		reply <- m
	}
	return nil
}

// call runs a command and decodes what it returns into v, where that isn't nil.
func (c *client) call(ctx context.Context, command string, arguments, v any) error {
	reply := make(chan message, 1)
	c.mu.Lock()
	c.last++
	id := c.last
	c.waiting[id] = reply
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.waiting, id)
		c.mu.Unlock()
	}()
	line, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
		ID        uint64 `json:"id"`
	}{command, arguments, id})
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	if err := c.write(ctx, append(line, '\n')); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	select {
	case m := <-reply:
		if m.Error != nil {
			return fmt.Errorf("%s: %w", command, m.Error)
		}
		if v == nil {
			return nil
		}
		if err := json.Unmarshal(m.Return, v); err != nil {
			return fmt.Errorf("%s: read the reply: %w", command, err)
		}
		return nil
	case <-c.done:
		return fmt.Errorf("%s: %w", command, c.err)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", command, ctx.Err())
	}
}

// write sends one line whole, or ends the connection: half a command would make
// nonsense of the next one.
func (c *client) write(ctx context.Context, line []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if deadline, set := ctx.Deadline(); set {
		c.conn.SetWriteDeadline(deadline)
	}
	if _, err := c.conn.Write(line); err != nil {
		c.conn.Close()
		return rootCause(err)
	}
	return nil
}

// end records why the connection ended, once.
func (c *client) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		close(c.done)
	}
	c.conn.Close()
}

func (c *client) close() { c.end(errClosed) }

func (c *client) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}
