package agent

import (
	"fmt"
	"strings"
	"time"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/inventory"
)

// Status is how an agent is doing at one moment.
type Status struct {
	Sources   []bus.SourceState // the newest document of each source
	Why       map[string]string // the first problem of each source that has one
	VMs       int               // that the runtimes show, each counted once
	Waiting   int               // documents that are not published yet
	Published time.Time         // when the stream had a document last; zero if none
	Server    string            // that the agent is connected to, "" while it isn't
	Problem   string            // why nothing is published though it could be
}

// Status may be called at any time. It waits for what every part of the agent
// waits for, so that an answer shows that none is stuck.
func (a *Agent) Status() Status {
	s := a.board.status()
	s.Problem = a.clone.why()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.wire != nil {
		s.Server = a.wire.server()
	}
	return s
}

// Reconnect lets the connection go and makes another one, for credentials,
// certificates or a server that changed.
func (a *Agent) Reconnect() { signal(a.anew) }

func (b *board) status() Status {
	s := Status{Sources: b.states()}
	b.mu.Lock()
	defer b.mu.Unlock()
	s.Published = b.delivered
	s.Why = map[string]string{}
	vms := map[string]bool{}
	for source, e := range b.entries {
		if len(e.doc.Problems) > 0 {
			s.Why[source] = e.doc.Problems[0].Call + ": " + e.doc.Problems[0].Error
		}
		if !e.published {
			s.Waiting++
		}
		for i := range e.doc.VMs {
			vms[e.doc.VMs[i].Key()] = true
		}
	}
	s.VMs = len(vms)
	return s
}

// Words are the status in a line, as at the given time: "12 VMs, 5 sources seen,
// published 4 s ago".
func (s Status) Words(now time.Time) string {
	var seen, absent int
	var notWhole []string
	for _, source := range s.Sources {
		switch source.Outcome {
		case inventory.OutcomeComplete:
			seen++
		case inventory.OutcomeAbsent:
			absent++
		case inventory.OutcomeFailed:
			words := source.Source + " failed"
			if why := s.Why[source.Source]; why != "" {
				words += " (" + why + ")"
			}
			notWhole = append(notWhole, words)
		default:
			notWhole = append(notWhole, source.Source+" "+string(source.Outcome))
		}
	}
	words := []string{count(s.VMs, "VM"), count(seen, "source") + " seen"}
	if len(notWhole) > 0 {
		words = append(words, "not seen whole: "+strings.Join(notWhole, ", "))
	}
	switch {
	case s.Problem != "":
		words = append(words, "publishing is stopped: "+s.Problem)
	case s.Server == "":
		words = append(words, "not connected to NATS"+s.since(now))
	case s.Waiting > 0:
		words = append(words, count(s.Waiting, "document")+" not published yet"+s.since(now))
	case !s.Published.IsZero():
		words = append(words, "published "+ago(now.Sub(s.Published)))
	}
	return strings.Join(words, ", ")
}

func (s Status) since(now time.Time) string {
	if s.Published.IsZero() {
		return ""
	}
	return ", last published " + ago(now.Sub(s.Published))
}

func ago(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h ago", int(d.Hours()))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
