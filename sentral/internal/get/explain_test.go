package get_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dataverket/avstem/sentral/internal/get"
)

// A server that breaks off says the same each time, whatever port we came from: else
// each try would be news, and the finding about it an event every time.
func TestSameFailureHasTheSameWords(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		if err := conn.(*net.TCPConn).SetLinger(0); err != nil { // a reset
			t.Error(err)
		}
		conn.Close()
	}))
	defer server.Close()
	said := map[string]bool{}
	for range 3 {
		client := get.NewClient(nil, time.Second, time.Second)
		response, err := client.Get(server.URL)
		if err == nil {
			response.Body.Close()
			t.Fatal("it answered")
		}
		said[get.Explain(t.Context(), err).Error()] = true
	}
	if len(said) != 1 {
		t.Errorf("one failure has %d wordings: %v", len(said), said)
	}
	for words := range said {
		if !strings.Contains(words, "reset") {
			t.Errorf("it says %q", words)
		}
	}
}
