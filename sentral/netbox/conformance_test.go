package netbox

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/sourcetest"
)

// short are limits that nobody waits for.
var short = limits{
	dial: 10 * time.Second, answer: 1500 * time.Millisecond, page: 3 * time.Second, whole: time.Minute, poll: 50 * time.Millisecond,
	pages: 4 * inventory.MiB, total: 32 * inventory.MiB, limit: 500, changed: 3,
}

func openAt(t *testing.T, url string) *Source {
	t.Helper()
	s, err := New(Options{URL: url, Mapping: testMapping(t)})
	if err != nil {
		t.Fatal(err)
	}
	s.limits = short
	s.dial(nil)
	t.Cleanup(s.http.CloseIdleConnections)
	return s
}

// TestConformance reads what a fake of each generation has: 4.0 with MACs as
// text and disks in GB, 4.2 with MACs as objects and clusters in scopes.
func TestConformance(t *testing.T) {
	for _, version := range []string{"4.0", "4.2"} {
		t.Run(version, func(t *testing.T) {
			sourcetest.Run(t, func(t *testing.T) *sourcetest.Backend {
				f := newFake(t, version)
				server := f.serve(t)
				wreck := func(handle http.HandlerFunc) func(*testing.T) {
					return func(*testing.T) {
						f.mu.Lock()
						defer f.mu.Unlock()
						f.changes++
						f.wreck = handle
					}
				}
				status := func(code int) func(*testing.T) {
					return wreck(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code); fmt.Fprint(w, `{"detail":"no"}`) })
				}
				// spoil changes the pages of a list.
				spoil := func(path string, change func(page map[string]any)) func(*testing.T) {
					return wreck(func(w http.ResponseWriter, r *http.Request) {
						recorder := httptest.NewRecorder()
						f.answer(recorder, r)
						body := recorder.Body.Bytes()
						if strings.Contains(r.URL.Path, path) {
							var page map[string]any
							_ = json.Unmarshal(body, &page)
							change(page)
							body, _ = json.Marshal(page)
						}
						w.Header().Set("Content-Type", "application/json")
						w.Header().Set("API-Version", f.version)
						_, _ = w.Write(body)
					})
				}
				return &sourcetest.Backend{
					Open: func(t *testing.T) sentral.Source { return openAt(t, server.URL) }, Load: func(_ *testing.T, r sourcetest.Records) { f.load(r) }, Carries: carries,
					Wrecks: []sourcetest.Wreck{
						{Name: "token refused", Do: status(401), Says: "401 Unauthorized: no (give a token"},
						{Name: "broken", Do: status(500), Says: "500 Internal Server Error"},
						{Name: "another address", Do: wreck(http.NotFound), Says: "is this the address of NetBox?"},
						{Name: "login page", Do: wreck(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }), Says: "and no JSON"},
						{Name: "silent", Do: wreck(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), Says: "no answer began in time"},
						{Name: "half an answer", Do: wreck(func(w http.ResponseWriter, r *http.Request) {
							recorder := httptest.NewRecorder()
							f.answer(recorder, r)
							w.Header().Set("Content-Type", "application/json")
							w.Header().Set("Content-Length", "100000")
							_, _ = w.Write(recorder.Body.Bytes()[:recorder.Body.Len()/2])
						}), Says: "the answer broke off"},
						{Name: "another NetBox", Do: wreck(func(w http.ResponseWriter, r *http.Request) {
							w.Header().Set("API-Version", "5.0")
							w.Header().Set("Content-Type", "application/json")
							fmt.Fprint(w, `{}`)
						}), Says: "it is NetBox 5.0, and this avstem knows 4"},
						{Name: "no list", Do: spoil("virtual-machines", func(page map[string]any) { delete(page, "results") }), Says: "gives no list"},
						{Name: "records lost", Do: spoil("virtual-machines", func(page map[string]any) { page["results"] = []any{} }), Says: "it changed 3 times while it was read"},
						{Name: "one twice", Do: spoil("interfaces", func(page map[string]any) {
							results := page["results"].([]any)
							page["results"] = append(results[1:], results[len(results)-1])
						}), Says: "it changed 3 times while it was read"},
						{Name: "always changing", Do: func(*testing.T) {
							f.mu.Lock()
							defer f.mu.Unlock()
							f.everyPage = func() { f.changes++ }
						}, Says: "it changed 3 times while it was read"},
						{Name: "of other types", Do: spoil("vlans", func(page map[string]any) { page["results"] = []any{map[string]any{"id": "one"}} }), Says: "can't be read"},
						{Name: "enormous", Do: spoil("tenants", func(page map[string]any) { page["x"] = strings.Repeat("x", 5<<20) }), Says: "is larger than 4 MiB"},
					},
				}
			})
		})
	}
}

// TestTokens: those since 4.5 are bearers.
func TestTokens(t *testing.T) {
	for token, header := range map[string]string{"0123456789abcdef0123456789abcdef01234567": "Token 0123456789abcdef0123456789abcdef01234567", "nbt_abc.def": "Bearer nbt_abc.def"} {
		f := newFake(t, "4.5")
		f.load(sourcetest.Everything(t))
		f.token = header
		s := openAt(t, f.serve(t).URL)
		s.token = func() (string, error) { return token, nil }
		if _, err := s.Read(context.Background()); err != nil {
			t.Errorf("%s: %v", token, err)
		}
		s.token = func() (string, error) { return "wrong", nil }
		if _, err := s.Read(context.Background()); err == nil || !strings.Contains(err.Error(), "Invalid token") {
			t.Errorf("a wrong token: %v", err)
		}
	}
}

// TestUnchangedIsNotReadAgain: the log of changes tells.
func TestUnchangedIsNotReadAgain(t *testing.T) {
	f := newFake(t, "4.2")
	f.load(sourcetest.Everything(t))
	pages := 0
	f.everyPage = func() { pages++ }
	s := openAt(t, f.serve(t).URL)
	var first int
	for range 3 {
		if _, err := s.Read(context.Background()); err != nil {
			t.Fatal(err)
		}
		if first == 0 {
			first = pages
		}
	}
	if pages != first+2 {
		t.Errorf("the first look took %d answers, two more %d: want one each", first, pages-first)
	}
}
