package reconcile

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Gap is a document of which a host that speaks is known to have another than is
// held, or of which it speaks no more.
type Gap struct {
	Host   uuid.UUID `json:"host"`
	Site   string    `json:"site,omitempty"`
	Source string    `json:"source"`
	// Held says which document is held, as "epoch 3, gen 5"; "" is none.
	Held  string    `json:"held,omitempty"`
	Since time.Time `json:"since"`
	// Problem is why it wasn't published, as the host says. Vanished says that the
	// host doesn't speak of the source at all.
	Problem  string `json:"problem,omitempty"`
	Vanished bool   `json:"vanished,omitempty"`
}

// heardSubject names a host that was heard, whether it is in the books or not.
func (p *pass) heardSubject(host uuid.UUID, site string) (Subject, string) {
	if hp := p.book.pairOf(host); hp != nil {
		return hp.subject(), hp.key()
	}
	name := host.String()
	return Subject{Type: "host", ID: name, Name: name, Site: site, Host: name}, name
}

// checkGaps reports documents that did not arrive. What is known of the source is
// older than what its host knows, and nobody would see that from the documents.
func (p *pass) checkGaps() {
	for i := range p.in.Gaps {
		gap := &p.in.Gaps[i]
		subject, name := p.heardSubject(gap.Host, gap.Site)
		f := Finding{
			Kind: ObserveGap, Subject: subject, Field: gap.Source, Intended: "what the host says that it has", Observed: orElse(gap.Held, "nothing"),
			Message: fmt.Sprintf("%s has said since %s that it has another document of %s than %s, and that has not arrived",
				name, clock(gap.Since), gap.Source, orElse(gap.Held, "none, which is what is held")),
			Evidence: []string{"its heartbeats carry the number and the digest of each source's newest document; it is asked to publish it again"},
			Resolutions: []Resolution{{Side: "runtime", How: "person",
				Do: "see avstem-agent's log on the host and whether it may publish that source's subject: nats stream info AVSTEM_OBSERVED"}},
		}
		switch {
		case gap.Vanished:
			f.Message = fmt.Sprintf("%s has not spoken of %s since %s, and what is held of it (%s) gets old", name, gap.Source, clock(gap.Since), gap.Held)
			f.Evidence = []string{"its heartbeats list every source that it has passed over since it was started"}
			f.Resolutions = []Resolution{{Side: "runtime", How: "person",
				Do: "see whether the agent's configuration still has the source, and in its log whether a pass of it hangs"}}
		case gap.Problem != "":
			f.Message = fmt.Sprintf("%s could not publish its newest document of %s since %s: %s", name, gap.Source, clock(gap.Since), gap.Problem)
			f.Evidence = []string{"what is held is " + orElse(gap.Held, "nothing")}
		}
		if isRuntime(gap.Source) {
			f.Severity = p.in.Policy.severity(ObserveGap)
		} else if p.in.Policy.severity(ObserveGap) == ObserveGap.Info().Severity {
			f.Severity = Low // no VM hides in it
		}
		p.find(f)
	}
}

// checkClocks reports hosts whose clocks are off. Nothing is decided by them:
// documents are ordered by (epoch, gen), and everything else by the reconciler's
// own clock. But people go by them.
func (p *pass) checkClocks() {
	limit := p.in.Policy.ClockSkew
	if limit <= 0 {
		return
	}
	for _, host := range slices.SortedFunc(maps.Keys(p.in.Clocks), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }) {
		ahead := p.in.Clocks[host]
		off := max(ahead, -ahead)
		if off < limit {
			continue
		}
		way := "ahead"
		if ahead < 0 {
			way = "behind"
		}
		subject, name := p.heardSubject(host, "")
		least := policyStep(off, limit)
		p.find(Finding{
			Kind: ObserveClock, Subject: subject, Field: "clock", Intended: "within " + limit.String(), Observed: fmt.Sprintf("at least %s %s", least, way),
			Message: fmt.Sprintf("the clock of %s is at least %s %s of the reconciler's", name, least, way),
			Evidence: []string{"measured from the times in its heartbeats, by the one that was on its way the shortest",
				"no order depends on it: documents are ordered by (epoch, gen)"},
			Resolutions: []Resolution{{Side: "runtime", How: "live", Do: "set its clock, by NTP or PTP (timedatectl, chronyc tracking), or the reconciler's, if many hosts are off alike"}},
		})
	}
}

func compareGaps(a, b Gap) int {
	return cmp.Or(bytes.Compare(a.Host[:], b.Host[:]), cmp.Compare(a.Source, b.Source))
}

// Gaps takes all documents that are known not to have arrived.
func (b *Book) Gaps(all []Gap) {
	all = slices.SortedFunc(slices.Values(all), compareGaps)
	if !slices.Equal(b.in.Gaps, all) {
		b.in.Gaps, b.dirtySpeakers = all, true
	}
}

// Clocks takes how far each host's clock is ahead, as far as that is known.
func (b *Book) Clocks(all map[uuid.UUID]time.Duration) {
	if !maps.Equal(b.in.Clocks, all) {
		b.in.Clocks, b.dirtySpeakers = all, true
	}
}

// hearing says whether something is to be said of how a host is heard.
func (b *Book) hearing(host uuid.UUID) bool {
	_, timed := b.in.Clocks[host]
	return timed || slices.ContainsFunc(b.in.Gaps, func(g Gap) bool { return g.Host == host })
}
