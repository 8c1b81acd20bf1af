package bus

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
)

func TestDriftEventsAreReadBack(t *testing.T) {
	c := startServer(t).connect(t)
	if _, err := c.DriftEvents(t.Context(), "", time.Now().Add(-time.Hour), nil); err == nil || !strings.Contains(err.Error(), "made by `avstem up`") {
		t.Errorf("without a stream: got %v", err)
	}
	ensure(t, c)
	read := func(site string, since time.Time) (ids []string, whole time.Time) {
		t.Helper()
		whole, err := c.DriftEvents(t.Context(), site, since, func(e DriftEvent) { ids = append(ids, e.ID) })
		if err != nil {
			t.Fatal(err)
		}
		return ids, whole
	}
	began := time.Now()
	if ids, _ := read("", began.Add(-time.Hour)); len(ids) > 0 {
		t.Errorf("an empty stream gives %v", ids)
	}
	sent := DriftEvent{Action: DriftResolved, Kind: "nic.vlan", Subject: "f-1", Time: time.Date(2026, 11, 24, 1, 2, 3, 4, time.UTC), Finding: json.RawMessage(`{"id":"f-1"}`)}
	for i, site := range []string{"osl1", "trd1", "osl1"} {
		sent.ID, sent.Site = fmt.Sprintf("e-%d", i), site
		if err := c.PublishDrift(t.Context(), sent); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.js.PublishMsg(t.Context(), &nats.Msg{Subject: "avstem.v1.drift.osl1.opened.nic.vlan", Data: []byte("none of ours")}); err != nil {
		t.Fatal(err)
	}
	ids, whole := read("osl1", began.Add(-time.Hour))
	if diff := cmp.Diff([]string{"e-0", "e-2"}, ids); diff != "" {
		t.Errorf("one site's (-want +got):\n%s", diff)
	}
	if whole.IsZero() || whole.After(began.Add(time.Minute)) {
		t.Errorf("the stream has every event since %s", whole)
	}
	if ids, _ := read("", began.Add(-time.Hour)); len(ids) != 3 {
		t.Errorf("every site's: %v", ids)
	}
	if ids, _ := read("", time.Now().Add(time.Hour)); len(ids) > 0 {
		t.Errorf("of the future: %v", ids)
	}
	var got DriftEvent
	if _, err := c.DriftEvents(t.Context(), "", began.Add(-time.Hour), func(e DriftEvent) { got = e }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sent, got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	if _, err := c.DriftEvents(t.Context(), "*", began, nil); err == nil {
		t.Error("a wildcard is taken for a site")
	}
}
