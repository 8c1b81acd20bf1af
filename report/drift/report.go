package drift

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/reconcile"
)

// Schema is the version of a report's JSON. Fields are added, never renamed.
const Schema = "avstem.report/v1"

// Report is drift, platform by platform.
type Report struct {
	Schema string    `json:"schema"`
	At     time.Time `json:"at"`
	// Site and Platform are what was asked for; "" means all.
	Site     string `json:"site,omitempty"`
	Platform string `json:"platform,omitempty"`
	// Store is when what holds the findings was made: reports with different ones are
	// of different servers.
	Store time.Time `json:"store,omitzero"`
	// Notes are what a reader must know before trusting it.
	Notes []string `json:"notes,omitempty"`
	// Sections are by platform; last comes what belongs to none, such as records
	// of the inventory and projects, with "" as its platform.
	Sections []Section `json:"sections"`
}

// Section is one platform.
type Section struct {
	Platform   string                     `json:"platform"`
	Open       int                        `json:"open"`
	Pending    int                        `json:"pending"`
	Suppressed int                        `json:"suppressed"`
	BySeverity map[reconcile.Severity]int `json:"bySeverity"` // of what is open
	ByKind     []KindCount                `json:"byKind"`     // most severe first
	Trend      []Day                      `json:"trend"`
	Changes    Changes                    `json:"changes"`
	Hosts      []Offender                 `json:"hosts"`
	Projects   []Offender                 `json:"projects"`
	VMs        []Offender                 `json:"vms"`
	// Fleet and Troubled are how its hosts and agents are; nil where no reconciler
	// said so. TroubledLeft is how many more there are to look at.
	Fleet        *evaluate.Fleet       `json:"fleet,omitempty"`
	Troubled     []evaluate.HostHealth `json:"troubled,omitempty"`
	TroubledLeft int                   `json:"troubledLeft,omitempty"`
	Numbers      []evaluate.Numbers    `json:"numbers"`
	Findings     []reconcile.Finding   `json:"findings"` // that are open
}

// KindCount is how many open findings there are of a kind.
type KindCount struct {
	Kind       reconcile.Kind             `json:"kind"`
	Means      string                     `json:"means,omitempty"`
	Open       int                        `json:"open"`
	BySeverity map[reconcile.Severity]int `json:"bySeverity"`
	Oldest     time.Time                  `json:"oldest,omitzero"` // since when the oldest is open
}

// Input is what a report is made of.
type Input struct {
	At             time.Time
	Site, Platform string    // what was asked for; "" means all
	Store          time.Time // as in [Report]
	Notes          []string
	Findings       []reconcile.Finding // of every state and platform
	History        *History
	Numbers        []evaluate.Numbers
	Health         *evaluate.Health // nil where no reconciler said
	Before         *Report          // what changes are counted from; nil means from the history
}

// Make makes a report.
func Make(in Input) *Report {
	r := &Report{Schema: Schema, At: in.At.UTC(), Site: in.Site, Platform: in.Platform, Store: in.Store, Notes: in.Notes}
	for _, platform := range platforms(&in) {
		r.Sections = append(r.Sections, in.section(platform))
	}
	return r
}

// platforms lists what gets a section: the one that was asked for, or each that
// anything is known of.
func platforms(in *Input) []string {
	if in.Platform != "" {
		return []string{in.Platform}
	}
	seen := map[string]bool{}
	for i := range in.Findings {
		if in.Findings[i].State == reconcile.Open {
			seen[in.Findings[i].Subject.Platform] = true
		}
	}
	for i := range in.Numbers {
		seen[in.Numbers[i].Platform] = true
	}
	if in.Health != nil {
		for i := range in.Health.Platforms {
			seen[in.Health.Platforms[i].Platform] = true
		}
	}
	for _, s := range in.before() {
		if len(s.Findings) > 0 {
			seen[s.Platform] = true
		}
	}
	for _, l := range in.History.lives {
		seen[l.last.Subject.Platform] = true
	}
	none := seen[""]
	delete(seen, "")
	all := slices.Sorted(maps.Keys(seen))
	if none {
		all = append(all, "")
	}
	return all
}

// Elsewhere says whether the report is known to be of another server than one whose
// findings are in the given store.
func (r *Report) Elsewhere(store time.Time) bool {
	return !r.Store.IsZero() && !store.IsZero() && !r.Store.Equal(store)
}

func (in *Input) before() []Section {
	if in.Before == nil {
		return nil
	}
	return in.Before.Sections
}

func (in *Input) section(platform string) Section {
	s := Section{Platform: platform, BySeverity: map[reconcile.Severity]int{}, Numbers: []evaluate.Numbers{}, Findings: []reconcile.Finding{}}
	for _, f := range in.Findings {
		if f.Subject.Platform != platform || (in.Site != "" && f.Subject.Site != in.Site) {
			continue
		}
		switch f.State {
		case reconcile.Open, "":
			s.Open++
			s.BySeverity[f.Severity]++
			s.Findings = append(s.Findings, f)
		case reconcile.Pending:
			s.Pending++
		case reconcile.Suppressed:
			s.Suppressed++
		}
	}
	reconcile.SortFindings(s.Findings)
	s.ByKind = byKind(s.Findings)
	s.Hosts, s.Projects, s.VMs = offenders(s.Findings)
	s.Trend = in.History.trend(platform, s.Findings, in.At)
	s.Changes = in.changes(&s)
	for i := range in.Numbers {
		if platform != "" && in.Numbers[i].Platform == platform {
			s.Numbers = append(s.Numbers, in.Numbers[i])
		}
	}
	in.health(&s)
	return s
}

func (in *Input) health(s *Section) {
	if in.Health == nil || s.Platform == "" {
		return
	}
	for i := range in.Health.Platforms {
		if f := &in.Health.Platforms[i]; f.Platform == s.Platform {
			s.Fleet = f
		}
	}
	for _, h := range in.Health.Hosts {
		if slices.Contains(h.Platforms, s.Platform) {
			s.Troubled = append(s.Troubled, h)
		}
	}
	if s.Fleet != nil {
		s.TroubledLeft = min(in.Health.Left, s.Fleet.Total()-len(s.Troubled))
	}
}

func byKind(findings []reconcile.Finding) []KindCount {
	counts := map[reconcile.Kind]*KindCount{}
	for i := range findings {
		f := &findings[i]
		k := counts[f.Kind]
		if k == nil {
			k = &KindCount{Kind: f.Kind, Means: f.Kind.Info().Means, BySeverity: map[reconcile.Severity]int{}}
			counts[f.Kind] = k
		}
		k.Open++
		k.BySeverity[f.Severity]++
		k.Oldest = earliest(k.Oldest, f.Since)
	}
	all := make([]KindCount, 0, len(counts))
	for _, k := range counts {
		all = append(all, *k)
	}
	slices.SortFunc(all, func(a, b KindCount) int {
		return cmp.Or(compareSeverities(a.BySeverity, b.BySeverity), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}

// compareSeverities puts first what has more of the gravest.
func compareSeverities(a, b map[reconcile.Severity]int) int {
	for _, s := range Severities() {
		if a[s] != b[s] {
			return b[s] - a[s]
		}
	}
	return 0
}

// Severities lists them, worst first.
func Severities() []reconcile.Severity {
	return []reconcile.Severity{reconcile.Critical, reconcile.High, reconcile.Medium, reconcile.Low, reconcile.Info}
}

// earliest is the earlier time of two that are known.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// maxReport is how large a report may be that is read back.
const maxReport = 256 << 20

// Read reads a report's JSON.
func Read(from io.Reader) (*Report, error) {
	data, err := io.ReadAll(io.LimitReader(from, maxReport+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxReport {
		return nil, fmt.Errorf("it has more than %d bytes", maxReport)
	}
	var r Report
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("it is no report in JSON: %w", err)
	}
	if r.Schema != Schema {
		return nil, fmt.Errorf("its schema is %q and not %s: want what avstem report -o json wrote", r.Schema, Schema)
	}
	return &r, nil
}
