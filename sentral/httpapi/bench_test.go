package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/sourcetest"
)

// BenchmarkRead reads 10,000 VMs over HTTP for the first time, checks included,
// and holds it against fetching the same pages and json.Unmarshal of them, in the
// same run; then it reads again what hasn't changed.
func BenchmarkRead(b *testing.B) {
	server := NewServer(Options{})
	inv := sourcetest.Many(b, 10_000).Inventory(b)
	inv.Version, inv.ReadAt = "1", time.Now()
	server.Set(inv)
	listener := httptest.NewServer(server)
	defer listener.Close()
	var ours, peer, again time.Duration
	for b.Loop() {
		start := time.Now()
		for next := "first"; next != ""; {
			query := ""
			if next != "first" {
				query = "?page=" + next
			}
			response, err := http.Get(listener.URL + inventoryPath + query)
			if err != nil {
				b.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			if err != nil {
				b.Fatal(err)
			}
			_ = response.Body.Close() // all of it has been read
			var p page
			var plain sentral.Inventory
			if json.Unmarshal(body, &p) != nil || json.Unmarshal(p.Inventory, &plain) != nil {
				b.Fatal("a page can't be read")
			}
			next = p.Next
		}
		peer += time.Since(start)

		c, err := NewClient(ClientOptions{URL: listener.URL})
		if err != nil {
			b.Fatal(err)
		}
		start = time.Now()
		got, err := c.Read(context.Background())
		if err != nil || len(got.VMs) < 10_000 || len(got.Problems) > 0 {
			b.Fatalf("%v, %v", got, err)
		}
		ours += time.Since(start)
		start = time.Now()
		if _, err := c.Read(context.Background()); err != nil {
			b.Fatal(err)
		}
		again += time.Since(start)
	}
	b.ReportMetric(ours.Seconds()/float64(b.N), "s/read")
	b.ReportMetric(ours.Seconds()/peer.Seconds(), "x-of-json.Unmarshal")
	b.ReportMetric(again.Seconds()*1000/float64(b.N), "ms/unchanged")
}
