package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/bus/embedded"
	"github.com/dataverket/avstem/inventory"
)

// site is a NATS server, a reconciler and one host's documents, for commands to
// be run against.
type site struct {
	t         *testing.T
	env       map[string]string
	conn      *bus.Conn
	publisher *bus.Publisher
	documents map[string]*inventory.Observation // by source
	before    string
}

// newSite starts in a directory of its own, where everything agrees about web-01.
func newMismatch(t *testing.T) *site {
	fleet, err := filepath.Abs(filepath.Join("testdata", "fleet"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Chdir(dir)
	text, err := os.ReadFile(filepath.Join(fleet, "inventory", "osl1.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	// The fleet's web-01 has more memory than Sentral says: one mismatch is enough here.
	text = bytes.Replace(text, []byte("memory: 4GiB"), []byte("memory: 8GiB"), 1)
	if err := os.MkdirAll("inventory", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("inventory/osl1.yaml", text, 0o644); err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, documents: map[string]*inventory.Observation{}, env: map[string]string{
		"AVSTEM_STATE_DIR": filepath.Join(dir, "state"), "AVSTEM_RUN_LINK": filepath.Join(dir, "current"), "HOME": dir,
	}}
	server, err := embedded.Start(t.Context(), embedded.Options{StateDir: s.env["AVSTEM_STATE_DIR"]})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	if s.conn, err = bus.Connect(t.Context(), bus.Options{Name: "test", Getenv: s.getenv}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.conn.Close)
	s.serve()
	s.await("not known", "explain", "nobody")
	s.publisher = s.conn.NewPublisher(publishing)
	file, err := os.Open(filepath.Join(fleet, "hv-osl1-01.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	read, err := inventory.DecodeObservations(file, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range read {
		s.documents[o.Source] = o
		s.say(o.Source, func(o *inventory.Observation) { setTag(o, 110) })
	}
	s.await("VM web-01", "explain", "web-01")
	return s
}

func setTag(o *inventory.Observation, vlan inventory.VLAN) {
	if len(o.OVSBridges) > 0 {
		o.OVSBridges[0].Ports[0].Tag = &vlan
	}
}

func (s *site) getenv(name string) string { return s.env[name] }

// serve runs the reconciler until the test ends.
func (s *site) serve() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		run(ctx, []string{"serve", "--inventory", "inventory"}, strings.NewReader(""), new(bytes.Buffer), new(bytes.Buffer), s.getenv)
	})
	s.t.Cleanup(func() { cancel(); running.Wait() })
}

// say has a source of the host publish a changed document, of this moment.
func (s *site) say(source string, change func(*inventory.Observation)) {
	s.t.Helper()
	o := *s.documents[source]
	o.Gen++
	o.ObservedAt = time.Now().UTC().Truncate(time.Second)
	change(&o)
	if err := o.Seal(); err != nil {
		s.t.Fatal(err)
	}
	s.documents[source] = &o
	if err := s.publisher.Publish(s.t.Context(), &o); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) run(args ...string) string {
	var out bytes.Buffer
	run(s.t.Context(), args, strings.NewReader(""), &out, &out, s.getenv)
	return out.String()
}

func (s *site) await(pattern string, args ...string) {
	s.t.Helper()
	want := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		out := s.run(args...)
		if want.MatchString(out) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("avstem %s never wrote %s, last:\n%s", strings.Join(args, " "), pattern, out)
		}
	}
}

// step does what the page's comments say happens between its commands.
func (s *site) step(name string) {
	switch name {
	case "somebody moves the port":
		s.before = time.Now().UTC().Format(time.RFC3339Nano)
		s.say("network", func(o *inventory.Observation) { *o = cloned(s.t, o); setTag(o, 120) })
		s.await("nic.vlan opened", "history", "web-01")
		s.await("nic.vlan", "drift", "--tenant", "acme")
	case "the port is put back":
		s.say("network", func(o *inventory.Observation) { *o = cloned(s.t, o); setTag(o, 110) })
		s.await("nic.vlan resolved", "history", "web-01")
		s.await("network.isolation +resolved", "history", "web-01")
	default:
		s.t.Fatalf("the page has a step %q that isn't known", name)
	}
}

func cloned(t *testing.T, o *inventory.Observation) (c inventory.Observation) {
	text, err := json.Marshal(o)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var (
	stepMark = regexp.MustCompile(`^<!-- step: (.*) -->$`)
	someTime = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
	someAge  = regexp.MustCompile(`\b\d+s\b`)
	openAge  = regexp.MustCompile(`, open( for \d+s)?(, first seen \d+s ago)?`)
	someSize = regexp.MustCompile(`: \d+ bytes`)
)

// steady replaces what differs from run to run.
func steady(text, before string) string {
	text = openAge.ReplaceAllString(text, ", open for 9s")
	text = strings.ReplaceAll(text, before, "BEFORE")
	text = someTime.ReplaceAllString(text, "2026-11-28T03:10:07Z")
	text = someSize.ReplaceAllString(text, ": 19117 bytes")
	return someAge.ReplaceAllString(text, "9s")
}

// TestDebuggingPage runs what docs/debugging.md shows, and holds it to what is
// printed.
func TestDebuggingPage(t *testing.T) {
	name, err := filepath.Abs(filepath.Join("..", "..", "docs", "debugging.md"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	s := newMismatch(t)
	var made []string
	commands := 0
	lines := strings.Split(string(page), "\n")
	for i := 0; i < len(lines); i++ {
		made = append(made, lines[i])
		if m := stepMark.FindStringSubmatch(lines[i]); m != nil {
			s.step(m[1])
		}
		if lines[i] != "```console" {
			continue
		}
		i++
		made = append(made, lines[i])
		args := strings.Fields(strings.TrimPrefix(lines[i], "$ avstem "))
		for j := range args {
			args[j] = strings.ReplaceAll(args[j], "BEFORE", s.before)
		}
		for _, line := range strings.Split(strings.TrimRight(steady(s.run(args...), s.before), "\n"), "\n") {
			made = append(made, strings.TrimRight(line, " "))
		}
		commands++
		for i+1 < len(lines) && lines[i+1] != "```" {
			i++
		}
	}
	if commands < 7 {
		t.Errorf("the page shows %d commands", commands)
	}
	got := strings.Join(made, "\n")
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(page), got); diff != "" && !*update {
		t.Errorf("docs/debugging.md (-page +printed; -update writes it anew):\n%s", diff)
	}
}
