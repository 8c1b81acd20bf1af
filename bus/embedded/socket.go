package embedded

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// pathLimit is the longest path of a unix socket (sun_path in unix(7), with its
// closing zero).
const pathLimit = 107

// acceptAgain is the wait after a connection that could not be taken.
const acceptAgain = time.Second

// socketListener takes connections on a unix socket, which nats-server can't,
// and hands them on within the process.
type socketListener struct {
	listener net.Listener
	nats     *server.Server
	logger   *slog.Logger
	path     string

	mu      sync.Mutex
	open    map[net.Conn]struct{}
	closing bool
	tasks   sync.WaitGroup
}

// listenSocket replaces what a crashed process left: that no live one has the
// socket is what the state directory's lock says.
func listenSocket(path string, nats *server.Server, logger *slog.Logger) (*socketListener, error) {
	// The socket gets its mode under another name, so that at no time anybody
	// else can open it.
	next := path + ".new"
	if len(next) > pathLimit {
		return nil, fmt.Errorf("listen on %s: the path is longer than a unix socket's may be (%d): choose a shorter --state-dir", path, pathLimit)
	}
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: next, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, reason(err))
	}
	listener.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(next, 0o600), os.Rename(next, path)); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, errors.Join(err, listener.Close()))
	}
	l := &socketListener{listener: listener, nats: nats, logger: logger, path: path, open: map[net.Conn]struct{}{}}
	l.tasks.Go(l.accept)
	return l, nil
}

func (l *socketListener) accept() {
	for {
		client, err := l.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Most likely there are no file descriptors left (EMFILE, accept(2)):
			// the one that waits would be offered again at once.
			l.logger.Warn("unix socket takes no connection", "err", err)
			time.Sleep(acceptAgain)
			continue
		}
		inner, err := l.nats.InProcessConn()
		if err != nil {
			l.logger.Warn("NATS server takes no connection", "err", err)
			client.Close()
			continue
		}
		l.join(client, inner)
	}
}

// join copies both ways until either side ends.
func (l *socketListener) join(client, inner net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		client.Close()
		inner.Close()
		return
	}
	l.open[client], l.open[inner] = struct{}{}, struct{}{}
	carry := func(to, from net.Conn) {
		_, _ = io.Copy(to, from) // either side's end is the end of both
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, conn := range []net.Conn{to, from} {
			conn.Close()
			delete(l.open, conn)
		}
	}
	l.tasks.Go(func() { carry(inner, client) })
	l.tasks.Go(func() { carry(client, inner) })
}

func (l *socketListener) close() {
	l.listener.Close()
	l.mu.Lock()
	l.closing = true
	for conn := range l.open {
		conn.Close()
	}
	l.mu.Unlock()
	l.tasks.Wait()
	_ = os.Remove(l.path)
}
