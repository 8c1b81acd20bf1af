package logging

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/google/go-cmp/cmp"
)

type entry struct {
	Message  string
	Priority journal.Priority
	Fields   map[string]string
}

func TestJournalGetsAFieldForEachAttribute(t *testing.T) {
	var got []entry
	var level slog.LevelVar
	log := slog.New(&journalHandler{level: &level, send: func(m string, p journal.Priority, f map[string]string) error {
		got = append(got, entry{m, p, f})
		return nil
	}})
	log.Debug("not shown")
	log.Info("plain")
	log.With("source", "storage").WithGroup("nats").Warn("something is off", "err", errors.New("it\nbroke"), "took", 2*time.Second, slog.Group("at", "line-no", 3))
	level.Set(slog.LevelDebug)
	log.Error("bad", "host", "6f1c")
	want := []entry{
		{"plain", journal.PriInfo, map[string]string{}},
		{`something is off source=storage nats.err="it\nbroke" nats.took=2s nats.at.line-no=3`, journal.PriWarning, map[string]string{
			"AVSTEM_SOURCE": "storage", "AVSTEM_NATS_ERR": "it\nbroke", "AVSTEM_NATS_TOOK": "2s", "AVSTEM_NATS_AT_LINE_NO": "3"}},
		{"bad host=6f1c", journal.PriErr, map[string]string{"AVSTEM_HOST": "6f1c"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWhatTheJournalRefusesGoesToStandardError(t *testing.T) {
	var text bytes.Buffer
	log := slog.New(&journalHandler{level: slog.LevelInfo, otherwise: slog.NewTextHandler(&text, nil),
		send: func(string, journal.Priority, map[string]string) error { return errors.New("no journal") }})
	log.Info("said", "host", "a")
	if !strings.Contains(text.String(), "msg=said host=a") {
		t.Errorf("got %q", text.String())
	}
}

func TestAMessageThatComesTooOftenIsHeldBackAndCounted(t *testing.T) {
	var text bytes.Buffer
	now := time.Unix(0, 0)
	log := slog.New(&limiter{next: slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}), held: newHeld(func() time.Time { return now })})
	lines := func() []string { return strings.Split(strings.TrimSpace(text.String()), "\n") }
	for n := range 100 {
		log.Warn("again", "n", n)
		log.With("part", "nats").Warn("again", "n", n)
		log.Debug("debugged")
	}
	log.Warn("another")
	if n := len(lines()); n != atFirst+100+1 {
		t.Errorf("%d lines were written", n)
	}
	now = now.Add(window)
	log.Warn("again")
	if got, want := lines()[len(lines())-1], fmt.Sprint("heldBack=", 200-atFirst); !strings.HasSuffix(got, want) {
		t.Errorf("the next one is %q, want %s", got, want)
	}
	now = now.Add(window)
	log.Warn("again")
	if got := lines()[len(lines())-1]; strings.Contains(got, "heldBack") {
		t.Errorf("then %q", got)
	}
}

func TestAnHourOfOneTroubleIsAFewLines(t *testing.T) {
	for _, every := range []time.Duration{10 * time.Millisecond, time.Second, 30 * time.Second} {
		var text bytes.Buffer
		now := time.Unix(0, 0)
		log := slog.New(&limiter{next: slog.NewTextHandler(&text, nil), held: newHeld(func() time.Time { return now })})
		for end := now.Add(time.Hour); now.Before(end); now = now.Add(every) {
			log.Warn("not connected")
		}
		if lines := strings.Count(text.String(), "\n"); lines < atFirst || lines > atFirst+6 {
			t.Errorf("one each %s for an hour makes %d lines", every, lines)
		}
		text.Reset()
		now = now.Add(longest)
		log.Warn("not connected")
		log.Warn("not connected")
		if lines := strings.Count(text.String(), "\n"); lines != 2 {
			t.Errorf("after it had stopped for long, two make %d lines", lines)
		}
	}
}
