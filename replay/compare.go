package replay

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/dataverket/avstem/reconcile"
)

// Schema is the version of a comparison's JSON. Fields are added, never renamed.
const Schema = "avstem.replay/v1"

// Comparison is what two policies make of the same time.
type Comparison struct {
	Schema string `json:"schema"`
	// Asked is since when was asked for, Until until when.
	Asked time.Time `json:"asked"`
	Until time.Time `json:"until"`
	// Against and Policy are the files of the policies; Against is "" for the policy
	// of then.
	Against string `json:"against,omitempty"`
	Policy  string `json:"policy"`
	Filter  string `json:"filter,omitempty"` // which findings were asked for, in words
	Sites   []Site `json:"sites"`
	Total   Row    `json:"total"`
	Kinds   []Row  `json:"kinds"` // by kind and platform
	// Findings are all that were open at some time by either policy.
	Findings     []Finding     `json:"findings"`
	Suppressions []Suppression `json:"suppressions"` // of Policy
	Unreplayed   []Unreplayed  `json:"unreplayed"`
	// Recorded holds the replay by the policy of then against what was told then; nil
	// where it wasn't replayed.
	Recorded *Fidelity `json:"recorded,omitempty"`
	Notes    []string  `json:"notes"` // what a reader must know before trusting it
}

// Site is what was replayed of a site.
type Site struct {
	Site      string    `json:"site"`
	Since     time.Time `json:"since"`
	Until     time.Time `json:"until"`
	Documents int       `json:"documents"`
	Away      []Away    `json:"away,omitempty"`
}

// Row is what both policies make of one kind of finding on one platform.
type Row struct {
	Kind     reconcile.Kind `json:"kind,omitempty"`
	Platform string         `json:"platform,omitempty"`
	Against  Counts         `json:"against"`
	Policy   Counts         `json:"policy"`
}

// Counts are what a policy makes of some findings.
type Counts struct {
	Standing int `json:"standing"` // open at the beginning
	Opened   int `json:"opened"`
	Resolved int `json:"resolved"`
	Flaps    int `json:"flaps"` // so often one came back
	Open     int `json:"open"`  // at the end
	// MedianOpen is for how long those that opened were open, or are at the end, in
	// seconds; nil where none did.
	MedianOpen *float64 `json:"medianOpenSeconds,omitempty"`

	open []time.Duration
}

// Finding is what both policies make of one finding; one that it never was by a
// policy is nil there.
type Finding struct {
	ID       string            `json:"id"`
	Kind     reconcile.Kind    `json:"kind"`
	Subject  reconcile.Subject `json:"subject"`
	Field    string            `json:"field"`
	Intended any               `json:"intended"`
	Observed any               `json:"observed"`
	Message  string            `json:"message"`
	Against  *Life             `json:"against"`
	Policy   *Life             `json:"policy"`
	WhyNot   string            `json:"whyNot,omitempty"` // it never was open by one of them
}

// Life is how a finding was open by one policy.
type Life struct {
	Severity reconcile.Severity `json:"severity"`
	Since    time.Time          `json:"since"`                // when it was open first
	Times    int                `json:"times"`                // how often it opened
	OpenFor  float64            `json:"openSeconds"`          // all told, until the end
	Open     bool               `json:"open"`                 // at the end
	Standing bool               `json:"standing,omitempty"`   // at the beginning
	By       string             `json:"suppressed,omitempty"` // what takes it out at the end
}

// Suppression is what an entry of the tried policy does.
type Suppression struct {
	ID         string    `json:"id"`
	Owner      string    `json:"owner"`
	Reason     string    `json:"reason"`
	Expires    time.Time `json:"expires"`
	Suppressed int       `json:"suppressed"` // so many findings
	Lapsed     int       `json:"lapsed"`     // it speaks of so many more, and doesn't suppress them
}

// Unreplayed are findings of a kind that can't be replayed.
type Unreplayed struct {
	Kind   reconcile.Kind `json:"kind"`
	Events int            `json:"events"` // so often one opened or was resolved then
	Why    string         `json:"why"`
}

// Fidelity is how far the replay by the policy of then tells what was told then.
type Fidelity struct {
	Told    int       `json:"told"` // so many findings opened and were resolved then
	Same    int       `json:"same"`
	Missing []Telling `json:"missing"` // told then, and not by the replay
	Extra   []Telling `json:"extra"`   // and the other way round
}

// Telling is one thing that happened to a finding.
type Telling struct {
	ID     string           `json:"id"`
	Kind   reconcile.Kind   `json:"kind"`
	Name   string           `json:"name,omitempty"` // of its subject
	Action reconcile.Change `json:"action"`
	At     time.Time        `json:"at"`
}

// Options are what a comparison is of.
type Options struct {
	Asked, Until    time.Time
	Against, Policy string
	Filter          string
	Tried           reconcile.Policy
	Takes           func(*reconcile.Finding) bool // nil takes all
	Notes           []string
}

// Compare holds what the policies say of all sites against each other.
func Compare(outcomes []*Outcome, o Options) *Comparison {
	c := &Comparison{Schema: Schema, Asked: o.Asked, Until: o.Until, Against: o.Against, Policy: o.Policy, Filter: o.Filter,
		Sites: []Site{}, Kinds: []Row{}, Findings: []Finding{}, Suppressions: []Suppression{}, Unreplayed: []Unreplayed{}, Notes: slices.Concat([]string{}, o.Notes)}
	if o.Takes == nil {
		o.Takes = func(*reconcile.Finding) bool { return true }
	}
	rows := map[rowKey]*Row{}
	for _, out := range outcomes {
		c.Sites = append(c.Sites, Site{out.Site, out.Since, out.Until, out.Documents, out.Away})
		c.site(out, &o, rows)
		if out.sides[0].ofThen {
			if c.Recorded == nil {
				c.Recorded = &Fidelity{Missing: []Telling{}, Extra: []Telling{}}
			}
			c.Recorded.hold(out, o.Takes)
		}
	}
	for _, r := range rows {
		c.Total.Against.add(&r.Against)
		c.Total.Policy.add(&r.Policy)
		c.Kinds = append(c.Kinds, *r)
	}
	c.Total.finish()
	for i := range c.Kinds {
		c.Kinds[i].finish()
	}
	slices.SortFunc(c.Kinds, func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Platform, b.Platform))
	})
	slices.SortFunc(c.Findings, func(a, b Finding) int {
		return cmp.Or(a.first().Compare(b.first()), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
	c.suppressions(outcomes, &o.Tried)
	c.unreplayed(outcomes)
	return c
}

type rowKey struct {
	kind     reconcile.Kind
	platform string
}

// site adds what was open in one site.
func (c *Comparison) site(out *Outcome, o *Options, rows map[rowKey]*Row) {
	ids := map[string]bool{}
	for _, s := range out.sides {
		for id, l := range s.lives {
			if l.counts() && o.Takes(&l.finding) {
				ids[id] = true
			}
		}
	}
	for id := range ids {
		of := [2]*life{}
		for i, s := range out.sides {
			if l := s.lives[id]; l != nil && l.counts() && o.Takes(&l.finding) {
				of[i] = l
			}
		}
		lead := cmp.Or(of[1], of[0])
		key := rowKey{lead.finding.Kind, lead.finding.Subject.Platform}
		row := rows[key]
		if row == nil {
			row = &Row{Kind: key.kind, Platform: key.platform}
			rows[key] = row
		}
		for i, counts := range []*Counts{&row.Against, &row.Policy} {
			if of[i] != nil {
				counts.count(of[i], out.Until)
			}
		}
		f := Finding{ID: id, Kind: lead.finding.Kind, Subject: lead.finding.Subject, Field: lead.finding.Field,
			Intended: lead.finding.Intended, Observed: lead.finding.Observed, Message: lead.finding.Message,
			Against: of[0].life(out.Until), Policy: of[1].life(out.Until)}
		if f.Against == nil && f.Policy == nil {
			continue // it only was resolved, or flapped
		}
		for i, l := range []*Life{f.Against, f.Policy} {
			if l == nil {
				f.WhyNot = out.sides[i].whyNot(id, o.Takes)
			}
		}
		c.Findings = append(c.Findings, f)
	}
}

// counts says whether it ever was more than pending.
func (l *life) counts() bool { return len(l.spans) > 0 || l.resolved > 0 }

func (c *Counts) count(l *life, until time.Time) {
	c.Resolved += l.resolved
	c.Flaps += l.flaps - l.since
	for _, s := range l.spans {
		if s.to.IsZero() {
			c.Open++
		}
		if s.standing {
			c.Standing++
			continue
		}
		c.Opened++
		c.open = append(c.open, s.length(until))
	}
}

func (s *span) length(until time.Time) time.Duration {
	if s.to.IsZero() {
		return until.Sub(s.from)
	}
	return s.to.Sub(s.from)
}

func (c *Counts) add(o *Counts) {
	c.Standing, c.Opened, c.Resolved = c.Standing+o.Standing, c.Opened+o.Opened, c.Resolved+o.Resolved
	c.Flaps, c.Open, c.open = c.Flaps+o.Flaps, c.Open+o.Open, append(c.open, o.open...)
}

func (r *Row) finish() {
	for _, c := range []*Counts{&r.Against, &r.Policy} {
		if n := len(c.open); n > 0 {
			slices.Sort(c.open)
			median := c.open[(n-1)/2].Seconds()
			c.MedianOpen, c.open = &median, nil
		}
	}
}

// life is nil where it never was open.
func (l *life) life(until time.Time) *Life {
	if l == nil || len(l.spans) == 0 {
		return nil
	}
	all := &Life{Severity: l.finding.Severity, Since: l.spans[0].from, Standing: l.spans[0].standing}
	var open time.Duration
	for _, s := range l.spans {
		open += s.length(until)
		all.Open = s.to.IsZero()
		if !s.standing {
			all.Times++
		}
	}
	all.OpenFor = open.Seconds()
	if l.state == reconcile.Suppressed {
		all.By = l.by
	}
	return all
}

// whyNot says why a finding never was open by a policy.
func (s *side) whyNot(id string, takes func(*reconcile.Finding) bool) string {
	l := s.lives[id]
	switch {
	case l == nil:
		return "it finds nothing there"
	case l.counts() && !takes(&l.finding):
		return "it is " + string(l.finding.Severity) + " there"
	case l.by != "":
		return "suppressed by " + l.by
	case l.state == reconcile.Pending:
		return "it is pending still"
	}
	return "it was gone within its grace"
}

// first is when it was open first by either.
func (f *Finding) first() time.Time {
	switch {
	case f.Against == nil:
		return f.Policy.Since
	case f.Policy == nil:
		return f.Against.Since
	}
	return earlier(f.Against.Since, f.Policy.Since)
}

// suppressions lists what became of the tried policy's.
func (c *Comparison) suppressions(outcomes []*Outcome, p *reconcile.Policy) {
	for i := range p.Suppressions {
		s := &p.Suppressions[i]
		used := Suppression{ID: s.ID, Owner: s.Owner, Reason: s.Reason, Expires: s.Expires}
		for _, out := range outcomes {
			u := out.sides[1].used[s.ID]
			used.Suppressed += len(u.suppressed)
			for id := range u.lapsed {
				if !u.suppressed[id] {
					used.Lapsed++
				}
			}
		}
		c.Suppressions = append(c.Suppressions, used)
	}
}

func (c *Comparison) unreplayed(outcomes []*Outcome) {
	all := map[reconcile.Kind]int{}
	for _, out := range outcomes {
		for kind, n := range out.Recorded.unreplayed {
			all[kind] += n
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(all)) {
		c.Unreplayed = append(c.Unreplayed, Unreplayed{kind, all[kind], why(kind)})
	}
}
