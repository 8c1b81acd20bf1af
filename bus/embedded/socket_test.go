package embedded

import (
	"log/slog"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// fakeExhausted is the listener of a process that has no file descriptors left.
type fakeExhausted struct {
	net.Listener
	tried  atomic.Int32
	closed atomic.Bool
}

func (f *fakeExhausted) Accept() (net.Conn, error) {
	if f.tried.Add(1); f.closed.Load() || f.tried.Load() > 1000 {
		return nil, net.ErrClosed
	}
	return nil, syscall.EMFILE
}

func (f *fakeExhausted) Close() error {
	f.closed.Store(true)
	return nil
}

func TestSocketDoesNotSpinWithoutFileDescriptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeExhausted{}
		l := &socketListener{listener: f, logger: slog.New(slog.DiscardHandler)}
		l.tasks.Go(l.accept)
		time.Sleep(time.Minute)
		if n := f.tried.Load(); n > 70 {
			t.Errorf("it was tried %d times in a minute", n)
		}
		l.close()
	})
}
