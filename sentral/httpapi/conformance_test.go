package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/sourcetest"
)

// short are limits that nobody waits for long, and that a busy machine keeps.
var short = limits{
	dial: 10 * time.Second, answer: 1500 * time.Millisecond, page: 3 * time.Second, whole: time.Minute,
	poll: 50 * time.Millisecond, retry: 50 * time.Millisecond, silent: time.Second, again: 20 * time.Millisecond,
	pages: 4 * inventory.MiB, total: 8 * inventory.MiB, changed: 3,
}

// front stands before a server, at one address, and can be anything.
type front struct {
	t       *testing.T
	address string
	good    http.Handler
	handler atomic.Pointer[http.Handler]
	server  *http.Server
	close   func() error // of the listener
}

func newFront(t *testing.T, good http.Handler) *front {
	f := &front{t: t, address: "127.0.0.1:0", good: good}
	f.mend()
	t.Cleanup(f.down)
	return f
}

func (f *front) URL() string { return "http://" + f.address }

func (f *front) mend() {
	f.handler.Store(&f.good)
	if f.server != nil {
		return
	}
	listener, err := net.Listen("tcp", f.address)
	if err != nil {
		f.t.Fatal(err)
	}
	f.address = listener.Addr().String()
	f.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*f.handler.Load()).ServeHTTP(w, r) })}
	server := f.server
	f.close = listener.Close
	go func() { _ = server.Serve(listener) }()
}

func (f *front) down() {
	if f.server != nil {
		_, _ = f.close(), f.server.Close()
		f.server = nil
	}
}

// become makes the front another server for the inventory; events end.
func (f *front) become(handle http.HandlerFunc) func(*testing.T) {
	return func(*testing.T) {
		var handler http.Handler = handle
		f.handler.Store(&handler)
	}
}

// spoil lets the good server answer and changes what it says.
func (f *front) spoil(change func(p *page)) func(*testing.T) {
	return f.become(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != inventoryPath {
			http.NotFound(w, r)
			return
		}
		r.Header.Del("If-None-Match")
		r.URL.RawQuery = ""
		recorder := httptest.NewRecorder()
		f.good.ServeHTTP(recorder, r)
		var p page
		if err := json.Unmarshal(recorder.Body.Bytes(), &p); err != nil {
			f.t.Error(err)
		}
		change(&p)
		writeJSON(w, http.StatusOK, p)
	})
}

func (f *front) wrecks() []sourcetest.Wreck {
	n := 0
	return []sourcetest.Wreck{
		{Name: "down", Do: func(*testing.T) { f.down() }, Says: "connection refused: is the server running"},
		{Name: "token refused", Do: f.become(func(w http.ResponseWriter, _ *http.Request) { fail(w, 401, "who are you?") }), Says: "401 Unauthorized: who are you? (give a token"},
		{Name: "forbidden", Do: f.become(func(w http.ResponseWriter, _ *http.Request) { fail(w, 403, "not yours") }), Says: "may not read"},
		{Name: "another address", Do: f.become(http.NotFound), Says: "is this the address of Sentral's API?"},
		{Name: "login page", Do: f.become(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>log in</html>") }), Says: "and no JSON"},
		{Name: "redirect", Do: f.become(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://sso.example.net/", http.StatusFound)
		}), Says: "it sends on to https://sso.example.net/"},
		{Name: "overloaded", Do: f.become(func(w http.ResponseWriter, _ *http.Request) { fail(w, 503, "later") }), Says: "503 Service Unavailable: later"},
		{Name: "silent", Do: f.become(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), Says: "no answer began in time"},
		{Name: "slow", Do: f.become(drip), Says: "a page did not come within"},
		{Name: "half an answer", Do: f.become(func(w http.ResponseWriter, r *http.Request) { f.half(w, r, true) }), Says: "the answer broke off: unexpected EOF"},
		{Name: "half an answer that looks whole", Do: f.become(func(w http.ResponseWriter, r *http.Request) { f.half(w, r, false) }), Says: "or half of one"},
		{Name: "records lost", Do: f.spoil(func(p *page) { p.Inventory = []byte(`{}`) }), Says: "a part of them is missing"},
		{Name: "too many records", Do: f.spoil(func(p *page) { *p.Total-- }), Says: "it announced"},
		{Name: "always changing", Do: f.spoil(func(p *page) {
			n++
			p.Version, p.Next = fmt.Sprint(n), p.Next+"x"
		}), Says: "it changed 3 times while its pages were read"},
		{Name: "pages in a circle", Do: f.become(func(w http.ResponseWriter, r *http.Request) {
			writeJSON(w, 200, page{Schema: Schema, Version: "1", Total: new(10_000), Next: "again", Inventory: []byte(`{"sites": [{"id": "a"}]}`)})
		}), Says: "its pages go round in a circle"},
		{Name: "another schema", Do: f.spoil(func(p *page) { p.Schema = "avstem.sentral/v2" }), Says: `the schema "avstem.sentral/v2", and this avstem knows "avstem.sentral/v1"`},
		{Name: "not a page", Do: f.become(func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, 200, map[string]any{"schema": Schema}) }), Says: "lacks version, total or inventory"},
		{Name: "enormous", Do: f.become(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for block := bytes.Repeat([]byte(" "), 1<<20); ; {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}), Says: "the answer is larger than 4 MiB"},
		{Name: "enormous in pages", Do: f.become(endless), Says: "all pages together are larger than 8 MiB"},
	}
}

func drip(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	for r.Context().Err() == nil {
		_, _ = w.Write([]byte(" "))
		_ = http.NewResponseController(w).Flush()
		time.Sleep(20 * time.Millisecond)
	}
}

// endless gives page after page of one version.
func endless(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, 200, page{
		Schema: Schema, Version: "1", Total: new(10_000), Next: r.URL.Query().Get("page") + "x",
		Inventory: []byte(`{"sites": [{"id": "a", "name": "` + strings.Repeat("x", 1<<20) + `"}]}`),
	})
}

// half sends the first half of an answer, and what is to follow it or not.
func (f *front) half(w http.ResponseWriter, r *http.Request, announced bool) {
	r.Header.Del("If-None-Match")
	recorder := httptest.NewRecorder()
	f.good.ServeHTTP(recorder, r)
	body := recorder.Body.Bytes()
	w.Header().Set("Content-Type", "application/json")
	if announced {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	}
	_, _ = w.Write(body[:len(body)/2])
}

func (f *front) open(t *testing.T) sentral.Source {
	c, err := NewClient(ClientOptions{URL: f.URL()})
	if err != nil {
		t.Fatal(err)
	}
	c.limits = short
	c.dial(nil)
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

// TestConformance reads from the reference server.
func TestConformance(t *testing.T) {
	sourcetest.Run(t, func(t *testing.T) *sourcetest.Backend {
		server := NewServer(Options{})
		f := newFront(t, server)
		n := 0
		return &sourcetest.Backend{
			Open: f.open, Wrecks: f.wrecks(),
			Load: func(t *testing.T, records sourcetest.Records) {
				inv := records.Inventory(t)
				n++
				inv.Version, inv.ReadAt = string(records.JSON(t)), time.Now()
				server.Set(inv)
				f.mend()
			},
		}
	})
}

// TestConformanceWithUncheckedRecords reads from a server that hands on whatever
// it has, bad records too, in one page and without events.
func TestConformanceWithUncheckedRecords(t *testing.T) {
	sourcetest.Run(t, func(t *testing.T) *sourcetest.Backend {
		var held atomic.Pointer[page]
		f := newFront(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != inventoryPath {
				http.NotFound(w, r)
				return
			}
			writeJSON(w, 200, held.Load())
		}))
		return &sourcetest.Backend{
			Open: f.open,
			Load: func(t *testing.T, records sourcetest.Records) {
				text, total := records.JSON(t), 0
				for _, list := range records {
					total += len(list)
				}
				held.Store(&page{Schema: Schema, Version: string(text), Total: &total, Inventory: text})
				f.mend()
			},
		}
	})
}

// TestChangeWhilePaging: pages of two versions are never put together.
func TestChangeWhilePaging(t *testing.T) {
	server := NewServer(Options{})
	load := func(records sourcetest.Records, version string) {
		inv := records.Inventory(t)
		inv.Version, inv.ReadAt = version, time.Now()
		server.Set(inv)
	}
	one, two := sourcetest.Everything(t), sourcetest.Everything(t)
	two["vms"] = two["vms"][:1]
	load(one, "1")
	asked := 0
	f := newFront(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		r.URL.RawQuery += "&limit=3"
		server.ServeHTTP(w, r)
		if asked == 2 {
			load(two, "2")
		}
	}))
	inv, err := f.open(t).Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(inv.VMs) != 1 || len(inv.Hosts) != 1 || len(inv.Problems) > 0 {
		t.Errorf("%d VMs, %d hosts, problems %v: want the second version, whole", len(inv.VMs), len(inv.Hosts), inv.Problems)
	}
}

// TestNothingIsSentTwice: an unchanged inventory costs one empty answer.
func TestNothingIsSentTwice(t *testing.T) {
	server := NewServer(Options{})
	inv := sourcetest.Everything(t).Inventory(t)
	inv.Version, inv.ReadAt = "1", time.Now()
	server.Set(inv)
	statuses := map[int]int{}
	f := newFront(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorder := httptest.NewRecorder()
		server.ServeHTTP(recorder, r)
		statuses[recorder.Code]++
		for key, values := range recorder.Header() {
			w.Header()[key] = values
		}
		w.WriteHeader(recorder.Code)
		_, _ = io.Copy(w, recorder.Body)
	}))
	s := f.open(t)
	for range 3 {
		if _, err := s.Read(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if statuses[200] != 1 || statuses[304] != 2 {
		t.Errorf("answers by status: %v, want one 200 and two 304", statuses)
	}
}

// TestEventsTell has a poll that comes too late to find anything.
func TestEventsTell(t *testing.T) {
	server := NewServer(Options{})
	f := newFront(t, server)
	records := sourcetest.Everything(t)
	load := func(version string) {
		inv := records.Inventory(t)
		inv.Version, inv.ReadAt = version, time.Now()
		server.Set(inv)
	}
	load("1")
	s := f.open(t).(*Client)
	s.limits.poll = time.Hour
	ctx, cancel := context.WithCancel(context.Background())
	told, ended := make(chan *sentral.Inventory, 10), make(chan struct{})
	go func() {
		defer close(ended)
		s.Watch(ctx, func(inv *sentral.Inventory) { told <- inv })
	}()
	defer func() { cancel(); <-ended }()
	<-told
	for n := len(records["vms"]) - 1; n > 0; n-- {
		records["vms"] = records["vms"][:n]
		load(fmt.Sprint("less ", n))
		select {
		case inv := <-told:
			if len(inv.VMs) != n {
				t.Errorf("told of %d VMs, want %d", len(inv.VMs), n)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no event told of a change")
		}
	}
}

// TestEndOfEventsTells: that a server goes and comes again is seen without a poll.
func TestEndOfEventsTells(t *testing.T) {
	server := NewServer(Options{})
	f := newFront(t, server)
	inv := sourcetest.Everything(t).Inventory(t)
	inv.Version, inv.ReadAt = "1", time.Now()
	server.Set(inv)
	s := f.open(t).(*Client)
	s.limits.poll = time.Hour
	ctx, cancel := context.WithCancel(context.Background())
	told, ended := make(chan *sentral.Inventory, 10), make(chan struct{})
	go func() {
		defer close(ended)
		s.Watch(ctx, func(inv *sentral.Inventory) { told <- inv })
	}()
	defer func() { cancel(); <-ended }()
	await := func(what string, stale bool) {
		t.Helper()
		select {
		case inv := <-told:
			if (inv.Stale != "") != stale {
				t.Errorf("%s: told of an inventory that is stale: %q", what, inv.Stale)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("nothing told that %s", what)
		}
	}
	await("there is one", false)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		server.mu.Lock()
		n := len(server.listeners)
		server.mu.Unlock()
		if n > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody listens to events")
		}
	}
	f.down()
	await("it is gone", true)
	f.mend()
	await("it is back", false)
}

// TestStaleServer: a server that can't read its own source says so, and the
// client hands that on, with the age of what it has.
func TestStaleServer(t *testing.T) {
	server := NewServer(Options{})
	f := newFront(t, server)
	kept := sentral.NewKeeper("/srv/inventory", server.Set)
	inv := sourcetest.Everything(t).Inventory(t)
	inv.Version, inv.ReadAt = "1", time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	kept.Take(inv, nil)
	s := f.open(t)
	if got, err := s.Read(context.Background()); err != nil || got.Stale != "" {
		t.Fatalf("before: %v, %v", got, err)
	}
	kept.Take(nil, errors.New("read inventory: /srv/inventory is not there"))
	got, err := s.Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if got.Stale != "read inventory: /srv/inventory is not there" || !got.ReadAt.Equal(inv.ReadAt) || !got.Incomplete || len(got.VMs) != len(inv.VMs) || len(got.Problems) != 1 {
		t.Errorf("stale %q, read at %v, incomplete %v, %d VMs, problems %v", got.Stale, got.ReadAt, got.Incomplete, len(got.VMs), got.Problems)
	}
	kept.Take(inv, nil)
	if got, err := s.Read(context.Background()); err != nil || got.Stale != "" || got.Incomplete || len(got.Problems) != 0 {
		t.Errorf("after: %v, %v", got, err)
	}
}
