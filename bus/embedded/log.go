package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// natsLog passes the server's log on. Its notices are about itself: they are
// ours at level debug.
type natsLog struct {
	logger *slog.Logger
	fatal  chan string // the first text that the server would end the process with
	// unclosed is done when it was said that streams were not closed the last time.
	unclosed sync.Once
}

func (l *natsLog) log(level slog.Level, format string, v []any) {
	l.logger.Log(context.Background(), level, "NATS server", "text", fmt.Sprintf(format, v...))
}

// Noticef implements server.Logger, as do the others.
func (l *natsLog) Noticef(format string, v ...any) { l.log(slog.LevelDebug, format, v) }

// Warnf logs a warning. What is said of each stream after a process was killed is
// said once, and as what it is: what streams hold is on disk, and their index of it
// is made again.
func (l *natsLog) Warnf(format string, v ...any) {
	if text := fmt.Sprintf(format, v...); strings.HasPrefix(text, "Filestore [") && strings.HasSuffix(text, "will rebuild") {
		l.unclosed.Do(func() {
			l.logger.Info("the streams were not closed the last time: their indexes are made again from what they hold")
		})
		l.log(slog.LevelDebug, "%s", []any{text})
		return
	}
	l.log(slog.LevelWarn, format, v)
}

// Errorf logs an error.
func (l *natsLog) Errorf(format string, v ...any) { l.log(slog.LevelError, format, v) }

// Fatalf keeps the text for [Start]; the process goes on.
func (l *natsLog) Fatalf(format string, v ...any) {
	select {
	case l.fatal <- fmt.Sprintf(format, v...):
	default:
		l.log(slog.LevelError, format, v)
	}
}

// Debugf is not called: debugging is off.
func (l *natsLog) Debugf(format string, v ...any) { l.log(slog.LevelDebug, format, v) }

// Tracef is not called: tracing is off.
func (l *natsLog) Tracef(format string, v ...any) { l.log(slog.LevelDebug, format, v) }
