package metrics

import (
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/dataverket/avstem/cmd/avstem/internal/server"
	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/engine"
)

var update = flag.Bool("update", false, "write the golden file anew")

var now = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

func scrape(t *testing.T, r *Reconciler) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry() // it holds what is collected to what is described
	registry.MustRegister(r)
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func finding(kind reconcile.Kind, severity reconcile.Severity, state reconcile.State, platform string, hours int) reconcile.Finding {
	return reconcile.Finding{Kind: kind, Severity: severity, State: state, Subject: reconcile.Subject{Platform: platform, Name: "secret-name"}, Since: now.Add(-time.Duration(hours) * time.Hour)}
}

func TestMetrics(t *testing.T) {
	v := server.Vitals{
		Status: server.Status{Status: engine.Status{Ready: true, Holes: 2, Inventory: engine.InventoryStatus{ReadAt: now.Add(-time.Minute), Problems: 3}}, Other: "somebody", Unwritten: 4},
		Site:   "osl1", Leading: true, Connected: true, Behind: 5, LastDocument: now.Add(-time.Second), LastStep: now, DroppedEvents: 6,
		Findings: []reconcile.Finding{
			finding("nic.vlan", "high", "open", "libvirt", 1), finding("nic.vlan", "high", "open", "libvirt", 9), finding("nic.vlan", "high", "resolved", "libvirt", 99),
			finding("inventory.invalid", "medium", "pending", "", 1),
		},
		Health: &evaluate.Health{
			Whole: evaluate.Fleet{Hosts: map[evaluate.HostState]int{evaluate.HostLive: 7, evaluate.HostSilent: 1}, Versions: map[string]int{"v1.0.0": 8}, VMs: 20, Agreeing: 18},
			Hosts: []evaluate.HostHealth{{Skew: -9 * time.Second}, {Skew: 4 * time.Second}},
		},
	}
	v.Findings[1].Acknowledged = &reconcile.Acknowledgement{By: "kari"}
	r := New("osl1", func(time.Time) server.Vitals { return v })
	r.Stepped(3 * time.Millisecond)
	got := scrape(t, r)
	if *update {
		if err := os.WriteFile("testdata/metrics.txt", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if strings.Contains(got, "secret-name") {
		t.Error("a name of a VM is in the metrics")
	}
}

// Before the first step there are no hosts, and what isn't known isn't 0.
func TestMetricsOfAStart(t *testing.T) {
	got := scrape(t, New("osl1", func(time.Time) server.Vitals { return server.Vitals{Site: "osl1"} }))
	if !strings.Contains(got, `avstem_ready{site="osl1"} 0`) || strings.Contains(got, "avstem_hosts") || strings.Contains(got, "last_step_timestamp") {
		t.Errorf("got:\n%s", got)
	}
}

// However many platforms and versions hosts make up, there are so many series.
func TestLabelsAreBounded(t *testing.T) {
	v := server.Vitals{Site: "osl1", Health: &evaluate.Health{Whole: evaluate.Fleet{Versions: map[string]int{}}}}
	for i := range 5000 {
		v.Findings = append(v.Findings, finding("vm.unknown", "medium", "open", fmt.Sprintf("platform-%d\xff", i%2000*(i%3)), 1))
		v.Health.Whole.Versions[fmt.Sprintf("v%d%s", i, strings.Repeat("x", i%100))] = 1
	}
	v.Findings = append(v.Findings, finding("vm.unknown", "medium", "open", "\xff", 1))
	got := scrape(t, New("osl1", func(time.Time) server.Vitals { return v }))
	if n := strings.Count(got, "\navstem_findings{"); n > maxPlatforms+1 {
		t.Errorf("%d series of findings", n)
	}
	if n := strings.Count(got, "\navstem_agents{"); n > maxVersions+1 {
		t.Errorf("%d series of agents", n)
	}
	if !strings.Contains(got, `platform="other"`) || !strings.Contains(got, `version="other"`) {
		t.Error("the rest isn't counted")
	}
}

func TestScrapesShareACount(t *testing.T) {
	asked := 0
	r := New("osl1", func(time.Time) server.Vitals { asked++; return server.Vitals{Site: "osl1"} })
	r.current(now)
	r.current(now.Add(freshFor / 2))
	r.current(now.Add(2 * freshFor))
	r.current(now.Add(-time.Hour)) // the clock was set back
	if asked != 3 {
		t.Errorf("counted %d times", asked)
	}
}
