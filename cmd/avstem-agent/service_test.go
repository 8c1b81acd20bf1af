package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dataverket/avstem/bus/embedded"
)

// manager is systemd, as far as a service knows of it.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
	said []string
}

func newManager(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return &manager{t: t, conn: conn}
}

// await waits until the service says a line that begins so, and returns it.
func (m *manager) await(begins string) string {
	m.t.Helper()
	if err := m.conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		m.t.Fatal(err)
	}
	for buffer := make([]byte, 4096); ; {
		n, err := m.conn.Read(buffer)
		if err != nil {
			m.t.Fatalf("it never said %q; it said:\n%s", begins, strings.Join(m.said, "\n"))
		}
		for line := range strings.SplitSeq(string(buffer[:n]), "\n") {
			m.said = append(m.said, line)
			if strings.HasPrefix(line, begins) {
				return line
			}
		}
	}
}

// An agent that is a service tells its manager when it is ready, how it does, and
// that it stops; on SIGHUP it takes what it can of its configuration, and keeps
// what it had of one that is wrong.
func TestServiceTellsItsManagerAndReloads(t *testing.T) {
	dir := t.TempDir()
	if err := writeHost(filepath.Join(dir, "host")); err != nil {
		t.Fatal(err)
	}
	server, err := embedded.Start(t.Context(), embedded.Options{StateDir: filepath.Join(dir, "nats"), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	conn, err := server.Connect("test")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "agent.yaml")
	configure := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	token := "token-file: " + filepath.Join(dir, "nats", embedded.TokenName) + "\n"
	configure("server: nats://user:of-nobody@127.0.0.1:1\n" + token)
	m := newManager(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stdout, stderr syncBuffer
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"run", "--interval", "100ms"}, nil, &stdout, &stderr, environment(dir, "AVSTEM_CONFIG="+file))
	}()

	m.await("READY=1")
	if got := m.await("STATUS=0 VMs,"); !strings.HasSuffix(got, "not connected to NATS") {
		t.Errorf("without a server it says %q", got)
	}
	m.await("WATCHDOG=1")
	reload := func() {
		t.Helper()
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		m.await("RELOADING=1")
		m.await("READY=1")
	}

	configure("sevrer: " + server.URL() + "\n" + token)
	reload()
	if got := m.await("STATUS="); !strings.Contains(got, "the configuration was not taken: "+file+":1: sevrer: there is no such key") {
		t.Errorf("after a wrong file it says %q", got)
	}
	configure("server: " + server.URL() + "\nsite: osl1\nlog-level: debug\n" + token)
	reload()
	for !strings.Contains(m.await("STATUS="), ", published ") {
	}
	cancel()
	m.await("STOPPING=1")
	if got := <-code; got != exitOK {
		t.Errorf("it exits %d", got)
	}
	log := stderr.String()
	for _, want := range []string{"configuration is not taken: the one before stays", `taken="[log-level server]" waitForRestart=[site]`, "level=DEBUG"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log doesn't say %q:\n%s", want, log)
		}
	}
	secret, err := os.ReadFile(filepath.Join(dir, "nats", embedded.TokenName))
	if err != nil {
		t.Fatal(err)
	}
	for _, never := range []string{"of-nobody", strings.TrimSpace(string(secret))} {
		if strings.Contains(log+strings.Join(m.said, "\n"), never) {
			t.Errorf("it says a secret, %q:\n%s", never, log)
		}
	}
	quiet(t, log)
}

// quiet holds that nothing but what a person may want to know is in the log.
func quiet(t *testing.T, log string) {
	t.Helper()
	lines := 0
	for line := range strings.Lines(log) {
		if !strings.Contains(line, "level=DEBUG") {
			lines++
		}
	}
	if lines > 20 {
		t.Errorf("the log has %d lines:\n%s", lines, log)
	}
}
