package libvirt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// client is one connection to the daemon. It is never used again once it was
// lost: go-libvirt's object may not be either.
//
// go-libvirt has no deadlines, so each call carries a timer that closes the
// connection. That ends every call in flight on it, and go-libvirt's two
// goroutines with them; nothing is left behind even if the daemon never answers.
type client struct {
	lv      *golibvirt.Libvirt
	conn    *framedConn
	socket  string
	timeout time.Duration // of one call
	settled bool          // its lists may be called whole; the passes' alone

	mu    sync.Mutex
	cause error // why we closed it
}

var (
	errSilent = errors.New("no answer from the daemon")
	errDefect = errors.New("decode the daemon's answer")
	errLost   = errors.New("the connection to the daemon is lost")
)

// connect opens a connection to the driver at uri.
func connect(ctx context.Context, sockets []string, uri string, timeout time.Duration) (*client, error) {
	conn, path, err := dial(ctx, sockets)
	if err != nil {
		return nil, err
	}
	c := &client{conn: newFramedConn(conn), socket: path, timeout: timeout}
	c.lv = golibvirt.NewWithDialer(established{c.conn})
	err = c.call(ctx, "virConnectOpenReadOnly "+uri, func(lv *golibvirt.Libvirt) error {
		defer c.conn.setOpened()
		return lv.ConnectToURI(golibvirt.ConnectURI(uri))
	})
	if err != nil {
		c.close(nil)
		return nil, err
	}
	return c, nil
}

// established is a dialer for a connection that is there already.
type established struct{ net.Conn }

func (e established) Dial() (net.Conn, error) { return e.Conn, nil }

// call runs one call to the daemon. It returns when the call did, when its time
// is up ([errSilent]), or when ctx ends; in the two latter cases the connection
// is closed, and calls that were in flight beside it return [errLost].
func (c *client) call(ctx context.Context, name string, f func(*golibvirt.Libvirt) error) (err error) {
	if ctx.Err() != nil { // no reason to lose the connection
		err := context.Cause(ctx)
		return &collectors.SourceError{Call: name, Why: inventory.WhyTimedOut, Remedy: remedyOf(err), Err: err}
	}
	var silent atomic.Bool
	timer := time.AfterFunc(c.timeout, func() {
		silent.Store(true)
		c.close(fmt.Errorf("%s: %w", name, errSilent))
	})
	defer timer.Stop()
	stop := context.AfterFunc(ctx, func() { c.close(context.Cause(ctx)) })
	defer stop()
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: panic: %v\n%s", errDefect, v, debug.Stack())
		}
		switch {
		case err == nil:
			return
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		case silent.Load():
			err = fmt.Errorf("%w within %s", errSilent, c.timeout)
		default:
			err = c.explain(err)
		}
		err = &collectors.SourceError{Call: name, Why: whyOf(err), Remedy: remedyOf(err), Err: err}
	}()
	return f(c.lv)
}

// explain turns go-libvirt's errors for a connection that ended into one.
func (c *client) explain(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.cause != nil:
		return fmt.Errorf("%w: closed after %v", errLost, c.cause)
	case c.conn.broken.Load():
		return fmt.Errorf("%w: %w", errLost, errFraming)
	case errors.Is(err, golibvirt.ErrInterrupted), errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.EPIPE):
		return fmt.Errorf("%w: the daemon closed it", errLost)
	}
	return err
}

// close closes the connection, once, and remembers why.
func (c *client) close(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		if cause == nil {
			cause = net.ErrClosed
		}
		c.cause = cause
		_ = c.conn.Conn.Close() // nothing to be done about it
	}
}

// lost says whether the connection can't be used any more.
func (c *client) lost() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause != nil || c.conn.ended.Load()
}

// connectionLost says whether an error of a call means that no further call on
// the same connection can succeed.
func connectionLost(err error) bool {
	return errors.Is(err, errLost) || errors.Is(err, errSilent) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// whyOf classifies an error. libvirt's codes are those of virterror.h.
func whyOf(err error) inventory.Why {
	var lvErr golibvirt.Error
	if errors.As(err, &lvErr) {
		switch golibvirt.ErrorNumber(lvErr.Code) {
		case golibvirt.ErrAccessDenied, golibvirt.ErrOperationDenied, golibvirt.ErrAuthFailed,
			golibvirt.ErrAuthCancelled, golibvirt.ErrAuthUnavailable:
			return inventory.WhyRefused
		case golibvirt.ErrOperationTimeout, golibvirt.ErrAgentUnresponsive:
			return inventory.WhyTimedOut
		case golibvirt.ErrNoSupport, golibvirt.ErrNoDomain, golibvirt.ErrNoNetwork, golibvirt.ErrNoConnect,
			golibvirt.ErrNoStoragePool, golibvirt.ErrNoStorageVol:
			return inventory.WhyAbsent
		}
		return inventory.WhyBroken
	}
	switch {
	case errors.Is(err, errSilent), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled),
		errors.Is(err, os.ErrDeadlineExceeded):
		return inventory.WhyTimedOut
	case errors.Is(err, os.ErrPermission):
		return inventory.WhyRefused
	case errors.Is(err, os.ErrNotExist), errors.Is(err, golibvirt.ErrUnsupported):
		return inventory.WhyAbsent
	}
	return inventory.WhyBroken
}
