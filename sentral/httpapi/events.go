package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// events answers GET /v1/events with server-sent events (HTML, 9.2): one with
// the version as it is, and one for each that comes after. Of versions that
// follow each other faster than the client reads, the last is told.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	news := make(chan string, 1)
	if !s.listen(news) {
		w.Header().Set("Retry-After", "30")
		fail(w, http.StatusServiceUnavailable, "too many listen to events already: ask every now and then with If-None-Match")
		return
	}
	defer s.leave(news)
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	quiet := time.NewTicker(quietFor)
	defer quiet.Stop()
	text := ": listening\n\n"
	for {
		_ = control.SetWriteDeadline(time.Now().Add(writeWithin))
		if _, err := fmt.Fprint(w, text); err != nil || control.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case version := <-news:
			data, _ := json.Marshal(event{version})
			text = fmt.Sprintf("event: inventory\nid: %s\ndata: %s\n\n", version, data)
		case <-quiet.C:
			text = ": still here\n\n"
		}
	}
}

func (s *Server) listen(news chan string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.listeners) >= maxListeners {
		return false
	}
	s.listeners[news] = struct{}{}
	if s.held != nil {
		news <- s.held.version
	}
	return true
}

func (s *Server) leave(news chan string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, news)
}
