package httpapi

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/sourcetest"
)

// FuzzPage: no answer makes the client panic, an inventory has all the records
// that were announced, and what is used of them is good by itself.
func FuzzPage(f *testing.F) {
	inv := sourcetest.Everything(f).Inventory(f)
	inv.Version, inv.ReadAt = "1", time.Unix(0, 0)
	inv.LeftOut = []sentral.LeftOut{{Type: "vm", ID: "x"}, {}}
	inv.Problems = []sentral.Problem{{Where: "a:1:1", Record: "vm x", Key: "vcpus", Error: "is bad"}}
	whole, err := json.Marshal(newSnapshot(inv).page(0, 100))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	for _, text := range []string{
		`{"schema":"avstem.sentral/v1","version":"1","total":1,"inventory":{"sites":[{"id":"a"}]},"incomplete":true,"stale":"x"}`,
		`{"schema":"avstem.sentral/v1","version":"1","total":2,"inventory":{"sites":[{"id":"a"},{"id":"a"}]},"leftOut":[{"type":"site","id":"a"},{"type":"site","id":"a"}]}`,
		`{"schema":"avstem.sentral/v1","version":"1","total":0,"inventory":{"sits":[]}}`, `{"schema":"avstem.sentral/v1","version":"1","total":-1,"inventory":[]}`, `{"total":null}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := parsePage("application/json", body)
		if err != nil {
			return
		}
		w := newWhole("https://sentral", p)
		if w.add(p) != nil {
			return
		}
		inv, err := w.inventory(time.Now)
		if err != nil {
			return
		}
		used := len(inv.Sites) + len(inv.FailureDomains) + len(inv.Projects) + len(inv.Images) + len(inv.Networks) + len(inv.Hosts) + len(inv.VMs)
		if n := used + len(inv.LeftOut) - len(p.LeftOut); n != *p.Total && !inv.Incomplete {
			t.Errorf("%d records of %d, and it counts as whole", n, *p.Total)
		}
		for i := range inv.VMs {
			record := sentral.Record{Value: &inv.VMs[i], Place: func(string) sentral.Place { return sentral.Place{} }}
			if alone := sentral.Assemble([]sentral.Record{record}, nil); len(alone.VMs) != 1 {
				t.Errorf("a bad VM is used: %v", alone.Problems)
			}
		}
	})
}

// FuzzEvents: a stream tells of no more events than it has blank lines.
func FuzzEvents(f *testing.F) {
	f.Add("event: inventory\nid: 1\ndata: {}\n\n: still here\n\n")
	f.Add("data\n\ndata:\r\n\r\n")
	f.Add(strings.Repeat("x", maxEventLine+1))
	f.Fuzz(func(t *testing.T, text string) {
		lines, told := 0, 0
		_ = readEvents(strings.NewReader(text), func() { lines++ }, func() { told++ })
		if told > lines/2 {
			t.Errorf("%d events in %d lines", told, lines)
		}
	})
}

// FuzzPageToken: what is read as a token is the token that it was made of.
func FuzzPageToken(f *testing.F) {
	f.Add(pageToken{"sha256-00", 1000}.String())
	f.Add("")
	f.Add("MQ")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := parsePageToken(text)
		if err != nil {
			return
		}
		if again, err := parsePageToken(token.String()); err != nil || again != token {
			t.Errorf("%q is read as %v, and that as %v, %v", text, token, again, err)
		}
	})
}
