package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"go.yaml.in/yaml/v3"
)

const (
	rulesFile     = "../../packaging/prometheus/avstem.rules.yaml"
	dashboardFile = "../../packaging/grafana/avstem.json"
	metricsPage   = "../../docs/metrics.md"
)

// scraped is what a running avstem up answers to a scrape, with its agent's own, and
// where it does.
func scraped(t *testing.T) (text, base string) {
	t.Helper()
	p := newPlace(t)
	r := p.up("--metrics", "127.0.0.1:0")
	r.stdout.await(t, "/metrics")
	base = regexp.MustCompile(`http://[0-9.:]+`).FindString(r.stdout.String())
	read := func(path string) string {
		reply, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		defer reply.Body.Close()
		body, err := io.ReadAll(reply.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		text = read("/metrics")
		// web-01 is nowhere, which is high once its grace is over.
		if strings.Contains(text, "avstem_oldest_open_finding_timestamp_seconds{") && strings.Contains(text, "avstem_agent_last_complete_timestamp_seconds{") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not everything is measured:\n%s\n%s", text, r.stderr.String())
		}
	}
	if got := read("/readyz"); got != "ok\n" {
		t.Errorf("/readyz says %q", got)
	}
	return text, base
}

// series are the names and labels that a scrape has.
func series(scrape string) map[string]map[string]bool {
	line, label := regexp.MustCompile(`(?m)^([a-z_]+)(?:\{(.*)\})? [^ ]+$`), regexp.MustCompile(`([a-z_]+)="`)
	all := map[string]map[string]bool{}
	for _, m := range line.FindAllStringSubmatch(scrape, -1) {
		if all[m[1]] == nil {
			all[m[1]] = map[string]bool{}
		}
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			all[m[1]][l[1]] = true
		}
	}
	return all
}

// expressions are those of the dashboard and of the rules, by where they stand.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	read(t, dashboardFile, json.Unmarshal, &dashboard)
	all := map[string]string{}
	for _, p := range dashboard.Panels {
		for i, target := range p.Targets {
			all[fmt.Sprintf("panel %s, %d", p.Title, i)] = target.Expr
		}
	}
	var rules struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	read(t, rulesFile, yaml.Unmarshal, &rules)
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			all["alert "+r.Alert] = r.Expr
		}
	}
	if len(all) < 40 {
		t.Fatalf("%d expressions were found", len(all))
	}
	return all
}

func read(t *testing.T, path string, decode func([]byte, any) error, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = decode(data, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// What a dashboard or an alert names must be what avstem measures, under that name
// and with these labels, and docs/metrics.md must say what it is.
func TestDashboardAndAlertsNameWhatIsMeasured(t *testing.T) {
	scrape, _ := scraped(t)
	if out, err := promtool(t, strings.NewReader(scrape), "check", "metrics"); err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	measured := series(scrape)
	page, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	for name := range measured {
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		if strings.HasPrefix(name, "avstem_") && !bytes.Contains(page, []byte("`"+base+"`")) {
			t.Errorf("docs/metrics.md doesn't say what %s is", base)
		}
	}
	for _, name := range regexp.MustCompile("`(avstem_[a-z_]+)`").FindAllStringSubmatch(string(page), -1) {
		if measured[name[1]] == nil && measured[name[1]+"_bucket"] == nil && !mayBeAbsent[name[1]] {
			t.Errorf("docs/metrics.md speaks of %s, which isn't measured", name[1])
		}
	}
	metric := regexp.MustCompile(`\b((?:avstem|process|go)_[a-z_]+)(?:\{([^}]*)\})?`)
	label := regexp.MustCompile(`([a-z_]+) *(?:=~|!~|!=|=)`)
	for where, expr := range expressions(t) {
		for _, m := range metric.FindAllStringSubmatch(expr, -1) {
			has, known := measured[m[1]]
			if !known && !mayBeAbsent[m[1]] {
				t.Errorf("%s names %s, which isn't measured", where, m[1])
			}
			for _, l := range label.FindAllStringSubmatch(m[2], -1) {
				if known && !has[l[1]] {
					t.Errorf("%s asks for the label %s of %s, which has %v", where, l[1], m[1], has)
				}
			}
		}
	}
}

// mayBeAbsent are the metrics of what doesn't happen in the test.
var mayBeAbsent = map[string]bool{"avstem_agent_oldest_unsent_timestamp_seconds": true}

// promtool is Prometheus's own, of Debian's package (make deps).
func promtool(t *testing.T, stdin io.Reader, args ...string) ([]byte, error) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "promtool", args...)
	c.Stdin = stdin
	return c.CombinedOutput()
}

// The alerts fire when they should, and not before.
func TestAlerts(t *testing.T) {
	for _, args := range [][]string{{"check", "rules", rulesFile}, {"test", "rules", strings.Replace(rulesFile, ".yaml", ".test.yaml", 1)}} {
		if out, err := promtool(t, nil, args...); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	// Every alert has a test.
	tests, err := os.ReadFile(strings.Replace(rulesFile, ".yaml", ".test.yaml", 1))
	if err != nil {
		t.Fatal(err)
	}
	for where := range expressions(t) {
		if alert, is := strings.CutPrefix(where, "alert "); is && !bytes.Contains(tests, []byte("alertname: "+alert+"\n")) && !bytes.Contains(tests, []byte("alertname: "+alert+" #")) {
			t.Errorf("%s is never tested to fire", alert)
		}
	}
}

// Grafana itself is not at hand. Its schema is, of which this is every key and none
// besides, as is what it asks Prometheus, which must be understood.
func TestDashboard(t *testing.T) {
	data, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	plugins.RegisterDefaultPlugins()
	//lint:ignore SA1019 Every Grafana takes this schema; the one after it wants Grafana 12.
	var whole dashboard.Dashboard
	if err := whole.UnmarshalJSONStrict(data); err != nil && err.Error() != "" {
		t.Errorf("against Grafana's schema: %v", err)
	}
	if err := whole.Validate(); err != nil {
		t.Errorf("against Grafana's schema: %v", err)
	}
	var d struct {
		UID, Title    string
		SchemaVersion int
		Templating    struct {
			List []struct{ Name string }
		}
		Panels []struct {
			ID              int
			Type, Title     string
			Datasource      struct{ UID string }
			GridPos         struct{ X, Y, W, H int }
			Targets         []struct{ Expr, RefID string }
			Transformations any
		}
	}
	read(t, dashboardFile, json.Unmarshal, &d)
	if d.UID != "avstem" || d.SchemaVersion == 0 || len(d.Templating.List) != 3 {
		t.Errorf("got %+v", d)
	}
	type rule struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var rules []rule
	ids, cells := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the ID %d", p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s lies on %s, or beside the page", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 || p.Datasource.UID != "${datasource}" {
			t.Errorf("%s asks nothing, or another source: %+v", p.Title, p)
		}
		var refs []string
		for _, target := range p.Targets {
			if slices.Contains(refs, target.RefID) {
				t.Errorf("%s has two questions %s", p.Title, target.RefID)
			}
			refs = append(refs, target.RefID)
			rules = append(rules, rule{fmt.Sprintf("panel:%d:%s", p.ID, target.RefID), asGrafana(target.Expr, "5m")})
		}
	}
	data, err = yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "panels", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "panels.yaml")
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := promtool(t, nil, "check", "rules", file); err != nil {
		t.Errorf("promtool check rules: %v\n%s", err, out)
	}
}

// asGrafana puts in what Grafana does for its variables.
func asGrafana(expr, rate string) string {
	return strings.NewReplacer("$__rate_interval", rate, "$site", ".*", "$platform", ".*").Replace(expr)
}

// startPrometheus has Debian's scrape an address each second, and gives its API.
func startPrometheus(t *testing.T, scraped string) string {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: avstem\n  static_configs: [{targets: [%q]}]\n", strings.TrimPrefix(scraped, "http://"))
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	var log output
	c := exec.CommandContext(t.Context(), "prometheus", "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	c.Stdout, c.Stderr = &log, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		if t.Failed() {
			t.Logf("prometheus:\n%s", log.String())
		}
	})
	return "http://" + address
}

// numbersOf counts the series that Prometheus has for an expression and that have a
// number now.
func numbersOf(t *testing.T, api, expr string) (numbers int) {
	t.Helper()
	reply, err := http.Get(api + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return 0 // it is about to start
	}
	defer reply.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.NewDecoder(reply.Body).Decode(&answer); err != nil {
		return 0
	}
	if answer.Status != "success" {
		t.Fatalf("%s: %s", expr, answer.Error)
	}
	for _, r := range answer.Data.Result {
		if text, is := r.Value[1].(string); is && text != "NaN" {
			numbers++
		}
	}
	return numbers
}

// Each panel has something to show, from a Prometheus that scrapes an avstem that
// found something.
func TestEveryPanelHasData(t *testing.T) {
	t.Parallel()
	_, base := scraped(t)
	api := startPrometheus(t, base)
	left := map[string]string{}
	for where, expr := range expressions(t) {
		if panel, is := strings.CutPrefix(where, "panel "); is && !quiet[panel] {
			left[panel] = asGrafana(expr, "15s")
		}
	}
	for _, variable := range []string{"avstem_ready", "avstem_findings"} { // that the variables list
		left[variable] = variable
	}
	for deadline := time.Now().Add(90 * time.Second); len(left) > 0; time.Sleep(200 * time.Millisecond) {
		for panel, expr := range left {
			if numbersOf(t, api, expr) > 0 {
				delete(left, panel)
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("of these panels Prometheus has nothing: %v", slices.Sorted(maps.Keys(left)))
		}
	}
}

// quiet are the panels' questions that have no answer while nothing is wrong.
var quiet = map[string]bool{
	"Not published, 1":                    true, // how old the oldest unsent document is
	"Passes that weren't whole, 0":        true,
	"Pending, suppressed and resolved, 0": true,
}
