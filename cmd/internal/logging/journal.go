package logging

import (
	"bytes"
	"context"
	"log/slog"
	"strings"

	"github.com/coreos/go-systemd/v22/journal"
)

// journalHandler writes to the journal by its own protocol.
type journalHandler struct {
	level     slog.Leveler
	send      func(message string, priority journal.Priority, fields map[string]string) error
	otherwise slog.Handler // for what the journal doesn't take
	attrs     []slog.Attr
	group     string // "" or ending with a dot
}

// Enabled implements slog.Handler.
func (h *journalHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level.Level()
}

// Handle implements slog.Handler. The message has the attributes behind it as
// text, too, since that is what systemctl status and journalctl show.
func (h *journalHandler) Handle(ctx context.Context, r slog.Record) error {
	fields := map[string]string{}
	var text bytes.Buffer
	line := slog.NewRecord(r.Time, r.Level, r.Message, 0)
	add := func(a slog.Attr) bool {
		line.AddAttrs(a)
		collect(fields, a)
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(func(a slog.Attr) bool { return add(slog.Attr{Key: h.group + a.Key, Value: a.Value}) })
	plain := slog.NewTextHandler(&text, &slog.HandlerOptions{Level: r.Level, ReplaceAttr: withoutHead})
	if err := plain.Handle(ctx, line); err != nil {
		return err
	}
	message := strings.TrimSpace(r.Message + " " + strings.TrimSpace(text.String()))
	if err := h.send(message, priority(r.Level), fields); err != nil {
		return h.otherwise.Handle(ctx, line)
	}
	return nil
}

// withoutHead leaves out what the journal has in fields of its own.
func withoutHead(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
		return slog.Attr{}
	}
	return a
}

// WithAttrs implements slog.Handler.
func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.attrs = append([]slog.Attr(nil), h.attrs...)
	for _, a := range attrs {
		next.attrs = append(next.attrs, slog.Attr{Key: h.group + a.Key, Value: a.Value})
	}
	return &next
}

// WithGroup implements slog.Handler.
func (h *journalHandler) WithGroup(name string) slog.Handler {
	next := *h
	next.group += name + "."
	return &next
}

// collect makes fields of an attribute: letters, digits and underscores, which is
// all that the journal takes in a name.
func collect(fields map[string]string, a slog.Attr) {
	value := a.Value.Resolve()
	if value.Kind() == slog.KindGroup {
		for _, inner := range value.Group() {
			collect(fields, slog.Attr{Key: a.Key + "." + inner.Key, Value: inner.Value})
		}
		return
	}
	name := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, a.Key)
	fields["AVSTEM_"+name] = value.String()
}

func priority(level slog.Level) journal.Priority {
	switch {
	case level >= slog.LevelError:
		return journal.PriErr
	case level >= slog.LevelWarn:
		return journal.PriWarning
	case level >= slog.LevelInfo:
		return journal.PriInfo
	}
	return journal.PriDebug
}
