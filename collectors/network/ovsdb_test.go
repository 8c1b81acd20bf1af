package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// fakeOVSDB is a server that isn't ovsdb-server: it does with each connection
// whatever a test wants of it. It gives its socket.
func fakeOVSDB(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ovs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	listener, err := net.Listen("unix", filepath.Join(dir, "db.sock"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { listener.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serve(conn)
			conn.Close()
		}
	}()
	return listener.Addr().String()
}

// request reads the client's request and says whether it is one.
func readRequest(conn net.Conn) (id json.RawMessage, ok bool) {
	var request struct {
		Method string          `json:"method"`
		ID     json.RawMessage `json:"id"`
	}
	err := json.NewDecoder(conn).Decode(&request)
	return request.ID, err == nil && request.Method == "transact"
}

// says is a server that reads the request and sends text, ID in place of %s.
func says(text string) func(net.Conn) {
	return func(conn net.Conn) {
		if id, ok := readRequest(conn); ok {
			_, _ = io.WriteString(conn, strings.ReplaceAll(text, "%s", string(id)))
		}
	}
}

const emptyResult = `[{"rows":[]},{"rows":[]},{"rows":[]}]`

// untilClosed waits for the client to hang up.
func untilClosed(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

func TestLyingServers(t *testing.T) {
	tests := []struct {
		name  string
		serve func(net.Conn)
		why   inventory.Why // "" where the answer is sound after all
		says  string
	}{
		{"sound", says(`{"id":%s,"error":null,"result":` + emptyResult + `}`), "", ""},
		{"notification first", says(`{"id":null,"method":"update","params":[]}{"id":%s,"error":null,"result":` + emptyResult + `}`), "", ""},
		{"hung", untilClosed, inventory.WhyTimedOut, "deadline exceeded"},
		{"half an answer and hung", func(c net.Conn) { says(`{"id":%s,"error":nu`)(c); untilClosed(c) }, inventory.WhyTimedOut, "deadline exceeded"},
		{"hangs up", func(net.Conn) {}, inventory.WhyBroken, ""},
		{"truncated", says(`{"id":%s,"error":null,"result":[{"rows":[`), inventory.WhyBroken, "unexpected EOF"},
		{"garbage", says("HTTP/1.1 400 Bad Request\r\n\r\n"), inventory.WhyBroken, "invalid character"},
		{"binary", says("\x00\xff\x16\x03\x01"), inventory.WhyBroken, "invalid character"},
		{"wrong ID", says(`{"id":7,"error":null,"result":` + emptyResult + `}`), inventory.WhyBroken, "which was not asked"},
		{"no ID", says(`{"error":null,"result":` + emptyResult + `}`), inventory.WhyBroken, "which was not asked"},
		{"error", says(`{"id":%s,"error":{"error":"unknown database"},"result":null}`), inventory.WhyBroken, "unknown database"},
		{"no such table", says(`{"id":%s,"error":null,"result":[{"rows":[]},{"error":"unknown table","details":"no Port"},null]}`), inventory.WhyBroken, "select from table Port: unknown table: no Port"},
		{"one table", says(`{"id":%s,"error":null,"result":[{"rows":[]}]}`), inventory.WhyBroken, "nothing about table Port"},
		{"null result", says(`{"id":%s,"error":null,"result":null}`), inventory.WhyBroken, "nothing about table Bridge"},
		{"no rows", says(`{"id":%s,"error":null,"result":[{},{},{}]}`), inventory.WhyBroken, "no rows of table Bridge"},
		{"depth", says(strings.Repeat("[", 20000)), inventory.WhyBroken, "max depth"},
		{"echoes without end", func(c net.Conn) {
			readRequest(c)
			go untilClosed(c)
			for err := error(nil); err == nil; {
				_, err = io.WriteString(c, `{"id":"echo","method":"echo","params":[]}`)
			}
		}, inventory.WhyTimedOut, "deadline exceeded"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			timeout := 30 * time.Second
			if tt.why == inventory.WhyTimedOut {
				timeout = time.Second
			}
			c := &Collector{OVSDB: fakeOVSDB(t, tt.serve), NetNS: newNamespace(t).path(), Root: t.TempDir()}
			o := (&collectors.Runner{Collector: c, Timeout: timeout}).Run(t.Context())
			if !o.Complete || len(o.Links) != 1 { // lo
				t.Errorf("complete %t with %d links: %v", o.Complete, len(o.Links), o.Problems)
			}
			for _, field := range ovsFields {
				p, hidden := o.ProblemOf("", field)
				if hidden != (tt.why != "") || p.Why != tt.why || !strings.Contains(p.Error, tt.says) || hidden && p.Remedy == "" {
					t.Errorf("%s: problem %+v", field, p)
				}
			}
		})
	}
}

// The client answers an echo with what it was asked, as ovsdb-server wants it to
// every few seconds.
func TestClientAnswersEcho(t *testing.T) {
	var reply struct {
		ID     string
		Result []any
		Error  any
	}
	socket := fakeOVSDB(t, func(conn net.Conn) {
		id, ok := readRequest(conn)
		if !ok {
			return
		}
		_, _ = io.WriteString(conn, `{"id":"echo","method":"echo","params":["are you there"]}`)
		if err := json.NewDecoder(conn).Decode(&reply); err != nil {
			t.Error(err)
		}
		fmt.Fprintf(conn, `{"id":%s,"error":null,"result":%s}`, id, emptyResult)
	})
	if _, err := readOVSDB(t.Context(), socket); err != nil {
		t.Fatal(err)
	}
	if reply.ID != "echo" || len(reply.Result) != 1 || reply.Result[0] != "are you there" || reply.Error != nil {
		t.Errorf("reply %+v", reply)
	}
}

// flood is a connection whose server never stops to send.
type flood struct{ sent int64 }

func (f *flood) Write(b []byte) (int, error) { return len(b), nil }

func (f *flood) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	f.sent += int64(len(b))
	return len(b), nil
}

func TestHugeAnswerIsRefused(t *testing.T) {
	const limit = 1 << 20
	server := &flood{}
	_, err := transact(server, limit)
	if err == nil || !strings.Contains(err.Error(), "more than 1 MiB") {
		t.Errorf("error %v", err)
	}
	if server.sent > limit {
		t.Errorf("%d bytes were read of at most %d", server.sent, limit)
	}
}

func TestSocketsThatAreNot(t *testing.T) {
	left := filepath.Join(t.TempDir(), "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: left, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	listener.Close()
	tests := map[string]struct {
		socket string
		why    inventory.Why
	}{
		"configured and not there":  {"/nonexistent/db.sock", inventory.WhyAbsent},
		"left behind by its server": {left, inventory.WhyAbsent},
		"below a file":              {"/etc/passwd/db.sock", inventory.WhyAbsent},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := collect(t, &Collector{OVSDB: tt.socket, NetNS: newNamespace(t).path(), Root: t.TempDir()})
			p, hidden := o.ProblemOf("", "ovsBridge.name")
			if !hidden || p.Why != tt.why || p.Remedy == "" || !strings.Contains(p.Call, tt.socket) {
				t.Errorf("problem %+v", p)
			}
		})
	}
}

// A server that accepts nothing any more fills its backlog; connect then fails
// with EAGAIN.
func TestFullBacklogIsTimedOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	first, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := readOVSDB(ctx, path); whyOf(err) != inventory.WhyTimedOut {
		t.Errorf("error %v is %s", err, whyOf(err))
	}
}

func TestCancelEndsAWait(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	socket := fakeOVSDB(t, func(c net.Conn) { cancel(); untilClosed(c) })
	if _, err := readOVSDB(ctx, socket); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
