package agent

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/bus/embedded"
	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// site is an embedded server that can be stopped and started, and what stands
// on its stream.
type site struct {
	t      *testing.T
	dir    string
	listen string
	server *embedded.Server
}

func newSite(t *testing.T) *site {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := &site{t: t, dir: t.TempDir(), listen: l.Addr().String()}
	t.Cleanup(s.stop)
	return s
}

func (s *site) start() {
	s.t.Helper()
	server, err := embedded.Start(s.t.Context(), embedded.Options{StateDir: s.dir, Listen: s.listen})
	if err != nil {
		s.t.Fatal(err)
	}
	s.server = server
	c := s.conn()
	if err := c.EnsureStreams(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) stop() {
	if s.server != nil {
		s.server.Close()
	}
}

func (s *site) conn() *bus.Conn {
	s.t.Helper()
	c, err := s.server.Connect("test")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	return c
}

// connect is an agent's way to the server, over TCP.
func (s *site) connect(ctx context.Context) (*bus.Conn, error) {
	token, err := os.ReadFile(filepath.Join(s.dir, embedded.TokenName))
	if err != nil {
		return nil, err
	}
	return bus.Connect(ctx, bus.Options{Server: "nats://" + s.listen, Auth: bus.Auth{Token: strings.TrimSpace(string(token))},
		Getenv: func(string) string { return "" }})
}

// history reads the stream's documents.
func (s *site) history() []*inventory.Observation {
	s.t.Helper()
	c := s.conn()
	defer c.Close()
	consumer, err := c.JetStream().OrderedConsumer(s.t.Context(), bus.StreamObserved, jetstream.OrderedConsumerConfig{})
	if err != nil {
		s.t.Fatal(err)
	}
	info, err := consumer.Info(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	var docs []*inventory.Observation
	for range info.NumPending {
		msg, err := consumer.Next(jetstream.FetchMaxWait(5 * time.Second))
		if err != nil {
			s.t.Fatal(err)
		}
		o, err := bus.Decode(msg.Subject(), msg.Headers(), msg.Data())
		if err != nil {
			s.t.Fatal(err)
		}
		docs = append(docs, o)
	}
	return docs
}

// until waits for the condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to be that %s", what)
		}
	}
}

// running is an agent that runs until it is stopped.
type running struct {
	*Agent
	stop func()
}

// run starts an agent with one collector and quick intervals.
func run(t *testing.T, s *site, dir string, c *fakeCollector) *running {
	t.Helper()
	a := newAgent(t, Options{Collectors: []collectors.Collector{c}, Identity: newIdentity(t, dir), Connect: s.connect, BootID: "here",
		Interval: 20 * time.Millisecond, Beat: 200 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			a.o.Identity.Close()
		})
	}
	t.Cleanup(stop)
	return &running{a, stop}
}

// last is the newest document, and whether it shows just these links.
func (s *site) shows(links ...string) func() bool {
	return func() bool {
		docs := s.history()
		if len(docs) == 0 || len(docs[len(docs)-1].Links) != len(links) {
			return false
		}
		for i, l := range docs[len(docs)-1].Links {
			if l.Name != links[i] {
				return false
			}
		}
		return true
	}
}

func (s *site) checkOrder() {
	s.t.Helper()
	docs := s.history()
	for i := 1; i < len(docs); i++ {
		if !docs[i].Supersedes(docs[i-1]) {
			s.t.Errorf("after (%d, %d) comes (%d, %d)", docs[i-1].Epoch, docs[i-1].Gen, docs[i].Epoch, docs[i].Gen)
		}
	}
}

func TestAgentOutlivesItsServer(t *testing.T) {
	s := newSite(t)
	c := &fakeCollector{source: "network", links: []string{"eth0"}}
	a := run(t, s, t.TempDir(), c) // before there is a server
	until(t, "a pass was made without server", func() bool { return c.count() > 3 })
	if v := a.Vitals(); v.Connected || v.Sources[0].UnsentSince.IsZero() || v.Sources[0].Published != 0 || v.Sources[0].Passes[inventory.OutcomeComplete] < 3 {
		t.Errorf("without a server its vitals are %+v", v)
	}
	s.start()
	until(t, "what was seen before is published", s.shows("eth0"))
	until(t, "its vitals say so", func() bool {
		v := a.Vitals()
		return v.Connected && v.Sources[0].UnsentSince.IsZero() && v.Sources[0].Published == 1
	})
	s.stop()
	seen := c.count()
	c.show("eth0", "eth1")
	until(t, "a pass was made while the server was away", func() bool { return c.count() > seen+2 })
	if v := a.Vitals(); v.Connected || v.Sources[0].UnsentSince.IsZero() {
		t.Errorf("while it is away its vitals are %+v", v)
	}
	s.start()
	until(t, "what was seen meanwhile is published", s.shows("eth0", "eth1"))
	s.checkOrder()
	if got := len(s.history()); got != 2 {
		t.Errorf("two states became %d documents", got)
	}
}

func TestAgentFillsAStoreThatWasReset(t *testing.T) {
	s := newSite(t)
	s.start()
	c := &fakeCollector{source: "network", links: []string{"eth0"}}
	run(t, s, t.TempDir(), c)
	until(t, "it is published", s.shows("eth0"))
	s.stop()
	if err := os.RemoveAll(filepath.Join(s.dir, "jetstream")); err != nil {
		t.Fatal(err)
	}
	s.start()
	// Nothing changed on the host: the reconnect alone brings it back.
	until(t, "it is published again", s.shows("eth0"))
}

// The connection stays, so nothing but the question tells the agent.
func TestAgentFillsAStreamThatWasDeletedWhenAsked(t *testing.T) {
	s := newSite(t)
	s.start()
	a := run(t, s, t.TempDir(), &fakeCollector{source: "network", links: []string{"eth0"}})
	until(t, "it is published", s.shows("eth0"))
	c := s.conn()
	if err := c.JetStream().DeleteStream(t.Context(), bus.StreamObserved); err != nil {
		t.Fatal(err)
	}
	if err := c.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Ask(bus.DefaultSite, a.o.Identity.ID()); err != nil {
		t.Fatal(err)
	}
	until(t, "it is published again", s.shows("eth0"))
}

func TestOrderNeverGoesBackOverRestarts(t *testing.T) {
	s := newSite(t)
	s.start()
	dir := t.TempDir()
	for _, links := range [][]string{{"eth0"}, {"eth1"}, {"eth2"}} {
		a := run(t, s, dir, &fakeCollector{source: "network", links: links})
		until(t, "it is published", s.shows(links...))
		a.stop()
	}
	s.checkOrder()
	if docs := s.history(); docs[len(docs)-1].Epoch != 3 {
		t.Errorf("the third start has epoch %d", docs[len(docs)-1].Epoch)
	}
}

func TestLostEpochCounterIsPassed(t *testing.T) {
	s := newSite(t)
	s.start()
	dir := t.TempDir()
	for range 3 {
		a := run(t, s, dir, &fakeCollector{source: "network", links: []string{"eth0"}})
		until(t, "it is published", func() bool { d := s.history(); return len(d) > 0 && d[len(d)-1].Epoch == a.o.Identity.Epoch() })
		a.stop()
	}
	if err := os.Remove(filepath.Join(dir, "epoch")); err != nil {
		t.Fatal(err)
	}
	run(t, s, dir, &fakeCollector{source: "network", links: []string{"eth1"}})
	until(t, "it is published", s.shows("eth1"))
	s.checkOrder()
}

func TestTwoAgentsWithOneIdentityBothStop(t *testing.T) {
	s := newSite(t)
	s.start()
	dir, copied := t.TempDir(), t.TempDir()
	first := &fakeCollector{source: "network", links: []string{"first"}}
	a := run(t, s, dir, first)
	until(t, "it is published", s.shows("first"))
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	second := &fakeCollector{source: "network", links: []string{"second"}}
	b := run(t, s, copied, second)
	until(t, "both know", func() bool { return a.clone.why() != "" && b.clone.why() != "" })
	before := len(s.history())
	passes := first.count() + second.count()
	first.show("first", "more")
	second.show("second", "more")
	until(t, "both have seen more", func() bool { return first.count()+second.count() > passes+10 })
	if got := len(s.history()); got != before {
		t.Errorf("%d documents were published meanwhile", got-before)
	}
	b.stop()
	until(t, "the first goes on alone", s.shows("first", "more"))
	s.checkOrder()
}

func TestNothingIsLeftRunning(t *testing.T) {
	s := newSite(t)
	s.start()
	a := run(t, s, t.TempDir(), &fakeCollector{source: "network"})
	until(t, "it is published", s.shows())
	a.stop()
	stacks := make([]byte, 1<<20)
	until(t, "the agent's goroutines have ended", func() bool {
		text := string(stacks[:runtime.Stack(stacks, true)])
		return !strings.Contains(text, "avstem/agent.(*Agent)") && !strings.Contains(text, "agent.watch.func")
	})
}

func TestAgentReconnectsAfterItsConnectionIsClosedForGood(t *testing.T) {
	s := newSite(t)
	s.start()
	var mu sync.Mutex
	var conns []*bus.Conn
	c := &fakeCollector{source: "network", links: []string{"eth0"}}
	a := newAgent(t, Options{Collectors: []collectors.Collector{c}, Interval: 20 * time.Millisecond,
		Connect: func(ctx context.Context) (*bus.Conn, error) {
			conn, err := s.connect(ctx)
			mu.Lock()
			defer mu.Unlock()
			conns = append(conns, conn)
			return conn, err
		}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	until(t, "it is published", s.shows("eth0"))
	mu.Lock()
	conns[0].NATS().Close() // as after credentials that expired
	mu.Unlock()
	c.show("eth1")
	until(t, "it is published over another connection", s.shows("eth1"))
}

func TestOldServerIsNotPublishedTo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go fakeOldServer(l)
	a := newAgent(t, Options{Collectors: []collectors.Collector{&fakeCollector{source: "network"}},
		Connect: func(ctx context.Context) (*bus.Conn, error) {
			return bus.Connect(ctx, bus.Options{Server: "nats://" + l.Addr().String(), Getenv: func(string) string { return "" }})
		}})
	_, err = a.dial(t.Context())
	if _, old := errors.AsType[*bus.VersionError](err); !old {
		t.Fatalf("got %v", err)
	}
}

// fakeOldServer greets as a nats-server 2.9.10 and answers pings.
func fakeOldServer(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Write([]byte(`INFO {"server_id":"X","version":"2.9.10","proto":1,"headers":true,"max_payload":1048576}` + "\r\n"))
		go func() {
			defer conn.Close()
			buf := make([]byte, 4096)
			for {
				n, err := conn.Read(buf)
				if err != nil {
					return
				}
				if strings.Contains(string(buf[:n]), "PING\r\n") {
					_, _ = conn.Write([]byte("PONG\r\n"))
				}
			}
		}()
	}
}
