// Package metrics turns a reconciler's vitals into Prometheus metrics.
//
// It exists so that the names, the labels and their bounds are in one place: what a
// dashboard or an alert names must stay. Nothing is labelled by host, VM, tenant or
// project; what hosts choose freely (platforms, versions) is cut off at a number.
// docs/metrics.md has an entry for each metric, and a test holds it to that.
//
// It judges and counts nothing itself. A [Reconciler] may be collected from at once;
// counting over a large site takes a while, so that scrapes within a few seconds of
// each other get the same numbers.
package metrics

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dataverket/avstem/cmd/avstem/internal/server"
	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/reconcile"
)

const (
	// maxPlatforms and maxVersions bound the labels that hosts choose; the rest are
	// counted as other.
	maxPlatforms = 32
	maxVersions  = 16
	maxLabel     = 64 // bytes
	other        = "other"
	// freshFor is how long numbers are given out again.
	freshFor = 3 * time.Second
)

// Reconciler collects the metrics of one.
type Reconciler struct {
	vitals func(time.Time) server.Vitals
	steps  prometheus.Histogram

	mu   sync.Mutex
	at   time.Time
	last server.Vitals
}

// New makes a collector. Step durations are told by [Reconciler.Stepped].
func New(site string, vitals func(time.Time) server.Vitals) *Reconciler {
	return &Reconciler{vitals: vitals, steps: prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "avstem_step_duration_seconds", Help: "How long it took to judge both books once.",
		ConstLabels: prometheus.Labels{"site": site},
		Buckets:     []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
	})}
}

// Stepped takes the duration of a step.
func (r *Reconciler) Stepped(took time.Duration) { r.steps.Observe(took.Seconds()) }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("avstem_"+name, help, append([]string{"site"}, labels...), nil)
}

// descs are the metrics but the histogram, by what they are about.
var descs = struct {
	findings, oldest, hosts, versions, skew, vms, agreeing      *prometheus.Desc
	missing, pending, document, step                            *prometheus.Desc
	inventoryRead, inventoryProblems                            *prometheus.Desc
	unwritten, dropped, connected, ready, leading, otherWriting *prometheus.Desc
}{
	findings: desc("findings", "Findings, by what they are about and where they are in their life.", "kind", "severity", "platform", "state", "acknowledged"),
	oldest:   desc("oldest_open_finding_timestamp_seconds", "Since when the oldest open finding of a severity is open.", "severity"),
	hosts:    desc("hosts", "Hosts by how well they and their agents are seen: the worst that holds of each.", "state"),
	versions: desc("agents", "Agents by their version.", "version"),
	skew:     desc("host_clock_skew_max_seconds", "How wrong the most wrong of the hosts' clocks is."),
	vms:      desc("vms", "VMs on either side."),
	agreeing: desc("vms_agreeing", "VMs on both sides that differ in nothing that could be compared."),

	missing:  desc("documents_missing", "Documents that hosts say they have and that did not arrive."),
	pending:  desc("stream_pending_documents", "Documents on the stream behind the last one that was read."),
	document: desc("last_document_timestamp_seconds", "When the last newer document of any host was taken."),
	step:     desc("last_step_timestamp_seconds", "When both books were last judged."),

	inventoryRead:     desc("inventory_read_timestamp_seconds", "When the inventory in use was read."),
	inventoryProblems: desc("inventory_problems", "Records of the inventory that can't be used."),

	unwritten:    desc("unwritten", "Findings and events that wait to be written."),
	dropped:      desc("dropped_events_total", "Drift events that were lost, as there was no room for them while NATS was away."),
	connected:    desc("nats_connected", "1 while NATS is connected."),
	ready:        desc("ready", "1 while both books can be judged."),
	leading:      desc("leader", "1 if this reconciler judges and writes, 0 if it stands by."),
	otherWriting: desc("other_writer", "1 while somebody else writes this site's findings."),
}

// Describe implements prometheus.Collector.
func (r *Reconciler) Describe(ch chan<- *prometheus.Desc) {
	r.steps.Describe(ch)
	d := &descs
	for _, one := range []*prometheus.Desc{d.findings, d.oldest, d.hosts, d.versions, d.skew, d.vms, d.agreeing, d.missing, d.pending, d.document, d.step,
		d.inventoryRead, d.inventoryProblems, d.unwritten, d.dropped, d.connected, d.ready, d.leading, d.otherWriting} {
		ch <- one
	}
}

// Collect implements prometheus.Collector.
func (r *Reconciler) Collect(ch chan<- prometheus.Metric) {
	r.steps.Collect(ch)
	v := r.current(time.Now().UTC())
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{v.Site}, labels...)...)
	}
	stamp := func(d *prometheus.Desc, at time.Time, labels ...string) {
		if !at.IsZero() {
			gauge(d, float64(at.UnixMilli())/1000, labels...)
		}
	}
	d := &descs
	collectFindings(&v, gauge, stamp)
	collectHosts(v.Health, gauge)
	gauge(d.missing, float64(v.Holes))
	gauge(d.pending, float64(v.Behind))
	stamp(d.document, v.LastDocument)
	stamp(d.step, v.LastStep)
	stamp(d.inventoryRead, v.Inventory.ReadAt)
	gauge(d.inventoryProblems, float64(v.Inventory.Problems))
	gauge(d.unwritten, float64(v.Unwritten))
	ch <- prometheus.MustNewConstMetric(d.dropped, prometheus.CounterValue, float64(v.DroppedEvents), v.Site)
	gauge(d.connected, truth(v.Connected))
	gauge(d.ready, truth(v.Ready))
	gauge(d.leading, truth(v.Leading))
	gauge(d.otherWriting, truth(v.Other != ""))
}

func (r *Reconciler) current(now time.Time) server.Vitals {
	r.mu.Lock()
	defer r.mu.Unlock()
	if age := now.Sub(r.at); age < 0 || age > freshFor {
		r.last, r.at = r.vitals(now), now
	}
	return r.last
}

type gauging func(d *prometheus.Desc, value float64, labels ...string)

type stamping func(d *prometheus.Desc, at time.Time, labels ...string)

func collectFindings(v *server.Vitals, gauge gauging, stamp stamping) {
	type key struct{ kind, severity, platform, state, acknowledged string }
	counts, oldest, platforms := map[key]int{}, map[reconcile.Severity]time.Time{}, map[string]int{}
	for i := range v.Findings {
		platforms[v.Findings[i].Subject.Platform]++
	}
	name := bounded(platforms, maxPlatforms)
	for i := range v.Findings {
		f := &v.Findings[i]
		counts[key{string(f.Kind), string(f.Severity), name(f.Subject.Platform), string(f.State), strconv.FormatBool(f.Acknowledged != nil)}]++
		if first := oldest[f.Severity]; f.State == reconcile.Open && (first.IsZero() || f.Since.Before(first)) {
			oldest[f.Severity] = f.Since
		}
	}
	for k, n := range counts {
		gauge(descs.findings, float64(n), k.kind, k.severity, k.platform, k.state, k.acknowledged)
	}
	for severity, since := range oldest {
		stamp(descs.oldest, since, string(severity))
	}
}

// collectHosts gives each state, those of no host too: an alert must see them end.
func collectHosts(h *evaluate.Health, gauge gauging) {
	if h == nil {
		return
	}
	for _, state := range evaluate.HostStates() {
		gauge(descs.hosts, float64(h.Whole.Hosts[state]), string(state))
	}
	name, versions := bounded(h.Whole.Versions, maxVersions), map[string]int{}
	for version, n := range h.Whole.Versions {
		versions[name(version)] += n
	}
	for version, n := range versions {
		gauge(descs.versions, float64(n), version)
	}
	skew := time.Duration(0)
	for i := range h.Hosts {
		skew = max(skew, h.Hosts[i].Skew.Abs())
	}
	gauge(descs.skew, skew.Seconds())
	gauge(descs.vms, float64(h.Whole.VMs))
	gauge(descs.agreeing, float64(h.Whole.Agreeing))
}

// bounded gives the name under which each of some values is counted: its own for
// the most frequent, other for the
// rest, what is no UTF-8, which can't be a label, and what is too long for one.
func bounded(counts map[string]int, most int) func(string) string {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	kept := map[string]bool{}
	for _, name := range names[:min(len(names), most)] {
		kept[name] = utf8.ValidString(name) && len(name) <= maxLabel
	}
	return func(name string) string {
		if kept[name] {
			return name
		}
		return other
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
