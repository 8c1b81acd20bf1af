package network

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/collectors"
)

// hearer keeps what a Watch told.
type hearer struct {
	mu      sync.Mutex
	changes []collectors.Change
	ended   chan error
}

// listen starts a watch and waits until it listens.
func listen(ctx context.Context, watch func(context.Context, func(collectors.Change)) error) (*hearer, error) {
	h := &hearer{ended: make(chan error, 1)}
	go func() { h.ended <- watch(ctx, h.hear) }()
	err := h.wait("the watch's beginning", func(c collectors.Change) bool { return c.Event == "watching" })
	return h, err
}

func (h *hearer) hear(c collectors.Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changes = append(h.changes, c)
}

// heard takes what was told so far.
func (h *hearer) heard() []collectors.Change {
	h.mu.Lock()
	defer h.mu.Unlock()
	changes := h.changes
	h.changes = nil
	return changes
}

// wait takes changes until one is the one that is wanted.
func (h *hearer) wait(what string, wanted func(collectors.Change) bool) error {
	var all []collectors.Change
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		for _, c := range h.heard() {
			all = append(all, c)
			if wanted(c) {
				return nil
			}
		}
		select {
		case err := <-h.ended:
			h.ended <- err
			return fmt.Errorf("the watch ended before %s: %w", what, err)
		default:
		}
	}
	return fmt.Errorf("nothing was told of %s, only %v", what, all)
}

func everything(c collectors.Change) bool { return c.Entity == "" }

func watchFor(t *testing.T, watch func(context.Context, func(collectors.Change)) error) *hearer {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	h, err := listen(ctx, watch)
	t.Cleanup(func() {
		cancel()
		if err := <-h.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the watch ended with %v", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Where the kernel had no room for what it had to tell, all may have changed; the
// watch goes on, and knows the names that links were given meanwhile.
func TestOverrunIsAChangeOfEverything(t *testing.T) {
	n := newNamespace(t)
	n.add(&netlink.Bridge{LinkAttrs: attrs("br0", 1)})
	w := watch{Collector: &Collector{NetNS: n.path(), Root: t.TempDir()}, changes: make(chan collectors.Change), buffer: 1, probe: time.Minute}
	busy, h := make(chan struct{}), &hearer{ended: make(chan error, 1)}
	var once sync.Once
	begun := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		h.ended <- w.run(ctx, func(c collectors.Change) {
			h.hear(c)
			once.Do(func() { close(begun) })
			<-busy
		})
	}()
	<-begun
	for i := range 1000 { // each is told of, and nobody takes it
		n.must(n.LinkSetMTU(n.link("br0"), 1000+i))
	}
	n.must(n.LinkSetName(n.link("br0"), "br1"))
	close(busy)
	if err := h.wait("the overrun", func(c collectors.Change) bool {
		return everything(c) && strings.Contains(c.Event, "ENOBUFS")
	}); err != nil {
		t.Fatal(err)
	}
	n.address("br1", "192.0.2.1/24") // has the index alone
	if err := h.wait("br1's address", func(c collectors.Change) bool {
		return c == collectors.Change{Entity: "link:br1", Event: "RTM_NEWADDR"}
	}); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-h.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the watch ended with %v", err)
	}
}

// A link that goes to another namespace takes the names with it that others knew
// it by.
func TestMoveIsAChangeOfEverything(t *testing.T) {
	outer, inner := newNamespace(t), newNamespace(t)
	outer.add(&netlink.Veth{LinkAttrs: attrs("wire", 1), PeerName: "rope"})
	h := watchFor(t, (&Collector{NetNS: outer.path(), Root: t.TempDir()}).Watch)
	outer.must(outer.LinkSetNsFd(outer.link("rope"), int(inner.handle)))
	if err := h.wait("the move", func(c collectors.Change) bool { return everything(c) && c.Event == "RTM_DELLINK" }); err != nil {
		t.Error(err)
	}
}

// OVSDB goes away and comes back, stops and goes on, and is there only after the
// watch has begun.
func TestWatchOutlivesOVSDB(t *testing.T) {
	n := newNamespace(t)
	o := prepareOVS(t, n)
	w := watch{Collector: &Collector{NetNS: n.path(), OVSDB: o.socket(), Root: t.TempDir()}, changes: make(chan collectors.Change),
		buffer: watchBuffer, probe: 2 * time.Second} // as long as a busy machine may keep a server waiting
	h := watchFor(t, w.run)
	told := func(event string) {
		t.Helper()
		if err := h.wait(event, func(c collectors.Change) bool { return everything(c) && strings.Contains(c.Event, event) }); err != nil {
			t.Fatal(err)
		}
	}
	bridge := func(name string) {
		t.Helper()
		o.vsctl("--no-wait", "add-br", name)
		if err := h.wait(name, func(c collectors.Change) bool { return c.Entity == "ovsBridge:"+name }); err != nil {
			t.Fatal(err)
		}
	}
	o.startServer()
	told("OVSDB is there")
	bridge("br0")
	o.stop("ovsdb-server")
	told("OVSDB is gone")
	o.startServer()
	told("OVSDB is there")
	bridge("br1")
	n.must(syscall.Kill(o.pids["ovsdb-server"], syscall.SIGSTOP))
	told("nothing was heard")
	n.must(syscall.Kill(o.pids["ovsdb-server"], syscall.SIGCONT))
	told("OVSDB is there")
	bridge("br2")
}

// While ovsdb-server hangs a watch begins all the same.
func TestWatchBeginsBesideAHungOVSDB(t *testing.T) {
	n := newNamespace(t)
	o := prepareOVS(t, n)
	o.startServer()
	n.must(syscall.Kill(o.pids["ovsdb-server"], syscall.SIGSTOP))
	t.Cleanup(func() { _ = syscall.Kill(o.pids["ovsdb-server"], syscall.SIGCONT) })
	h := watchFor(t, (&Collector{NetNS: n.path(), OVSDB: o.socket(), Root: t.TempDir()}).Watch)
	n.add(&netlink.Bridge{LinkAttrs: attrs("br0", 1)})
	if err := h.wait("br0", func(c collectors.Change) bool { return c.Entity == "link:br0" }); err != nil {
		t.Error(err)
	}
	n.must(syscall.Kill(o.pids["ovsdb-server"], syscall.SIGCONT))
	if err := h.wait("ovsdb-server's coming to", everything); err != nil {
		t.Error(err)
	}
}

// To be told takes no privilege.
func TestUnprivilegedUserIsTold(t *testing.T) {
	n := newNamespace(t)
	cmd := asNobody(roleWatch)
	stdin, noStdin := cmd.StdinPipe()
	stdout, noStdout := cmd.StdoutPipe()
	n.must(errors.Join(noStdin, noStdout))
	n.do(cmd.Start)
	lines := bufio.NewScanner(stdout)
	for _, want := range []string{" watching", "link:br0 RTM_NEWLINK", "link:br0 RTM_NEWADDR"} {
		for lines.Scan() && lines.Text() != want {
		}
		switch {
		case lines.Text() != want:
			t.Fatalf("not told of %q", want)
		case want == " watching":
			n.add(&netlink.Bridge{LinkAttrs: attrs("br0", 1)})
			n.address("br0", "192.0.2.1/24")
		}
	}
	if err := errors.Join(stdin.Close(), cmd.Wait()); err != nil {
		t.Error(err)
	}
}

func TestWatchOfAMissingNamespace(t *testing.T) {
	err := (&Collector{NetNS: "/nonexistent/netns"}).Watch(t.Context(), func(collectors.Change) { t.Error("something was told") })
	if err == nil || !strings.Contains(err.Error(), "enter network namespace /nonexistent/netns") {
		t.Errorf("error %v", err)
	}
}

// Whatever the kernel sends, telling of it ends, and a link that was named keeps
// its name.
func FuzzRouteEvent(f *testing.F) {
	for file := range recordings {
		for _, m := range recorded(f, file) {
			f.Add(uint16(unix.RTM_NEWLINK), m)
			f.Add(uint16(unix.RTM_NEWADDR), m)
		}
	}
	f.Fuzz(func(t *testing.T, kind uint16, message []byte) {
		names := linkNames{1: "lo"}
		change, told := names.change(syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: kind}, Data: message})
		if told && change.Event == "" || !told && change != (collectors.Change{}) {
			t.Errorf("%t: %+v", told, change)
		}
		for index, name := range names {
			if name == "" {
				t.Errorf("link %d lost its name", index)
			}
		}
	})
}

// Whatever a server sends, hearing it ends, and each change says what happened.
func FuzzOVSDBUpdate(f *testing.F) {
	f.Add([]byte(`{"id":"avstem","error":null,"result":{}}{"method":"update","id":null,"params":["avstem",{"Port":{"u":{"old":{"tag":1},"new":{"name":"vnet0"}}}}]}`))
	f.Add([]byte(`{"method":"echo","id":"echo","params":[]}{"method":"update","id":null,"params":["avstem",{"Interface":{"u":{"old":{"name":"vnet0"}}}}]}`))
	f.Add([]byte(`{"method":"update","params":["avstem",{"Bridge":{"u":null,"v":{"new":{"name":7}}}}]}{"method":"update","params":{}}`))
	f.Fuzz(func(t *testing.T, sent []byte) {
		err := hearUpdates(struct {
			io.Reader
			io.Writer
		}{bytes.NewReader(sent), io.Discard}, 1<<20, new(atomic.Bool), func() {}, func(c collectors.Change) {
			if c.Event == "" {
				t.Errorf("change %+v", c)
			}
		})
		if err == nil {
			t.Error("a connection that ended is no error")
		}
	})
}

func TestDecodeUpdate(t *testing.T) {
	tests := map[string]struct {
		params string
		want   []collectors.Change
	}{
		"several rows": {`["avstem",{"Port":{"b":{"new":{"name":"p2"}},"a":{"old":{"tag":1},"new":{"name":"p1"}}},"Interface":{"c":{"old":{"name":"i1"}}}}]`,
			[]collectors.Change{{Entity: "ovsInterface:i1", Event: "OVSDB delete"}, {Entity: "ovsPort:p1", Event: "OVSDB modify"},
				{Entity: "ovsPort:p2", Event: "OVSDB insert"}}},
		"row without a name":          {`["avstem",{"Port":{"a":{"old":{},"new":{}}}}]`, []collectors.Change{{Event: "OVSDB modify"}}},
		"table that nobody asked for": {`["avstem",{"Flow":{"a":{"new":{"name":"x"}}}}]`, []collectors.Change{{Event: "OVSDB insert"}}},
		"no update":                   {`["avstem"]`, []collectors.Change{{Event: "OVSDB update"}}},
		"nothing":                     {``, []collectors.Change{{Event: "OVSDB update"}}},
	}
	for name, tt := range tests {
		if diff := cmp.Diff(tt.want, decodeUpdate(json.RawMessage(tt.params))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A server that refuses the monitor, or says more than there can be, is left.
func TestMonitorRefuses(t *testing.T) {
	for sent, want := range map[string]string{
		`{"id":"avstem","error":"no such table","result":null}`:                 "no such table",
		`{"method":"update","params":["` + strings.Repeat("x", 2000) + `",{}]}`: "more than",
		`{"id":"avstem","error":null,"result":{}}`:                              "unexpected EOF",
		`}`: "invalid character",
	} {
		err := hearUpdates(struct {
			io.Reader
			io.Writer
		}{strings.NewReader(sent), io.Discard}, 1000, new(atomic.Bool), func() {}, func(collectors.Change) {})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: error %v, want %q", sent, err, want)
		}
	}
}
