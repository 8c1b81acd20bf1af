package main

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Whatever is interrupted while it waits for a server that never answers ends at once,
// says so, and leaves nothing behind.
func TestInterrupted(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	came := make(chan net.Conn, 100)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			came <- conn
		}
	}()
	server, https := "nats://"+listener.Addr().String(), "https://"+listener.Addr().String()
	inventory := "testdata/fleet/inventory"
	for name, args := range map[string][]string{
		"drift":          {"drift", "--server", server},
		"drift --at":     {"drift", "--at", "90m", "--server", server},
		"explain":        {"explain", "web-01", "--server", server},
		"history":        {"history", "web-01", "--server", server},
		"blame":          {"blame", "web-01", "memory", "--server", server},
		"replay":         {"replay", "--policy", "../../docs/examples/policy.yaml", "--server", server},
		"bundle":         {"bundle", "web-01", "-f", "DIR/web-01.zip", "--server", server},
		"report":         {"report", "-o", "DIR/drift.html", "--server", server},
		"platforms":      {"platforms", "--server", server},
		"evaluate":       {"evaluate", "--server", server},
		"ack":            {"ack", "f-1", "--until", "8h", "--reason", "r", "--by", "kari", "--server", server},
		"doctor":         {"doctor", "--server", server},
		"push":           {"sentral", "push", "--inventory", inventory, "--kv", "b", "--server", server},
		"push of HTTP":   {"sentral", "push", "--inventory", https, "--kv", "b", "--server", server},
		"adopt":          {"sentral", "adopt", "--all", "--inventory", "DIR", "--write", "--server", server},
		"serve of HTTP":  {"sentral", "serve", "--inventory", https, "--listen", "127.0.0.1:0"},
		"diff with HTTP": {"diff", "--intended", https, "--observed", "testdata/fleet/hv-osl1-01.json"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if name == "adopt" {
				if err := os.WriteFile(dir+"/sites.yaml", []byte("sites: [{id: osl1}]\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			before := inDir(t, dir)
			for i := range args {
				args[i] = strings.Replace(args[i], "DIR", dir, 1)
			}
			var out bytes.Buffer
			c := exec.CommandContext(t.Context(), os.Args[0], args...)
			c.Args[0] = "avstem" // which this test is, by that name
			c.Env = []string{"HOME=" + dir, "AVSTEM_CONFIG=none", "AVSTEM_STATE_DIR=" + dir + "/state", "TMPDIR=" + dir}
			c.Stdout, c.Stderr = &out, &out
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			select {
			case conn := <-came:
				defer conn.Close()
			case <-time.After(30 * time.Second):
				_ = c.Process.Kill()
				_ = c.Wait() // and with it what it says is whole
				t.Fatalf("it doesn't connect, and says\n%s", out.String())
			}
			began := time.Now()
			if err := c.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			err := c.Wait()
			if exit, is := errors.AsType[*exec.ExitError](err); !is || exit.ExitCode() != 130 || !strings.Contains(out.String(), "interrupted") || strings.Contains(out.String(), "goroutine") {
				t.Errorf("it ends by %v and says\n%s", err, out.String())
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("it ends after %s", took)
			}
			if after := inDir(t, dir); after != before {
				t.Errorf("it leaves %s, where %s was", after, before)
			}
		})
	}
}

// inDir lists what is in a directory.
func inDir(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}
