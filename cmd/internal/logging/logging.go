// Package logging makes the log of programs that run for long: to the journal
// with a field for each attribute where standard error goes there, and as text
// otherwise. One message that comes again and again is held back and counted.
//
// Messages are constant and what varies is in attributes (AVSTEM_HOST,
// AVSTEM_SOURCE, AVSTEM_EPOCH, AVSTEM_FINDING …), so that `journalctl
// AVSTEM_SOURCE=storage` finds what is about one thing. The package knows no
// attribute. Loggers may be used by several goroutines.
package logging

import (
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
)

// New makes a logger for a program whose standard error is w.
func New(w io.Writer, level slog.Leveler) *slog.Logger {
	var handler slog.Handler = slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})
	if w == os.Stderr {
		if ours, err := journal.StderrIsJournalStream(); ours && err == nil && journal.Enabled() {
			handler = &journalHandler{level: level, send: journal.Send, otherwise: handler}
		}
	}
	return slog.New(&limiter{next: handler, held: newHeld(time.Now)})
}
