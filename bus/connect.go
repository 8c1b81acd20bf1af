package bus

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Conn is a connection to NATS. It reconnects by itself, with jitter and for
// ever, and buffers nothing while it is away.
type Conn struct {
	nc         *nats.Conn
	js         jetstream.JetStream
	socket     string // the unix socket that it goes to, if it does
	checkEvery time.Duration
	// publishesOnly says that JetStream's API is closed to this connection, see [TagHost].
	publishesOnly bool
}

// Server is where the connection goes, for people: a URL without credentials,
// the path of a socket, or that the server is in this very process.
func (c *Conn) Server() string {
	switch {
	case c.socket != "":
		return c.socket
	case c.nc.Opts.InProcessServer != nil: // its URL is one that nobody may listen at
		return "in this process"
	}
	return c.nc.ConnectedUrlRedacted()
}

// Socket is the unix socket of the avstem up that the connection goes to, "" where
// it goes elsewhere.
func (c *Conn) Socket() string { return c.socket }

// NATS returns the connection itself, for requests and services.
func (c *Conn) NATS() *nats.Conn { return c.nc }

// JetStream returns the connection's JetStream, for what this package has no
// function for.
func (c *Conn) JetStream() jetstream.JetStream { return c.js }

// Close ends the connection; what was published before is on its way.
func (c *Conn) Close() {
	if c.nc.IsConnected() {
		_ = c.nc.FlushTimeout(time.Second) // an error means that it is gone already
	}
	c.nc.Close()
}

// ackWithin is how long is waited for the acknowledgement of what was published
// without waiting for it.
const ackWithin = 30 * time.Second

// Dial connects to the URL with our options and then the given ones of nats.go.
// The domain is JetStream's, "" for the server's own.
func Dial(url string, logger *slog.Logger, domain string, options ...nats.Option) (*Conn, error) {
	options = append([]nats.Option{
		nats.MaxReconnects(-1),
		nats.ReconnectWait(500 * time.Millisecond),
		// A fleet that lost its server comes back over some seconds.
		nats.ReconnectJitter(2*time.Second, 5*time.Second),
		// What was published while the server was away would come late and out
		// of date: state is kept, not queued.
		nats.ReconnectBufSize(-1),
		nats.PingInterval(20 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.Timeout(5 * time.Second),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			logger.Warn("NATS reports an error", "err", err)
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				logger.Warn("NATS connection lost", "err", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { logger.Info("NATS connection is back") }),
	}, options...)
	nc, err := nats.Connect(url, options...)
	if err != nil {
		return nil, err
	}
	var js jetstream.JetStream
	if domain == "" {
		js, err = jetstream.New(nc, jetstream.WithPublishAsyncTimeout(ackWithin))
	} else {
		js, err = jetstream.NewWithDomain(nc, domain, jetstream.WithPublishAsyncTimeout(ackWithin))
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return &Conn{nc: nc, js: js, checkEvery: checkEvery}, nil
}

// Connect finds the server that the options name and connects to it. See
// [Options] for the order in which it looks.
func Connect(ctx context.Context, o Options) (*Conn, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	found, tried, err := o.targets()
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	for _, t := range found {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		conn, err := t.dialUntil(ctx, o)
		switch {
		case err == nil:
			return conn, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("connect to NATS: %w", err)
		}
		err = fmt.Errorf("%s: %w", t.how, explain(err, t))
		if t.named {
			return nil, fmt.Errorf("connect to NATS: %w", err)
		}
		tried = append(tried, err.Error())
	}
	return nil, &NoServerError{Tried: tried}
}

// dialUntil is dial that returns when ctx ends, too: nats.go knows no context there.
// A connection that comes too late is closed.
func (t target) dialUntil(ctx context.Context, o Options) (*Conn, error) {
	type dialled struct {
		conn *Conn
		err  error
	}
	done := make(chan dialled, 1)
	go func() {
		conn, err := t.dial(o)
		done <- dialled{conn, err}
	}()
	select {
	case d := <-done:
		return d.conn, d.err
	case <-ctx.Done():
		go func() {
			if d := <-done; d.err == nil {
				d.conn.Close()
			}
		}()
		return nil, context.Cause(ctx)
	}
}

func isNoHost(err error) bool {
	dns, is := errors.AsType[*net.DNSError](err)
	return is && dns.IsNotFound
}

// explain adds what can be done to the errors that don't say it.
func explain(err error, t target) error {
	switch {
	case t.socket != "" && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)):
		return fmt.Errorf("no avstem runs with that state directory: %w", err)
	case isNoHost(err):
		return fmt.Errorf("%w: want nats://HOST:PORT or tls://HOST:PORT", err)
	case errors.Is(err, nats.ErrNoServers):
		return fmt.Errorf("nothing answers at %s: %w", t.shown(), err)
	case errors.Is(err, nats.ErrSecureConnWanted):
		return fmt.Errorf("%s offers no TLS, which avstem asks of every server that is not on loopback: %w", t.shown(), err)
	case errors.Is(err, nats.ErrAuthorization):
		return fmt.Errorf("%s refuses the credentials: give --creds FILE or --token-file FILE, set AVSTEM_TOKEN, or AVSTEM_USER and AVSTEM_PASSWORD, or use a NATS context; "+
			"the token of an `avstem up` is in nats.token in its state directory: %w", t.shown(), err)
	}
	return err
}
