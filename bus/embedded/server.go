package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/dataverket/avstem/bus"
)

// DefaultListen is where the server listens on TCP unless told otherwise.
const DefaultListen = "127.0.0.1:4222"

// Files in the state directory.
const (
	TokenName = "nats.token"
	lockName  = "up.lock"
)

const (
	readyWithin = 30 * time.Second
	// memoryStore bounds streams in memory. avstem has none.
	memoryStore = 16 << 20
)

// Options are an embedded server's.
type Options struct {
	StateDir string
	// Listen is the TCP address, "" for none. A host other than loopback puts
	// the token on the wire in the clear and is refused.
	Listen string
	// Link is a symbolic link to the state directory that is kept while the
	// server runs, so that commands find it (see [bus.RunLink]); "" for none.
	Link   string
	Logger *slog.Logger // nil means none
}

// Server is a running embedded server.
type Server struct {
	nats   *server.Server
	lock   *os.File
	socket *socketListener
	token  string
	o      Options
	stop   context.CancelFunc
	tasks  sync.WaitGroup
	close  sync.Once
}

// Start starts a server and returns when it takes connections and JetStream is
// up. Whatever stands in the way is an error that says what to do about it, and
// leaves the state as it was.
func Start(ctx context.Context, o Options) (_ *Server, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.StateDir, err = filepath.Abs(o.StateDir); err != nil {
		return nil, fmt.Errorf("start NATS server: %w", err)
	}
	s := &Server{o: o, stop: func() {}}
	defer func() {
		if err != nil {
			s.Close()
			err = fmt.Errorf("start NATS server: %w", err)
		}
	}()
	if err := prepareDir(o.StateDir); err != nil {
		return nil, err
	}
	if s.lock, err = lockDir(o.StateDir); err != nil {
		return nil, err
	}
	if err := checkRoom(o.StateDir); err != nil {
		return nil, err
	}
	if s.token, err = loadToken(filepath.Join(o.StateDir, TokenName)); err != nil {
		return nil, err
	}
	if err := s.startNATS(ctx); err != nil {
		return nil, err
	}
	if s.socket, err = listenSocket(filepath.Join(o.StateDir, bus.SocketName), s.nats, o.Logger); err != nil {
		return nil, err
	}
	if o.Link != "" {
		if err := setLink(o.Link, o.StateDir); err != nil {
			return nil, err
		}
	}
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.tasks.Go(func() { s.keepStore(ctx) })
	return s, nil
}

func (s *Server) startNATS(ctx context.Context) error {
	options, err := s.options()
	if err != nil {
		return err
	}
	if s.nats, err = server.NewServer(options); err != nil {
		return err
	}
	return startAndWait(ctx, s.nats, s.o.Logger)
}

func (s *Server) options() (*server.Options, error) {
	room, err := storeLimit(s.o.StateDir)
	if err != nil {
		return nil, err
	}
	options := &server.Options{
		ServerName:                 "avstem",
		DontListen:                 s.o.Listen == "",
		CustomClientAuthentication: tokenAuth{s.token},
		JetStream:                  true,
		JetStreamMaxMemory:         memoryStore,
		JetStreamMaxStore:          room,
		StoreDir:                   s.o.StateDir, // the server adds "jetstream"
		SyncAlways:                 true,         // an acknowledged finding survives a power cut
		NoSigs:                     true,
		NoLog:                      false,
		MaxPayload:                 1 << 20,
	}
	if s.o.Listen == "" {
		return options, nil
	}
	options.Host, options.Port, err = listenAddress(s.o.Listen)
	return options, err
}

// CheckListen says whether a server may listen there, without trying it.
func CheckListen(address string) error {
	_, _, err := splitListen(address)
	return err
}

func splitListen(listen string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(listen)
	if err != nil {
		return "", 0, fmt.Errorf("listen on %q: want HOST:PORT (--listen): %w", listen, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", 0, fmt.Errorf("listen on %s: only loopback addresses are served, as the token would go over the network in the clear: "+
			"choose another address with --listen, or run a NATS server with TLS and name it with --server", listen)
	}
	if port, err = strconv.Atoi(text); err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("listen on %q: %q is not a port (--listen)", listen, text)
	}
	return host, port, nil
}

// listenAddress splits the address, and tries it.
func listenAddress(listen string) (host string, port int, err error) {
	if host, port, err = splitListen(listen); err != nil {
		return "", 0, err
	}
	if port == 0 {
		port, err = freePort(host)
	} else {
		err = tryListen(host, port)
	}
	if err != nil {
		return "", 0, fmt.Errorf("%w: choose another address with --listen, or --listen none for the unix socket alone", err)
	}
	return host, port, nil
}

// tryListen tells why a port can't be had; the server itself would only log it.
func tryListen(host string, port int) error {
	address := net.JoinHostPort(host, strconv.Itoa(port))
	trial, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", address, reason(err))
	}
	return trial.Close()
}

func freePort(host string) (int, error) {
	trial, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return 0, fmt.Errorf("listen on %s: %w", host, reason(err))
	}
	return trial.Addr().(*net.TCPAddr).Port, trial.Close()
}

// reason is the system's error without the operation, which ours names.
func reason(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		err = call.Err
	}
	return err
}

// URL is where the server listens on TCP, without the token; "" if it doesn't.
func (s *Server) URL() string {
	if s.o.Listen == "" {
		return ""
	}
	return s.nats.ClientURL()
}

// Token is what clients on TCP must give.
func (s *Server) Token() string { return s.token }

// Socket is the path of the unix socket.
func (s *Server) Socket() string { return filepath.Join(s.o.StateDir, bus.SocketName) }

// Connect connects within the process.
func (s *Server) Connect(name string) (*bus.Conn, error) {
	conn, err := bus.Dial("", s.o.Logger, "", nats.Name(name), nats.InProcessServer(s.nats))
	if err != nil {
		return nil, fmt.Errorf("connect to the embedded NATS server: %w", err)
	}
	return conn, nil
}

// Close stops the server and waits until its streams are on disk. It may be
// called more than once.
func (s *Server) Close() {
	s.close.Do(func() {
		s.stop()
		if s.o.Link != "" && s.lock != nil {
			removeLink(s.o.Link, s.o.StateDir)
		}
		if s.socket != nil {
			s.socket.close()
		}
		if s.nats != nil {
			s.nats.Shutdown()
			s.nats.WaitForShutdown()
		}
		s.tasks.Wait()
		if s.lock != nil {
			s.lock.Close() // and with it the lock
		}
	})
}

// tokenAuth lets in who came through the process or its unix socket, which the
// file's mode guards, and asks everybody else for the token.
type tokenAuth struct{ token string }

// Check implements server.Authentication.
func (a tokenAuth) Check(c server.ClientAuthentication) bool {
	if c.RemoteAddress().Network() == "pipe" {
		return true
	}
	return sameToken(c.GetOpts().Token, a.token)
}
