package replay

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/history"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// Start is how a site stood when the replayed time begins, and what is known ahead
// of what came after.
type Start struct {
	Site string
	At   time.Time
	// Books are both sides at that time. The replay goes on with them.
	Books *history.Books
	// Unknown are sources of which the first document that is kept came later:
	// until then nothing is concluded from them.
	Unknown []Source
	// Intended is what the system of record said afterwards, and by which policies
	// was judged, in order.
	Intended []history.Entry
	Tasks    []TaskSaid
	Recorded *Recorded
	// Then is the policy that was in force at that time.
	Then reconcile.Policy
	// Against is what the tried policy is held against; nil is the policy of then, as
	// it changed.
	Against *reconcile.Policy
	Tried   reconcile.Policy
}

// Source is one source of one host.
type Source struct {
	Host   uuid.UUID
	Source string
}

// TaskSaid is what Maskin said of a task, and when.
type TaskSaid struct {
	Task reconcile.Task
	At   time.Time
}

// Away is a time in which nothing was said: neither is anything concluded from it.
type Away struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

const (
	// settle is how long news gather before a step, as the reconciler has it.
	settle = 100 * time.Millisecond
	// settleHost is by how much longer for each host: the reconciler of a large site
	// rests in proportion to what its steps take.
	settleHost = 100 * time.Microsecond
	// tick is how often the reconciler looks whether time alone makes a step due.
	tick = time.Second
)

// Replay is one site's past that is judged again.
type Replay struct {
	site      string
	begin     time.Time
	books     *history.Books
	inventory *sentral.Inventory
	recorded  *Recorded
	then      reconcile.Policy
	sides     [2]*side
	ahead     []happening
	hearing

	now     time.Time
	looked  time.Time // when it was last seen whether a step is due
	gather  time.Time // when news are judged; zero while there are none
	lastDoc time.Time
	unknown map[Source]bool
	aways   []Away
	taken   int
}

// New begins a replay: both policies judge how things stood at the beginning.
func New(s Start) *Replay {
	r := &Replay{
		site: s.Site, begin: s.At, books: s.Books, recorded: s.Recorded, then: s.Then, now: s.At, looked: s.At,
		hearing: hearing{hosts: map[uuid.UUID]*host{}}, unknown: map[Source]bool{},
	}
	against := s.Then
	if s.Against != nil {
		against = *s.Against
	}
	r.sides = [2]*side{newSide(s.Site, against, s.Against == nil, r), newSide(s.Site, s.Tried, false, r)}
	r.plan(&s)
	for _, u := range s.Unknown {
		r.unknown[u] = true
		r.observe(unknown(s.Site, u, s.At), s.At)
	}
	for _, e := range s.Books.Observed() {
		r.observe(e.Document, e.At)
		r.lastDoc = latest(r.lastDoc, e.At)
	}
	if r.lastDoc.IsZero() {
		r.lastDoc = s.At
	}
	r.use()
	r.openBooks(s.Recorded.seeds(&s.Then))
	return r
}

// openBooks judges how things stood at the beginning.
func (r *Replay) openBooks(seeds []seed) {
	seeded, reference := map[string]bool{}, map[string]bool{}
	for i := range seeds {
		f := &seeds[i]
		seeded[f.ID] = true
		if f.Kind == reconcile.HostStale && f.open {
			r.muted = append(r.muted, muted{host: f.Subject.ID})
		}
	}
	// Whoever was silent was so for longer than anybody is waited for.
	listening := r.now.Add(-max(r.sides[0].policy.StaleAfter, r.sides[1].policy.StaleAfter) - tick)
	for _, side := range r.sides {
		side.engine.Delivered()
		side.engine.Listen(listening)
	}
	if len(r.muted) > 0 { // under which IDs they spoke is known once both books were held side by side
		r.sides[0].engine.Stand(r.now)
	}
	for _, m := range r.muted {
		r.mute(m)
	}
	r.beat(r.now)
	for i, side := range r.sides {
		side.begin(seeds, seeded, reference, r.now)
		if i == 0 && side.ofThen {
			for _, f := range side.engine.Findings() {
				reference[f.ID] = true
			}
		}
	}
}

// unknown is a document that says that nothing can be said.
func unknown(site string, s Source, at time.Time) *inventory.Observation {
	return &inventory.Observation{
		Schema: inventory.Schema, Host: s.Host, Site: site, Source: s.Source, ObservedAt: at, Outcome: inventory.OutcomeFailed,
		Problems: []inventory.Problem{{Call: "AVSTEM_OBSERVED", Why: inventory.WhyAbsent, Error: "what it showed then isn't kept any more"}},
	}
}

// Take takes the document that came next. Its error is that of ctx.
func (r *Replay) Take(ctx context.Context, e history.Entry) error {
	if err := r.goTo(ctx, e.At); err != nil {
		return err
	}
	delete(r.unknown, Source{e.Host, e.Source})
	r.books.Take(e)
	r.observe(e.Document, e.At)
	r.spoke(e.At)
	return nil
}

// Refuse takes a document that can't be taken, as it came.
func (r *Replay) Refuse(ctx context.Context, f reconcile.Refusal) error {
	if err := r.goTo(ctx, f.At); err != nil {
		return err
	}
	for _, s := range r.sides {
		s.engine.Refuse(f)
	}
	r.spoke(f.At)
	return nil
}

func (r *Replay) spoke(at time.Time) {
	r.lastDoc, r.taken = at, r.taken+1
	r.news()
}

func (r *Replay) observe(o *inventory.Observation, received time.Time) {
	for _, s := range r.sides {
		s.engine.Observe(o, received)
	}
	r.hearing.observe(o, received)
}

// news has what is new judged once others have gathered with it.
func (r *Replay) news() {
	if r.gather.IsZero() {
		r.gather = r.now.Add(max(settle, time.Duration(len(r.hosts))*settleHost))
	}
}

// awayAfter is for how long nothing is said where all is well: agents repeat each
// document well before it is too old.
func (r *Replay) awayAfter() time.Duration { return r.then.DocumentAge / 2 }

// goTo lets time pass until something is said again. Where nothing was for long,
// neither by hosts nor by the reconciler, NATS or all of it was away: that is no
// silence of hosts.
func (r *Replay) goTo(ctx context.Context, at time.Time) error {
	quiet := r.lastDoc
	if at.Sub(quiet) > r.awayAfter() {
		quiet = latest(quiet, r.recorded.last(at))
		for i := 0; i < len(r.ahead) && r.ahead[i].at.Before(at); i++ {
			if !r.ahead[i].quiet {
				quiet = latest(quiet, r.ahead[i].at)
			}
		}
	}
	if at.Sub(quiet) <= r.awayAfter() {
		return r.advance(ctx, at)
	}
	// The step that came to what was told last may be a little later here.
	if err := r.advance(ctx, latest(quiet, r.gather).Add(2*tick)); err != nil {
		return err
	}
	for _, s := range r.sides {
		s.engine.Deafen(r.now)
		s.engine.Listen(at)
	}
	r.aways = append(r.aways, Away{r.now, at})
	r.now, r.looked, r.back, r.beaten = at, at, at, time.Time{}
	return nil
}

// advance lets time pass.
func (r *Replay) advance(ctx context.Context, to time.Time) error {
	for {
		at := r.next()
		if at.IsZero() || at.After(to) {
			r.now = latest(r.now, to)
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		r.now = latest(r.now, at)
		for len(r.ahead) > 0 && !r.ahead[0].at.After(r.now) {
			r.ahead[0].do()
			if !r.ahead[0].quiet {
				r.news()
			}
			r.ahead = r.ahead[1:]
		}
		if !r.gather.IsZero() && !r.gather.After(r.now) || r.timeIsUp() {
			r.step()
		}
	}
}

// next is when something happens next; zero is never.
func (r *Replay) next() (next time.Time) {
	by := func(at time.Time) {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if len(r.ahead) > 0 {
		by(r.ahead[0].at)
	}
	by(r.gather)
	by(r.due())
	return next
}

// due is when time alone may make a step due.
func (r *Replay) due() (due time.Time) {
	for _, s := range r.sides {
		if at := s.engine.Next(); !at.IsZero() && (due.IsZero() || at.Before(due)) {
			due = at
		}
	}
	if due.IsZero() {
		return due
	}
	return latest(due, r.looked.Add(tick))
}

func (r *Replay) timeIsUp() bool {
	due := r.due()
	return !due.IsZero() && !due.After(r.now)
}

// step judges by both policies.
func (r *Replay) step() {
	r.looked, r.gather = r.now, time.Time{}
	r.beat(r.now)
	for _, s := range r.sides {
		if s.engine.Due(r.now) {
			s.take(s.engine.Step(r.now), r.now)
		}
	}
}

// End lets time pass until the end, and gives what came of it.
func (r *Replay) End(ctx context.Context, until time.Time) (*Outcome, error) {
	if err := r.goTo(ctx, until); err != nil {
		return nil, err
	}
	o := &Outcome{Site: r.site, Since: r.begin, Until: until, Documents: r.taken, Away: r.aways, Inventory: r.inventory, Recorded: r.recorded}
	if n := len(r.aways); n > 0 && r.aways[n-1].To.Equal(until) {
		o.Until, o.Away = r.aways[n-1].From, r.aways[:n-1]
	}
	for i, s := range r.sides {
		o.sides[i] = s.end()
	}
	return o, nil
}

// At is how far the replay has come.
func (r *Replay) At() time.Time { return r.now }

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Outcome is what came of the replay of a site.
type Outcome struct {
	Site         string
	Since, Until time.Time // that were replayed
	Documents    int
	Away         []Away
	Inventory    *sentral.Inventory // in use at the end
	Recorded     *Recorded
	sides        [2]*side
}
