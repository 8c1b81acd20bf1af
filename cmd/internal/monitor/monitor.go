// Package monitor serves a process's metrics and health to machines: /metrics for
// Prometheus, /healthz for whoever restarts what hangs, /readyz for whoever sends
// work to what is ready.
//
// It exists because the reconciler and the agent do it alike. It listens on loopback
// unless it is told otherwise, answers reads alone, and shows nothing that a person
// would look at. It knows nothing of what is measured: that is registered by the
// caller. A [Monitor] may be registered with before Run and serves many at once.
package monitor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/dataverket/avstem/cmd/internal/buildinfo"
)

// None is the address that stands for no monitor.
const None = "none"

// The default addresses. Prometheus's list of default ports is all given away
// from 9100 on; these two are in none of its ranges.
const (
	DefaultReconciler = "127.0.0.1:19469"
	DefaultAgent      = "127.0.0.1:19470"
)

const (
	// answerWithin bounds one answer, headerWithin the time that asking may take.
	answerWithin = 30 * time.Second
	headerWithin = 5 * time.Second
	// atOnce is how many scrapes are answered at one time.
	atOnce = 4
	// endWithin is how long answers may take that are under way at the end.
	endWithin = time.Second
)

// Monitor is where a process is watched from. Its zero value is none.
type Monitor struct {
	listener net.Listener
	registry *prometheus.Registry
	log      *slog.Logger
}

// Open listens at an address. Of one that nobody asked for (a default), that it is
// taken is logged and no error: several may run on one machine.
func Open(address string, asked bool, log *slog.Logger) (*Monitor, error) {
	m := &Monitor{registry: prometheus.NewRegistry(), log: log}
	m.registry.MustRegister(buildInfo())
	if address == None {
		return m, nil
	}
	listener, err := net.Listen("tcp", address)
	switch {
	case err == nil:
		m.listener = listener
		log.Info("metrics are served", "address", listener.Addr().String())
	case !asked && errors.Is(err, syscall.EADDRINUSE):
		log.Warn("there are no metrics, as another process has their address: choose one with --metrics", "address", address)
	default:
		return nil, fmt.Errorf("listen for metrics at %s (--metrics): %w", address, err)
	}
	return m, nil
}

// CheckAddress refuses what is no address to listen at.
func CheckAddress(address string) error {
	if address == None {
		return nil
	}
	if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
		return fmt.Errorf("want HOST:PORT or none, not %q", address)
	}
	return nil
}

// buildInfo is always 1: what matters is in its labels.
func buildInfo() prometheus.Collector {
	b := buildinfo.Read()
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "avstem_build_info", Help: "Which build of avstem this is; always 1.",
		ConstLabels: prometheus.Labels{"version": b.Version, "revision": b.Revision, "goversion": runtime.Version()},
	})
	g.Set(1)
	return g
}

// Register adds what is measured. It panics where two measure one thing, which is a
// mistake in the program.
func (m *Monitor) Register(collectors ...prometheus.Collector) {
	m.registry.MustRegister(collectors...)
}

// Address is where it listens, "" where it doesn't.
func (m *Monitor) Address() string {
	if m.listener == nil {
		return ""
	}
	return m.listener.Addr().String()
}

// Close stops listening; it is for who doesn't come to Run.
func (m *Monitor) Close() {
	if m.listener != nil {
		_ = m.listener.Close() // Run has closed it already, or nobody asks any more
	}
}

// Run answers until ctx ends. Ready says why the process is not ready, "" if it is.
func (m *Monitor) Run(ctx context.Context, ready func() string) error {
	if m.listener == nil {
		<-ctx.Done()
		return nil
	}
	server := &http.Server{
		Handler: m.handler(ready), ReadHeaderTimeout: headerWithin, ReadTimeout: headerWithin,
		WriteTimeout: answerWithin, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(m.log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(m.listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve metrics: %w", err)
	case <-ctx.Done():
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer cancel()
	if err := server.Shutdown(within); err != nil {
		_ = server.Close() // whoever asks slowly is cut off
	}
	<-ended
	return nil
}

func (m *Monitor) handler(ready func() string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: atOnce, Timeout: answerWithin, ErrorHandling: promhttp.ContinueOnError,
		ErrorLog: slog.NewLogLogger(m.log.Handler(), slog.LevelWarn),
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if why := ready(); why != "" {
			say(w, http.StatusServiceUnavailable, why)
			return
		}
		say(w, http.StatusOK, "ok")
	})
	return mux
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, strings.ReplaceAll(text, "\n", " ")+"\n")
}
