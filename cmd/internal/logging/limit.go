package logging

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// One message may be written atFirst times; then, while it keeps coming, once in a
// window that doubles until it is longest: an hour of one trouble is some 25 lines.
// What is debugged is not held back.
const (
	atFirst = 20
	window  = time.Minute
	longest = time.Hour
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
	left int           // how many more are written at once
	gap  time.Duration // until the next one afterwards
	next time.Time     // when that may be written
	last time.Time     // when it came last, written or not
	over int           // held back since one was written
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
		t = &tally{}
		h.messages[message] = t
	}
	if now.Sub(t.last) >= max(t.gap, window) { // it had stopped
		t.left, t.gap = atFirst, window
	}
	t.last = now
	switch {
	case t.left > 0:
		t.left--
		t.next = now.Add(t.gap)
	case now.Before(t.next):
		t.over++
		return false, 0
	default:
		t.gap = min(2*t.gap, longest)
		t.next = now.Add(t.gap)
	}
	before, t.over = t.over, 0
	return true, before
}
