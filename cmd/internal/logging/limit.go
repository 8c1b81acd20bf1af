package logging

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// One message may be written perWindow times in a window. What is debugged is
// not held back.
const (
	perWindow = 20
	window    = time.Minute
)

// limiter holds back a message that comes too often, and tells how often with the
// next one that is written.
type limiter struct {
	next slog.Handler
	held *held
}

// Enabled implements slog.Handler.
func (l *limiter) Enabled(ctx context.Context, level slog.Level) bool {
	return l.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (l *limiter) Handle(ctx context.Context, r slog.Record) error {
	if r.Level > slog.LevelDebug {
		write, before := l.held.take(r.Message)
		if !write {
			return nil
		}
		if before > 0 {
			r = r.Clone()
			r.AddAttrs(slog.Int("heldBack", before))
		}
	}
	return l.next.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (l *limiter) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &limiter{next: l.next.WithAttrs(attrs), held: l.held}
}

// WithGroup implements slog.Handler.
func (l *limiter) WithGroup(name string) slog.Handler {
	return &limiter{next: l.next.WithGroup(name), held: l.held}
}

// held counts messages. There are as many as the program has texts for.
type held struct {
	now func() time.Time

	mu       sync.Mutex
	messages map[string]*tally
}

type tally struct {
	began         time.Time
	written, over int
}

func newHeld(now func() time.Time) *held {
	return &held{now: now, messages: map[string]*tally{}}
}

// take says whether a message is to be written, and how many like it were not
// since the last one that was.
func (h *held) take(message string) (write bool, before int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	t := h.messages[message]
	if t == nil {
		t = &tally{began: now}
		h.messages[message] = t
	}
	if now.Sub(t.began) >= window {
		t.began, t.written = now, 0
	}
	if t.written == perWindow {
		t.over++
		return false, 0
	}
	t.written++
	before, t.over = t.over, 0
	return true, before
}
