package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
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

// headerEvent names what was to be told of a finding when it was written: its
// events, each in a header of its own, the oldest first. It is written first and they
// are told then, so what a crash left untold is found.
const headerEvent = "Avstem-Event"

// maxNamed is how many events a finding is written with: of more, the last ones.
const maxNamed = 16

// errNotLeading says that the lease can't be relied on now.
var errNotLeading = errors.New("the lease of this site could not be renewed in time")

// store is AVSTEM_FINDINGS as far as it is one site's. It remembers the sequence
// of each finding as it wrote it, so that it can see what others did to it.
type store struct {
	conn       *bus.Conn
	site, self string

	mu      sync.Mutex
	lease   *bus.Lease
	fence   *bus.Fence
	since   uint64            // the last of the turn's first marks: what others wrote after it, they wrote without the lease
	seq     map[string]uint64 // by finding; absent means that there is none
	wrote   uint64            // the highest of them
	last    uint64            // the highest of all that were written, marks too
	told    told
	acks    map[string]time.Time // when each finding was acknowledged, as it stands there
	created time.Time            // of the stream
	other   string
	otherAt time.Time // when it last wrote
	saidAt  time.Time // when that was last reported
}

func newStore(conn *bus.Conn, site, self string) *store {
	return &store{conn: conn, site: site, self: self, seq: map[string]uint64{}, acks: map[string]time.Time{}}
}

// lead begins a turn: nobody who led before writes from then on.
func (s *store) lead(ctx context.Context, lease *bus.Lease) error {
	s.mu.Lock()
	s.lease, s.since, s.told = lease, 0, told{}
	s.other, s.saidAt = "", time.Time{}
	s.mu.Unlock()
	return s.raise(ctx)
}

// raise puts down the marks that each write states.
func (s *store) raise(ctx context.Context) error {
	fence, err := s.lease.Raise(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	last := fence.Last()
	s.fence, s.last = fence, max(s.last, last)
	// The stream may be another one by now, which counts anew.
	if s.since == 0 || last < s.since {
		s.since = last
	}
	if last < s.wrote {
		s.wrote = 0
	}
	return nil
}

// holds says whether findings and events may be written now.
func (s *store) holds() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.lease.Holds() {
		return errNotLeading
	}
	return nil
}

// kept is one finding as the stream has it.
type kept struct {
	id     string
	seq    uint64
	at     time.Time
	by     string
	events []string
	data   []byte
}

// restore reads the findings as they were left, the events that were not told of
// them, and says by ID which findings can't be read.
func (s *store) restore(ctx context.Context) (findings []reconcile.Finding, untold []event, unread map[string]error, err error) {
	unread = map[string]error{}
	all, err := s.readFenced(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	since, told, err := s.takeUpTold(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, k := range all {
		var f reconcile.Finding
		if err := json.Unmarshal(k.data, &f); err != nil || f.ID != k.id {
			unread[k.id] = fmt.Errorf("read finding %s: %w", k.id, errors.Join(err, wrongID(f.ID, k.id)))
			continue
		}
		findings = append(findings, f)
		s.noteAck(&f)
		if k.seq > since {
			untold = append(untold, untoldOf(k, f, told, s.site)...)
		}
	}
	slices.SortStableFunc(untold, func(a, b event) int { return a.Time.Compare(b.Time) })
	return findings, untold, unread, nil
}

// behindWait is the pause before a replica that is behind is asked again.
const behindWait = 50 * time.Millisecond

// readFenced reads all findings of the site as those who led before left them: what
// they wrote stands before our marks, and a replica that is asked may not have all
// of it yet.
func (s *store) readFenced(ctx context.Context) ([]kept, error) {
	for {
		all, marked, err := s.read(ctx)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		fence := s.fence.Last()
		s.mu.Unlock()
		if marked >= fence {
			return all, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("read findings: the server that was asked has them up to %d only, and %d was written: %w", marked, fence, ctx.Err())
		case <-time.After(behindWait):
		}
	}
}

// untoldOf gives the events of a finding that were not told. What was to be said with
// all but the last is not known any more: they tell of the finding as it is.
func untoldOf(k kept, f reconcile.Finding, told map[string]bool, site string) (untold []event) {
	for _, named := range k.events {
		change, id, _ := strings.Cut(named, " ")
		if id == "" || told[id] {
			continue
		}
		e := newEvent(reconcile.Event{Change: reconcile.Change(change), Finding: f}, site)
		e.ID = id // whoever told it meanwhile, it is one
		untold = append(untold, e)
	}
	return untold
}

func wrongID(says, is string) error {
	if says == is {
		return nil
	}
	return fmt.Errorf("it says that it is %q", says)
}

// read reads all findings of the site, and notes their sequences. Marked is the
// highest sequence of a mark that there is.
func (s *store) read(ctx context.Context) (all []kept, marked uint64, err error) {
	stream, err := s.conn.JetStream().Stream(ctx, bus.StreamFindings)
	if err != nil {
		return nil, 0, fmt.Errorf("read findings: %w", err)
	}
	// Any ID will do: the last name is replaced.
	example, err := bus.FindingSubject(s.site, "x")
	if err != nil {
		return nil, 0, fmt.Errorf("read findings: %w", err)
	}
	prefix := strings.TrimSuffix(example, "x")
	consumer, err := s.conn.JetStream().OrderedConsumer(ctx, bus.StreamFindings, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{prefix + "*", bus.FenceSubjects(s.site)}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
		InactiveThreshold: bus.ReadOnce,
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read findings: %w", err)
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("read findings: %w", err)
	}
	var mark told
	take := func(msg jetstream.Msg, seq uint64, at time.Time) {
		if id, is := strings.CutPrefix(msg.Subject(), prefix); is {
			all = append(all, kept{id: id, seq: seq, at: at, by: msg.Headers().Get(headerReconciler), events: msg.Headers().Values(headerEvent), data: msg.Data()})
		} else if how, is := bus.ParseTold(msg.Subject(), msg.Data()); is {
			mark = told{Told: how, seq: seq}
		} else {
			marked = max(marked, seq)
		}
	}
	if info.NumPending > 0 {
		if err := readMessages(ctx, consumer, take); err != nil {
			return nil, 0, fmt.Errorf("read findings: %w", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.created, s.wrote, s.seq = stream.CachedInfo().Created, 0, make(map[string]uint64, len(all))
	for _, k := range all {
		s.seq[k.id], s.wrote = k.seq, max(s.wrote, k.seq)
	}
	mark.news, mark.at = s.told.news || mark.seq != s.told.seq, s.told.at
	s.told = mark
	s.last = max(s.wrote, s.fence.Last(), mark.seq)
	return all, marked, nil
}

func readMessages(ctx context.Context, consumer jetstream.Consumer, take func(msg jetstream.Msg, seq uint64, at time.Time)) error {
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		take(msg, meta.Sequence.Stream, meta.Timestamp)
		if meta.NumPending == 0 {
			return nil
		}
	}
}

// put stores a finding, with the events that are to be told of it, if any. Of each
// lane ([bus.FenceLanes]) one write may be under way at a time.
func (s *store) put(ctx context.Context, lane int, f *reconcile.Finding, events []string) error {
	subject, err := bus.FindingSubject(s.site, f.ID)
	if err != nil {
		return fmt.Errorf("keep finding: %w", err)
	}
	if err := s.holds(); err != nil {
		return fmt.Errorf("keep finding %s: %w", f.ID, err)
	}
	s.mu.Lock()
	condition := s.fence.Lane(lane)
	s.mu.Unlock()
	msg := nats.NewMsg(subject)
	if msg.Data, err = encode(f); err != nil {
		return err
	}
	msg.Header.Set(headerReconciler, s.self)
	for _, event := range events[max(len(events)-maxNamed, 0):] {
		msg.Header.Add(headerEvent, event)
	}
	ack, err := s.conn.JetStream().PublishMsg(ctx, msg, condition, jetstream.WithRetryAttempts(0))
	if err != nil {
		return fmt.Errorf("keep finding %s: %w", f.ID, err)
	}
	s.note(f.ID, ack.Sequence)
	s.noteAck(f)
	return nil
}

// note remembers the sequence of a finding; 0 means that there is none.
func (s *store) note(id string, seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq == 0 {
		delete(s.seq, id)
		delete(s.acks, id)
		return
	}
	s.seq[id], s.wrote, s.last = seq, max(s.wrote, seq), max(s.last, seq)
}

// foreign says whether somebody else wrote it since this turn began: one that
// knows of no lease. What is older is from before it, or from an old backup. Clocks
// don't say: the server's is another one than ours.
func (s *store) foreign(k kept) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return k.by != s.self && k.seq > s.since
}

// remove forgets a finding.
func (s *store) remove(ctx context.Context, id string) error {
	s.mu.Lock()
	seq, has := s.seq[id]
	s.mu.Unlock()
	if !has { // it was never written
		return nil
	}
	if err := s.holds(); err != nil {
		return fmt.Errorf("remove finding %s: %w", id, err)
	}
	if err := s.conn.RemoveFinding(ctx, s.site, id, seq); err != nil {
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
	intact := same && info.State.LastSeq == s.last && info.State.Msgs == uint64(len(s.seq)+bus.FenceLanes)+s.told.messages()
	before := maps.Clone(s.seq)
	s.mu.Unlock()
	if intact {
		return audited{intact: true}, nil
	}
	all, _, err := s.read(ctx)
	if err != nil {
		return audited{}, err
	}
	found := audited{kept: make(map[string]bool, len(all))}
	for _, k := range all {
		if s.foreign(k) {
			found.other = cmp.Or(k.by, bus.Nameless)
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
