package hostagent

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dataverket/avstem/agent"
	"github.com/dataverket/avstem/inventory"
)

// Metrics collects how the agent is. Its labels are the sources, of which there are
// as many as the program has, and their outcomes.
func (h *Host) Metrics() prometheus.Collector { return &metrics{h.agent.Vitals} }

// NotReady says why nothing is published, "" if it is.
func (h *Host) NotReady() string {
	switch v := h.agent.Vitals(); {
	case v.Problem != "":
		return v.Problem
	case !v.Connected:
		return "not connected to NATS"
	}
	return ""
}

// metrics are the agent's: docs/metrics.md has an entry for each.
type metrics struct{ vitals func() agent.Vitals }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("avstem_agent_"+name, help, labels, nil)
}

var (
	passesDesc       = desc("passes_total", "Passes over a source, by how they ended.", "source", "outcome")
	tookDesc         = desc("last_pass_duration_seconds", "How long the last pass over a source took.", "source")
	lastPassDesc     = desc("last_pass_timestamp_seconds", "When the last pass over a source ended.", "source")
	lastCompleteDesc = desc("last_complete_timestamp_seconds", "When a source was last read whole, or found not to be there.", "source")
	problemsDesc     = desc("problems", "What could not be read of a source in its last pass.", "source")
	publishedDesc    = desc("published_documents_total", "Documents of a source that the stream has acknowledged.", "source")
	unsentDesc       = desc("unsent_documents", "Documents that wait to be published.")
	oldestUnsentDesc = desc("oldest_unsent_timestamp_seconds", "When the oldest document was made that waits to be published.")
	unsendableDesc   = desc("unsendable_documents", "Documents that can't be published, as they are larger than NATS takes.")
	connectedDesc    = desc("nats_connected", "1 while NATS is connected.")
	withholdingDesc  = desc("withholding", "1 while nothing is published on purpose, as this host's identity is used twice.")
)

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{passesDesc, tookDesc, lastPassDesc, lastCompleteDesc, problemsDesc, publishedDesc,
		unsentDesc, oldestUnsentDesc, unsendableDesc, connectedDesc, withholdingDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	counter := func(d *prometheus.Desc, n int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	stamp := func(d *prometheus.Desc, at time.Time, labels ...string) {
		if !at.IsZero() {
			gauge(d, float64(at.UnixMilli())/1000, labels...)
		}
	}
	v := m.vitals()
	unsent, unsendable, oldest := 0, 0, time.Time{}
	for i := range v.Sources {
		s := &v.Sources[i]
		for _, outcome := range []inventory.Outcome{inventory.OutcomeComplete, inventory.OutcomePartial, inventory.OutcomeFailed, inventory.OutcomeAbsent} {
			counter(passesDesc, s.Passes[outcome], s.Source, string(outcome))
		}
		if !s.LastPass.IsZero() {
			gauge(tookDesc, s.Took.Seconds(), s.Source)
			gauge(problemsDesc, float64(s.Problems), s.Source)
		}
		stamp(lastPassDesc, s.LastPass, s.Source)
		stamp(lastCompleteDesc, s.LastComplete, s.Source)
		counter(publishedDesc, s.Published, s.Source)
		if s.Unsendable != "" {
			unsendable++
		}
		if !s.UnsentSince.IsZero() {
			unsent++
			if oldest.IsZero() || s.UnsentSince.Before(oldest) {
				oldest = s.UnsentSince
			}
		}
	}
	gauge(unsentDesc, float64(unsent))
	stamp(oldestUnsentDesc, oldest)
	gauge(unsendableDesc, float64(unsendable))
	gauge(connectedDesc, truth(v.Connected))
	gauge(withholdingDesc, truth(v.Problem != ""))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
