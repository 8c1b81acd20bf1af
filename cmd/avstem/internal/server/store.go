package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/reconcile"
)

// headerReconciler names who wrote a finding.
const headerReconciler = "Avstem-Reconciler"

// otherFor is how long another reconciler counts as there after it wrote.
const otherFor = 2 * time.Minute

// nameless is a writer that left no name.
const nameless = "one that doesn't say who it is"

// store is AVSTEM_FINDINGS as far as it is one site's. It remembers the sequence
// of each finding as it wrote it, and states it with the next write: where that is
// wrong, the stream was reset or somebody else writes.
type store struct {
	conn       *bus.Conn
	site, self string
	began      time.Time

	mu      sync.Mutex
	seq     map[string]uint64 // by finding; absent means that there is none
	last    uint64            // the highest of all that were written
	created time.Time         // of the stream
	other   string
	otherAt time.Time // when it last wrote
	saidAt  time.Time // when that was last reported
}

func newStore(conn *bus.Conn, site, self string) *store {
	return &store{conn: conn, site: site, self: self, began: time.Now(), seq: map[string]uint64{}}
}

// kept is one finding as the stream has it.
type kept struct {
	id   string
	seq  uint64
	at   time.Time
	by   string
	data []byte
}

// restore reads the findings as they were left, and says by ID which can't be read.
func (s *store) restore(ctx context.Context) (findings []reconcile.Finding, unread map[string]error, err error) {
	unread = map[string]error{}
	all, err := s.read(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, k := range all {
		var f reconcile.Finding
		if err := json.Unmarshal(k.data, &f); err != nil || f.ID != k.id {
			unread[k.id] = fmt.Errorf("read finding %s: %w", k.id, errors.Join(err, wrongID(f.ID, k.id)))
			continue
		}
		findings = append(findings, f)
	}
	return findings, unread, nil
}

func wrongID(says, is string) error {
	if says == is {
		return nil
	}
	return fmt.Errorf("it says that it is %q", says)
}

// read reads all findings of the site, and notes their sequences.
func (s *store) read(ctx context.Context) ([]kept, error) {
	stream, err := s.conn.JetStream().Stream(ctx, bus.StreamFindings)
	if err != nil {
		return nil, fmt.Errorf("read findings: %w", err)
	}
	// Any ID will do: the last name is replaced.
	example, err := bus.FindingSubject(s.site, "x")
	if err != nil {
		return nil, fmt.Errorf("read findings: %w", err)
	}
	prefix := strings.TrimSuffix(example, "x")
	consumer, err := s.conn.JetStream().OrderedConsumer(ctx, bus.StreamFindings, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{prefix + "*"}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
	})
	if err != nil {
		return nil, fmt.Errorf("read findings: %w", err)
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("read findings: %w", err)
	}
	var all []kept
	if info.NumPending > 0 {
		if all, err = readMessages(ctx, consumer, prefix); err != nil {
			return nil, fmt.Errorf("read findings: %w", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.created, s.last, s.seq = stream.CachedInfo().Created, 0, make(map[string]uint64, len(all))
	for _, k := range all {
		s.seq[k.id], s.last = k.seq, max(s.last, k.seq)
	}
	return all, nil
}

func readMessages(ctx context.Context, consumer jetstream.Consumer, prefix string) ([]kept, error) {
	messages, err := consumer.Messages()
	if err != nil {
		return nil, err
	}
	defer messages.Stop()
	var all []kept
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return nil, err
		}
		all = append(all, kept{
			id: strings.TrimPrefix(msg.Subject(), prefix), seq: meta.Sequence.Stream, at: meta.Timestamp,
			by: msg.Headers().Get(headerReconciler), data: msg.Data(),
		})
		if meta.NumPending == 0 {
			return all, nil
		}
	}
}

// put stores a finding, and names another reconciler that wrote it meanwhile.
// What we hold stands.
func (s *store) put(ctx context.Context, f *reconcile.Finding) (other string, err error) {
	subject, err := bus.FindingSubject(s.site, f.ID)
	if err != nil {
		return "", fmt.Errorf("keep finding: %w", err)
	}
	msg := nats.NewMsg(subject)
	if msg.Data, err = encode(f); err != nil {
		return "", err
	}
	msg.Header.Set(headerReconciler, s.self)
	// Once for a sequence that was wrong, and once more for one that moved again.
	for range 3 {
		s.mu.Lock()
		seq := s.seq[f.ID]
		s.mu.Unlock()
		var ack *jetstream.PubAck
		ack, err = s.conn.JetStream().PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(seq), jetstream.WithRetryAttempts(0))
		if err == nil {
			s.note(f.ID, ack.Sequence)
			return other, nil
		}
		if !wrongSequence(err) {
			break
		}
		held, lookErr := s.look(ctx, subject)
		if lookErr != nil {
			return other, fmt.Errorf("keep finding %s: %w", f.ID, lookErr)
		}
		if s.foreign(held) {
			other = cmp.Or(held.by, nameless)
		}
		s.note(f.ID, held.seq)
	}
	return other, fmt.Errorf("keep finding %s: %w", f.ID, err)
}

// note remembers the sequence of a finding; 0 means that there is none.
func (s *store) note(id string, seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq == 0 {
		delete(s.seq, id)
		return
	}
	s.seq[id], s.last = seq, max(s.last, seq)
}

// look reads what is there instead; sequence 0 where nothing is.
func (s *store) look(ctx context.Context, subject string) (kept, error) {
	stream, err := s.conn.JetStream().Stream(ctx, bus.StreamFindings)
	if err != nil {
		return kept{}, err
	}
	msg, err := stream.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return kept{}, nil
	}
	if err != nil {
		return kept{}, err
	}
	return kept{seq: msg.Sequence, at: msg.Time, by: msg.Header.Get(headerReconciler), data: msg.Data}, nil
}

// foreign says whether a live reconciler other than this one wrote it. What is
// older than our start is from before it, or from an old backup.
func (s *store) foreign(k kept) bool {
	return k.seq != 0 && k.by != s.self && k.at.After(s.began)
}

// remove forgets a finding.
func (s *store) remove(ctx context.Context, id string) error {
	s.mu.Lock()
	_, has := s.seq[id]
	s.mu.Unlock()
	if !has { // it was never written
		return nil
	}
	if err := s.conn.RemoveFinding(ctx, s.site, id); err != nil {
		return err
	}
	s.note(id, 0)
	return nil
}

// audited is what looking at the stream found.
type audited struct {
	intact bool // it is as it was written
	// kept has else every finding that is there: true if it is as it was written,
	// or as it was found at the start.
	kept  map[string]bool
	other string
}

// audit holds the stream against what was written. Where its counters are as they
// should be, nothing is read.
func (s *store) audit(ctx context.Context) (audited, error) {
	stream, err := s.conn.JetStream().Stream(ctx, bus.StreamFindings)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if err = s.remake(ctx); err == nil {
			stream, err = s.conn.JetStream().Stream(ctx, bus.StreamFindings)
		}
	}
	if err != nil {
		return audited{}, err
	}
	info := stream.CachedInfo()
	s.mu.Lock()
	same := info.Created.Equal(s.created)
	intact := same && info.State.LastSeq == s.last && info.State.Msgs == uint64(len(s.seq))
	before := maps.Clone(s.seq)
	s.mu.Unlock()
	if intact {
		return audited{intact: true}, nil
	}
	all, err := s.read(ctx)
	if err != nil {
		return audited{}, err
	}
	found := audited{kept: make(map[string]bool, len(all))}
	for _, k := range all {
		if s.foreign(k) {
			found.other = cmp.Or(k.by, nameless)
		}
		found.kept[k.id] = same && before[k.id] == k.seq
	}
	return found, nil
}

// remake makes the streams that somebody deleted: we have what was in them. If
// the observations' stream is gone too, its reader is about to make them all, and
// is not raced.
func (s *store) remake(ctx context.Context) error {
	if _, err := s.conn.JetStream().Stream(ctx, bus.StreamObserved); err != nil {
		return err
	}
	return s.conn.EnsureStreams(ctx)
}

// noteOther remembers that another reconciler wrote, and says whether that
// should be reported now.
func (s *store) noteOther(other string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.other, s.otherAt = other, now
	if now.Sub(s.saidAt) < time.Minute {
		return false
	}
	s.saidAt = now
	return true
}

// otherSeen names the other reconciler while it is there.
func (s *store) otherSeen(now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.other == "" || now.Sub(s.otherAt) > otherFor {
		return ""
	}
	return s.other
}

func wrongSequence(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}
