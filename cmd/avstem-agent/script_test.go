package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/bus/embedded"
	"github.com/dataverket/avstem/cmd/internal/hostagent"
	"github.com/dataverket/avstem/inventory"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"avstem-agent": main})
}

// The scripts run the whole program, one behaviour each, over a host whose files
// are in the script's directory.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("AVSTEM_STATE_DIR", filepath.Join(env.WorkDir, "state"))
			env.Setenv("AVSTEM_CONFIG", "none")
			env.Setenv("AVSTEM_RUN_LINK", filepath.Join(env.WorkDir, "current"))
			env.Setenv("AVSTEM_ROOT", filepath.Join(env.WorkDir, "host"))
			return writeHost(filepath.Join(env.WorkDir, "host"))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// writeHost writes the files of a made-up host, as procfs and sysfs have them.
func writeHost(root string) error {
	for path, text := range map[string]string{
		"proc/sys/kernel/hostname":           "hv-osl1-01\n",
		"proc/sys/kernel/osrelease":          "6.1.0-28-amd64\n",
		"proc/sys/kernel/random/boot_id":     "5f0e3f5c-0000-4000-8000-000000000001\n",
		"proc/cpuinfo":                       "processor\t: 0\nmodel name\t: Made-up CPU\n",
		"proc/meminfo":                       "MemTotal:       16384000 kB\n",
		"proc/self/mountinfo":                "",
		"etc/machine-id":                     "0123456789abcdef0123456789abcdef\n",
		"etc/os-release":                     "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
		"sys/class/dmi/id/sys_vendor":        "Acme Corp\n",
		"sys/class/dmi/id/product_name":      "Metal 9000\x1b[31m\n",
		"sys/class/dmi/id/product_serial":    "ABC123\n",
		"sys/class/dmi/id/board_serial":      "BRD77\n",
		"sys/class/dmi/id/product_uuid":      "4c4c4544-0031-3510-8032-b2c04f595331\n",
		"sys/devices/system/cpu/online":      "0-3\n",
		"sys/class/net/.keep":                "",
		"sys/block/.keep":                    "",
		"sys/class/block/.keep":              "",
		"sys/class/dmi/id/chassis_serial":    "CH1\n",
		"sys/class/dmi/id/chassis_asset_tag": "TAG1\n",
	} {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, dir := range []string{"sys/class/net", "sys/block", "sys/class/block"} {
		if err := os.Remove(filepath.Join(root, dir, ".keep")); err != nil {
			return err
		}
	}
	return nil
}

// exits runs the program and holds its exit status against the first argument.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if neg || err != nil {
		ts.Fatalf("usage: exits STATUS ARG…")
	}
	err = ts.Exec("avstem-agent", args[1:]...)
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if code != want {
		ts.Fatalf("exit status is %d, want %d", code, want)
	}
}

// syncBuffer may be written by a running program and read by the test.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// environment is that of a user whose state is in dir.
func environment(dir string, more ...string) func(string) string {
	values := map[string]string{"HOME": dir, "AVSTEM_CONFIG": "none", "AVSTEM_STATE_DIR": filepath.Join(dir, "state"), "AVSTEM_RUN_LINK": filepath.Join(dir, "current"),
		"AVSTEM_ROOT": filepath.Join(dir, "host")}
	for _, m := range more {
		name, value, _ := strings.Cut(m, "=")
		values[name] = value
	}
	return func(name string) string { return values[name] }
}

// The agent is started before there is a server, finds the one that then runs on
// its state directory, and publishes every source.
func TestRunPublishesEverySource(t *testing.T) {
	dir := t.TempDir()
	if err := writeHost(filepath.Join(dir, "host")); err != nil {
		t.Fatal(err)
	}
	env := environment(dir, "AVSTEM_INTERVAL=50ms", "AVSTEM_SITE=osl1", "AVSTEM_LOG_LEVEL=debug")
	ctx, cancel := context.WithCancel(t.Context())
	var stdout, stderr syncBuffer
	code := make(chan int, 1)
	go func() { code <- run(ctx, []string{"run"}, nil, &stdout, &stderr, env) }()
	defer cancel()

	server, err := embedded.Start(t.Context(), embedded.Options{StateDir: filepath.Join(dir, "state")})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	conn, err := server.Connect("test")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	seen := make(chan *inventory.Observation, 100)
	beats := make(chan bus.Heartbeat, 100)
	if _, err := conn.Heartbeats(bus.HeartbeatHandler{Beat: func(h bus.Heartbeat) { beats <- h },
		Refused: func(_ string, err error) { t.Error(err) }}); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = conn.Observations(ctx, bus.ObservationHandler{Ready: func() {}, Refused: func(_ string, err error) { t.Error(err) },
			Observation: func(o *inventory.Observation) { seen <- o }})
	}()
	sources := map[string]*inventory.Observation{}
	for timeout := time.After(30 * time.Second); len(sources) < 4 || sources["identity"] == nil; {
		select {
		case o := <-seen:
			sources[o.Source] = o
		case <-timeout:
			t.Fatalf("only %d sources came; the log:\n%s", len(sources), stderr.String())
		}
	}
	if o := sources["identity"]; o.Identity == nil || o.Identity.Serial != "ABC123" || o.Site != "osl1" || o.Epoch != 1 ||
		o.BootID != "5f0e3f5c-0000-4000-8000-000000000001" || o.Host.Version() != 4 {
		t.Errorf("identity is %+v", o)
	}
	if h := <-beats; h.Host != sources["identity"].Host {
		t.Errorf("heartbeat is %+v", h)
	}

	// A second agent on the state directory is refused while the first runs.
	var complaint syncBuffer
	if got := run(ctx, []string{"run"}, nil, &stdout, &complaint, env); got != exitError || !strings.Contains(complaint.String(),
		fmt.Sprintf("in use by the agent in process %d", os.Getpid())) {
		t.Errorf("a second agent exits %d and says %s", got, complaint.String())
	}
	cancel()
	if got := <-code; got != exitOK {
		t.Errorf("it exits %d; the log:\n%s", got, stderr.String())
	}
	if stdout.String() != "" {
		t.Errorf("it wrote %q", stdout.String())
	}

	// The identity that was published is the one that is shown.
	var shown syncBuffer
	if got := run(t.Context(), []string{"identity", "show", "-o", "json"}, nil, &shown, &stderr, env); got != exitOK {
		t.Fatal(stderr.String())
	}
	var id hostIdentity
	if err := json.Unmarshal([]byte(shown.String()), &id); err != nil || id.ID != sources["identity"].Host || id.Provisional || id.Epoch != 1 || id.Clone != "" {
		t.Errorf("shown is %+v, %v", id, err)
	}
}

// Who scrapes a host sees each source, and that nothing is published yet.
func TestRunServesMetrics(t *testing.T) {
	dir := t.TempDir()
	if err := writeHost(filepath.Join(dir, "host")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var stdout, stderr syncBuffer
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"run"}, nil, &stdout, &stderr, environment(dir, "AVSTEM_METRICS=127.0.0.1:0"))
	}()
	defer cancel()
	address := regexp.MustCompile(`msg="metrics are served" address=(\S+)`)
	get := func(path string) (int, string) {
		m := address.FindStringSubmatch(stderr.String())
		if m == nil {
			return 0, ""
		}
		reply, err := http.Get("http://" + m[1] + path)
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
	wanted := regexp.MustCompile(`avstem_agent_passes_total{outcome="(complete|partial)",source="identity"} 1\n`)
	text := ""
	for deadline := time.Now().Add(30 * time.Second); !wanted.MatchString(text); time.Sleep(20 * time.Millisecond) {
		if _, text = get("/metrics"); time.Now().After(deadline) {
			t.Fatalf("no %s in:\n%s\n%s", wanted, text, stderr.String())
		}
	}
	for _, want := range []string{"avstem_agent_nats_connected 0", "avstem_agent_withholding 0", "avstem_build_info{", "process_resident_memory_bytes", "avstem_agent_oldest_unsent_timestamp_seconds"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in:\n%s", want, text)
		}
	}
	if status, why := get("/readyz"); status != 503 || why != "not connected to NATS\n" {
		t.Errorf("/readyz: %d %s", status, why)
	}
	if status, _ := get("/healthz"); status != 200 {
		t.Errorf("/healthz: %d", status)
	}
	cancel()
	if got := <-code; got != exitOK {
		t.Errorf("it exits %d; the log:\n%s", got, stderr.String())
	}
}

// What collect prints is what is published, and the same state has the same
// digest in each pass.
func TestCollectAsJSONIsADocument(t *testing.T) {
	dir := t.TempDir()
	if err := writeHost(filepath.Join(dir, "host")); err != nil {
		t.Fatal(err)
	}
	pass := func() []inventory.Observation {
		var stdout, stderr syncBuffer
		if got := run(t.Context(), []string{"collect", "-o", "json"}, nil, &stdout, &stderr, environment(dir)); got != exitOK {
			t.Fatalf("it exits %d: %s", got, stderr.String())
		}
		var docs []inventory.Observation
		if err := json.Unmarshal([]byte(stdout.String()), &docs); err != nil {
			t.Fatal(err)
		}
		return docs
	}
	first, second := pass(), pass()
	if len(first) != len(hostagent.Sources()) {
		t.Fatalf("there are %d documents", len(first))
	}
	for i := range first {
		if err := inventory.CheckSchema(first[i].Schema); err != nil || first[i].Digest != second[i].Digest || first[i].Host.Version() != 5 {
			t.Errorf("%s: %v, digests %s and %s, host %s", first[i].Source, err, first[i].Digest, second[i].Digest, first[i].Host)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("it wrote something: %v, %v", entries, err)
	}
}
