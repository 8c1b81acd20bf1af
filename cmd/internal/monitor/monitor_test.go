package monitor

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var quiet = slog.New(slog.DiscardHandler)

// running is a monitor that answers until the test ends.
func running(t *testing.T, ready func() string) (base string, m *Monitor) {
	t.Helper()
	m, err := Open("127.0.0.1:0", true, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx, ready) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "http://" + m.Address(), m
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	reply, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply.StatusCode, string(body)
}

func TestAnswers(t *testing.T) {
	var waiting atomic.Bool
	base, m := running(t, func() string {
		if waiting.Load() {
			return "the inventory is\nbeing read"
		}
		return ""
	})
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "avstem_test", Help: "A test."})
	m.Register(g)
	g.Set(7)
	for _, want := range []struct {
		path, text string
		status     int
	}{
		{"/metrics", "\navstem_test 7\n", 200}, {"/metrics", "avstem_build_info{", 200}, {"/healthz", "ok\n", 200}, {"/readyz", "ok\n", 200},
		{"/", "", 404}, {"/debug/pprof/", "", 404},
	} {
		if status, body := get(t, base+want.path); status != want.status || !strings.Contains(body, want.text) {
			t.Errorf("%s: %d %s", want.path, status, body)
		}
	}
	waiting.Store(true)
	if status, body := get(t, base+"/readyz"); status != 503 || body != "the inventory is being read\n" {
		t.Errorf("/readyz: %d %q", status, body)
	}
	if status, _ := get(t, base+"/healthz"); status != 200 {
		t.Errorf("/healthz: %d", status)
	}
	reply, err := http.Post(base+"/metrics", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	reply.Body.Close()
	if reply.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a POST: %s", reply.Status)
	}
}

// Somebody who connects and says nothing doesn't hold up the end.
func TestEndsWhileSomebodyAsksSlowly(t *testing.T) {
	m, err := Open("127.0.0.1:0", true, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx, func() string { return "" }) }()
	conn, err := net.Dial("tcp", m.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /metrics HTTP/1.1\r\n"); err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(headerWithin + 5*time.Second):
		t.Fatal("it doesn't end")
	}
}

func TestTakenAddress(t *testing.T) {
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	taken := first.Addr().String()
	if _, err := Open(taken, true, quiet); err == nil || !strings.Contains(err.Error(), "listen for metrics at "+taken+" (--metrics): ") {
		t.Errorf("asked for: got %v", err)
	}
	var log strings.Builder
	m, err := Open(taken, false, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil || m.Address() != "" || !strings.Contains(log.String(), "choose one with --metrics") {
		t.Errorf("by default: got %v, %q\n%s", err, m.Address(), log.String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Run(ctx, nil); err != nil {
		t.Error(err)
	}
	m.Close()
}

func TestCheckAddress(t *testing.T) {
	for _, good := range []string{"none", "127.0.0.1:1", ":9100", "[::1]:9100", "localhost:0"} {
		if err := CheckAddress(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "9100", "localhost", "localhost:", "::1:9100", "http://localhost:9100"} {
		if err := CheckAddress(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
