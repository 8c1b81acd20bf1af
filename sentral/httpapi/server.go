package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dataverket/avstem/sentral"
)

// Limits of the server.
const (
	pageDefault = 1000
	pageMax     = 10_000
	// writeWithin is how long a client may take for one page or event.
	writeWithin = time.Minute
	// quietFor is the longest silence on a stream of events.
	quietFor = 15 * time.Second
	// maxListeners bounds the streams of events.
	maxListeners = 1000
)

// Options are a server's.
type Options struct {
	// Tokens gives the bearer tokens that open it; nil means that none is asked
	// for. It is called for each request, so that tokens may change.
	Tokens func() ([]string, error)
	Logger *slog.Logger // nil means none
}

// Server is an http.Handler that serves the inventory it was given last.
type Server struct {
	o   Options
	log *slog.Logger
	mux *http.ServeMux

	mu        sync.Mutex
	held      *snapshot
	why       string                   // there is none, while held is nil
	listeners map[chan string]struct{} // each holds the newest version that its stream hasn't told
}

// snapshot is one version of the inventory, made ready to be cut into pages.
type snapshot struct {
	version string
	inv     *sentral.Inventory
	total   int
}

// NewServer makes a server that has no inventory yet.
func NewServer(o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{o: o, log: o.Logger, mux: http.NewServeMux(), why: "the inventory has not been read yet", listeners: map[chan string]struct{}{}}
	s.mux.HandleFunc("GET /healthz", s.health)
	s.mux.HandleFunc("GET "+inventoryPath, s.guard(s.page))
	s.mux.HandleFunc("GET "+eventsPath, s.guard(s.events))
	s.mux.HandleFunc("GET /v1/openapi.yaml", text("application/yaml", sentral.OpenAPI()))
	s.mux.HandleFunc("GET /v1/schema.json", text("application/schema+json", sentral.Schema()))
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeWithin)) // a recorder has none
	s.mux.ServeHTTP(w, r)
}

// Set makes this the inventory that is served. One that could not be read at all
// (see [sentral.Source]) takes nothing away.
func (s *Server) Set(inv *sentral.Inventory) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if inv.ReadAt.IsZero() {
		s.why = inv.Stale
		return
	}
	s.held = newSnapshot(inv)
	for c := range s.listeners {
		select {
		case <-c: // what it hasn't told is out of date
		default:
		}
		c <- s.held.version
	}
}

func newSnapshot(inv *sentral.Inventory) *snapshot {
	digest := sha256.New()
	// Text and booleans: there is nothing that could not be encoded.
	_ = json.NewEncoder(digest).Encode([]any{inv.Version, inv.Problems, inv.Incomplete, inv.Stale})
	sum := digest.Sum(nil)
	return &snapshot{
		version: "sha256-" + hex.EncodeToString(sum[:16]), inv: inv,
		total: len(inv.Sites) + len(inv.FailureDomains) + len(inv.Projects) + len(inv.Images) + len(inv.Networks) + len(inv.Hosts) + len(inv.VMs),
	}
}

// current is the snapshot that is served, or why there is none.
func (s *Server) current() (held *snapshot, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held, s.why
}

// guard asks for a bearer token (RFC 6750).
func (s *Server) guard(next http.HandlerFunc) http.HandlerFunc {
	if s.o.Tokens == nil {
		return next
	}
	return func(w http.ResponseWriter, r *http.Request) {
		tokens, err := s.o.Tokens()
		if err != nil {
			s.log.Error("tokens can't be read: everybody is refused", "err", err)
			fail(w, http.StatusServiceUnavailable, "the server can't read its tokens: its log says why")
			return
		}
		given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		match := func(token string) bool { return subtle.ConstantTimeCompare([]byte(token), []byte(given)) == 1 }
		if given == "" || !slices.ContainsFunc(tokens, match) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="sentral"`)
			fail(w, http.StatusUnauthorized, "a bearer token that the server knows is needed")
			return
		}
		next(w, r)
	}
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	held, why := s.current()
	switch {
	case held == nil:
		fail(w, http.StatusServiceUnavailable, why)
	case held.inv.Stale != "":
		fail(w, http.StatusServiceUnavailable, held.inv.Stale)
	default:
		writeJSON(w, http.StatusOK, map[string]any{"version": held.version, "records": held.total})
	}
}

// page answers GET /v1/inventory?limit=N&page=TOKEN.
func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	held, why := s.current()
	if held == nil {
		w.Header().Set("Retry-After", "5")
		fail(w, http.StatusServiceUnavailable, why)
		return
	}
	limit, at, err := asked(r, held)
	switch {
	case err != nil:
		fail(w, http.StatusBadRequest, err.Error())
		return
	case at.version != held.version:
		fail(w, http.StatusGone, "the inventory has changed since that page's version: begin again without a page token")
		return
	}
	etag := `"` + held.version + `"`
	w.Header().Set("ETag", etag)
	w.Header().Set("Cache-Control", "private, no-cache")
	if known(r.Header.Get("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	writeJSON(w, http.StatusOK, held.page(at.offset, limit))
}

func asked(r *http.Request, held *snapshot) (limit int, at pageToken, err error) {
	query := r.URL.Query()
	limit, at = pageDefault, pageToken{version: held.version}
	if text := query.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 {
			return 0, at, fmt.Errorf("limit=%q: want a number from 1 to %d", text, pageMax)
		}
	}
	if text := query.Get("page"); text != "" {
		at, err = parsePageToken(text)
	}
	return min(limit, pageMax), at, err
}

// known says whether an If-None-Match (RFC 9110, 13.1.2) holds the tag.
func known(header, etag string) bool {
	for candidate := range strings.SplitSeq(header, ",") {
		if candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/"); candidate == etag || candidate == "*" {
			return true
		}
	}
	return false
}

// page cuts records out, in the order of the inventory's lists.
func (s *snapshot) page(offset, limit int) *page {
	p := &page{Schema: Schema, Version: s.version, ReadAt: s.inv.ReadAt, Total: &s.total}
	if offset == 0 {
		p.Problems, p.LeftOut, p.Incomplete, p.Stale = s.inv.Problems, s.inv.LeftOut, s.inv.Incomplete, s.inv.Stale
	}
	w := window{skip: offset, left: limit}
	p.Inventory, _ = json.Marshal(sentral.Inventory{
		Sites: cut(&w, s.inv.Sites), FailureDomains: cut(&w, s.inv.FailureDomains), Projects: cut(&w, s.inv.Projects),
		Images: cut(&w, s.inv.Images), Networks: cut(&w, s.inv.Networks), Hosts: cut(&w, s.inv.Hosts), VMs: cut(&w, s.inv.VMs),
	})
	if next := offset + limit; next < s.total {
		p.Next = pageToken{s.version, next}.String()
	}
	return p
}

// window is the part of a row of lists that a page holds.
type window struct{ skip, left int }

func cut[T any](w *window, list []T) []T {
	from := min(w.skip, len(list))
	to := min(from+w.left, len(list))
	w.skip -= from
	w.left -= to - from
	return list[from:to]
}

func text(kind string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(body) // the client is gone
	}
}

func fail(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(failure{http.StatusText(status), status, detail})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}
