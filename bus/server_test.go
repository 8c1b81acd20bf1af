package bus

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/dataverket/avstem/inventory"
)

// natsServer is a real nats-server with JetStream.
type natsServer struct {
	*server.Server
	options *server.Options
}

func startServer(tb testing.TB, set ...func(*server.Options)) *natsServer {
	tb.Helper()
	o := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: tb.TempDir(), NoLog: true, NoSigs: true}
	for _, f := range set {
		f(o)
	}
	n := &natsServer{options: o}
	n.start(tb)
	tb.Cleanup(n.stop)
	return n
}

func (n *natsServer) start(tb testing.TB) {
	tb.Helper()
	s, err := server.NewServer(n.options)
	if err != nil {
		tb.Fatal(err)
	}
	n.Server = s
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		tb.Fatal("NATS server is not ready")
	}
	n.options.Port = s.Addr().(*net.TCPAddr).Port // the same after a restart
}

func (n *natsServer) stop() {
	n.Shutdown()
	n.WaitForShutdown()
}

func (n *natsServer) connect(tb testing.TB) *Conn {
	tb.Helper()
	c, err := Dial(n.ClientURL(), slog.New(slog.DiscardHandler), "")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c
}

// ready is a connection to a server that has the streams.
func ready(tb testing.TB) *Conn {
	tb.Helper()
	c := startServer(tb).connect(tb)
	ensure(tb, c)
	return c
}

func ensure(tb testing.TB, c *Conn) {
	tb.Helper()
	if err := c.EnsureStreams(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

func within(tb testing.TB, d time.Duration) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), d)
	tb.Cleanup(cancel)
	return ctx
}

var hostA = uuid.MustParse("6f1c0000-0000-4000-8000-00000000000a")

// observation is a sealed document of hostA's source network.
func observation(tb testing.TB, epoch, gen uint64, links ...string) *inventory.Observation {
	tb.Helper()
	o := &inventory.Observation{Schema: inventory.Schema, Host: hostA, Site: DefaultSite, Source: "network",
		Epoch: epoch, Gen: gen, ObservedAt: time.Unix(1_700_000_000, 0).UTC(), Outcome: inventory.OutcomeComplete, Complete: true}
	for _, name := range links {
		o.Links = append(o.Links, inventory.Link{Name: name, Kind: "dummy"})
	}
	if err := o.Seal(); err != nil {
		tb.Fatal(err)
	}
	return o
}
