package bus

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/protocol/nats_jetstream/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
)

// attribute is what a header may hold without being percent-encoded, which HTTP's
// binding asks for and readers of NATS do or don't undo.
var attribute = regexp.MustCompile(`^[!#$&-~]+$`)

// An event must be one of CloudEvents 1.0, in binary mode, to whoever reads it with
// the official SDK: it is valid, and what that reads back is what was published.
func TestEventsAreCloudEvents(t *testing.T) {
	c := ready(t)
	sub, err := c.nc.SubscribeSync("avstem.v1.drift.>")
	if err != nil {
		t.Fatal(err)
	}
	finding := `{"id":"f-3k9x","kind":"nic.vlan","subject":{"name":"blåbær ☃"}}`
	for _, action := range []DriftAction{DriftOpened, DriftChanged, DriftResolved} {
		t.Run(string(action), func(t *testing.T) {
			sent := DriftEvent{ID: "f-3k9x." + string(action) + ".1795000000000.0", Action: action, Kind: "nic.vlan", Site: "osl1", Subject: "f-3k9x",
				Time: time.Date(2026, 11, 24, 1, 2, 3, 400_000_000, time.FixedZone("CET", 3600)), Finding: json.RawMessage(finding)}
			if err := c.PublishDrift(t.Context(), sent); err != nil {
				t.Fatal(err)
			}
			msg, err := sub.NextMsg(5 * time.Second)
			if err != nil {
				t.Fatal(err)
			}
			checkHeaders(t, msg)
			read := cloudevents.NewMessage(msg)
			if read.ReadEncoding() != binding.EncodingBinary {
				t.Errorf("its encoding is %v", read.ReadEncoding())
			}
			event, err := binding.ToEvent(t.Context(), read)
			if err != nil {
				t.Fatal(err)
			}
			if err := event.Validate(); err != nil {
				t.Error(err)
			}
			got := []string{event.SpecVersion(), event.ID(), event.Source(), event.Type(), event.Subject(), event.DataContentType(), event.Time().UTC().Format(time.RFC3339Nano)}
			want := []string{"1.0", sent.ID, "avstem/osl1", "avstem.v1.drift." + string(action), "f-3k9x", "application/json", "2026-11-24T00:02:03.4Z"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("attributes (-want +got):\n%s", diff)
			}
			if len(event.Extensions()) > 0 {
				t.Errorf("it has extensions that nobody knows: %v", event.Extensions())
			}
			var data map[string]any
			if err := event.DataAs(&data); err != nil || data["id"] != "f-3k9x" || string(event.Data()) != finding {
				t.Errorf("data %s, %v", event.Data(), err)
			}
		})
	}
}

// The names of attributes are lower-case letters and digits, and their values such
// that no reader can take them for something else.
func checkHeaders(t *testing.T, msg *nats.Msg) {
	t.Helper()
	name := regexp.MustCompile(`^ce-[a-z0-9]{1,20}$`)
	for header, values := range msg.Header {
		if !strings.HasPrefix(header, "ce-") {
			continue
		}
		if !name.MatchString(header) || len(values) != 1 || !attribute.MatchString(values[0]) {
			t.Errorf("%s: %q", header, values)
		}
	}
}
