package bus

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/dataverket/avstem/inventory"
)

// reader collects what a subscription delivers.
type reader struct {
	docs    chan *inventory.Observation
	refused chan string
	ready   chan struct{}
	lost    chan error
	ended   chan error
}

func read(t *testing.T, c *Conn) *reader {
	t.Helper()
	c.checkEvery = 50 * time.Millisecond
	r := &reader{make(chan *inventory.Observation, 1000), make(chan string, 100), make(chan struct{}, 2), make(chan error, 1000), make(chan error, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		r.ended <- c.Observations(ctx, ObservationHandler{
			Observation: func(o *inventory.Observation) { r.docs <- o },
			Refused:     func(subject string, err error) { r.refused <- subject + ": " + err.Error() },
			Ready:       func() { r.ready <- struct{}{} },
			Lost:        func(err error) { r.lost <- err },
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := take(t, r.ended); !errors.Is(err, context.Canceled) {
			t.Errorf("reading ended with %v", err)
		}
	})
	return r
}

func take[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// upTo takes documents until the one that is wanted.
func (r *reader) upTo(t *testing.T, epoch, gen uint64) {
	t.Helper()
	for {
		if o := take(t, r.docs); o.Epoch == epoch && o.Gen == gen {
			return
		}
	}
}

func TestReaderGetsTheLastValuesThenReadyThenUpdates(t *testing.T) {
	c := ready(t)
	p := c.NewPublisher(startA)
	publish(t, p, observation(t, 1, 1))
	publish(t, p, observation(t, 1, 2, "eth0"))
	storage := observation(t, 1, 5)
	storage.Source = "storage"
	publish(t, p, storage)

	r := read(t, c)
	take(t, r.ready)
	close(r.ready) // a second Ready would panic
	var got []string
	for len(r.docs) > 0 {
		o := <-r.docs
		got = append(got, o.Source)
		if o.Source == "network" && o.Gen != 2 {
			t.Errorf("an old document came: %d", o.Gen)
		}
	}
	if slices.Sort(got); !slices.Equal(got, []string{"network", "storage"}) {
		t.Fatalf("before Ready came %v", got)
	}
	publish(t, p, observation(t, 1, 3))
	r.upTo(t, 1, 3)
}

func TestReaderOfAnEmptyStreamIsReadyAtOnce(t *testing.T) {
	c := startServer(t).connect(t) // with no streams either
	r := read(t, c)
	take(t, r.ready)
	publish(t, c.NewPublisher(startA), observation(t, 1, 1))
	r.upTo(t, 1, 1)
}

func TestReaderIsToldWhatIsRefused(t *testing.T) {
	c := ready(t)
	other, err := ObservedSubject(Key{DefaultSite, uuid.MustParse("6f1c0000-0000-4000-8000-00000000000b"), "network"})
	if err != nil {
		t.Fatal(err)
	}
	forged, err := encode(observation(t, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	for subject, data := range map[string][]byte{
		other: forged.Data, "avstem.v1.observed.default.me.network": forged.Data,
		"avstem.v1.observed.default." + hostA.String() + ".junk":  []byte("junk"),
		"avstem.v1.observed.default." + hostA.String() + ".newer": []byte(`{"schema":"avstem.observation/v9"}`),
	} {
		if _, err := c.js.Publish(t.Context(), subject, data); err != nil {
			t.Fatal(err)
		}
	}
	r := read(t, c)
	take(t, r.ready)
	var all []string
	for range 4 {
		all = append(all, take(t, r.refused))
	}
	text := strings.Join(all, "\n")
	for _, want := range []string{"speak for itself", "host ID belongs", "decode", "upgrade avstem"} {
		if !strings.Contains(text, want) {
			t.Errorf("no word of %q in:\n%s", want, text)
		}
	}
	if len(r.docs) > 0 {
		t.Errorf("it was given %v", <-r.docs)
	}
}

func TestReaderSurvivesARestartOfTheServer(t *testing.T) {
	n := startServer(t)
	c := n.connect(t)
	ensure(t, c)
	p := c.NewPublisher(startA)
	publish(t, p, observation(t, 1, 1))
	r := read(t, c)
	r.upTo(t, 1, 1)
	back := c.nc.StatusChanged(nats.CONNECTED)
	n.stop()
	n.start(t)
	<-back
	publish(t, p, observation(t, 1, 2))
	r.upTo(t, 1, 2)
}

func TestReaderNoticesThatTheStreamWasReplaced(t *testing.T) {
	for name, replace := range map[string]func(*testing.T, *natsServer, *Conn){
		"deleted": func(t *testing.T, _ *natsServer, c *Conn) {
			if err := c.js.DeleteStream(t.Context(), StreamObserved); err != nil {
				t.Fatal(err)
			}
		},
		"deleted and made again": func(t *testing.T, _ *natsServer, c *Conn) {
			if err := c.js.DeleteStream(t.Context(), StreamObserved); err != nil {
				t.Fatal(err)
			}
			ensure(t, c)
		},
		"server lost its disk": func(t *testing.T, n *natsServer, c *Conn) {
			back := c.nc.StatusChanged(nats.CONNECTED)
			n.stop()
			n.options.StoreDir = t.TempDir()
			n.start(t)
			<-back
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := startServer(t)
			c := n.connect(t)
			ensure(t, c)
			p := c.NewPublisher(startA)
			for gen := range uint64(5) {
				publish(t, p, observation(t, 1, gen+1))
			}
			r := read(t, c)
			r.upTo(t, 1, 5)
			replace(t, n, c)
			// The agent publishes again what it has, at sequence 1 of a new stream.
			p.Forget()
			deadline := time.Now().Add(20 * time.Second)
			for err := p.Publish(t.Context(), observation(t, 1, 6)); err != nil; err = p.Publish(t.Context(), observation(t, 1, 6)) {
				if time.Now().After(deadline) {
					t.Fatal(err)
				}
			}
			r.upTo(t, 1, 6)
		})
	}
}

func TestReaderEndsWhenTheConnectionIsClosed(t *testing.T) {
	c := ready(t)
	ended := make(chan error, 1)
	go func() {
		ended <- c.Observations(t.Context(), ObservationHandler{Ready: c.nc.Close, Observation: func(*inventory.Observation) {}})
	}()
	if err := take(t, ended); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestFindingsAreReadAndRemoved(t *testing.T) {
	c := ready(t)
	put := func(id, state string) {
		t.Helper()
		subject, err := FindingSubject("osl1", id)
		if err == nil {
			_, err = c.js.Publish(t.Context(), subject, []byte(`{"id":"`+id+`","state":"`+state+`"}`))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	want := func(want ...string) {
		t.Helper()
		all, err := c.Findings(within(t, 10*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range all {
			got = append(got, string(f))
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Fatalf("findings are %v, want %v", got, want)
		}
	}
	want()
	put("f-1", "pending")
	put("f-2", "open")
	put("f-1", "open")
	want(`{"id":"f-1","state":"open"}`, `{"id":"f-2","state":"open"}`)

	if err := c.RemoveFinding(t.Context(), "osl1", "f-2", 1_000); err != nil {
		t.Fatal(err)
	}
	want(`{"id":"f-1","state":"open"}`)
	if err := c.RemoveFinding(t.Context(), "osl1", "f-*", 1_000); err == nil {
		t.Error("findings were removed by a wildcard")
	}
}

func TestFindingsWithoutStreamSayWhatMakesIt(t *testing.T) {
	c := startServer(t).connect(t)
	_, err := c.Findings(t.Context())
	for _, err := range []error{err, c.RemoveFinding(t.Context(), "osl1", "f-1", 1_000)} {
		if err == nil || !strings.Contains(err.Error(), "avstem up") {
			t.Errorf("got %v", err)
		}
	}
}

func TestDriftEventsAreCloudEventsInBinaryMode(t *testing.T) {
	c := ready(t)
	sub, err := c.nc.SubscribeSync(driftPrefix + ".*.*.nic.>")
	if err != nil {
		t.Fatal(err)
	}
	event := DriftEvent{ID: "e-1", Action: DriftOpened, Kind: "nic.vlan", Site: "osl1", Subject: "f-1",
		Time: time.Date(2026, 11, 24, 1, 2, 3, 4, time.UTC), Finding: json.RawMessage(`{"id":"f-1"}`)}
	for range 2 { // the same event said twice is one
		if err := c.PublishDrift(t.Context(), event); err != nil {
			t.Fatal(err)
		}
	}
	msg, err := sub.NextMsg(5 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"ce-specversion": "1.0", "ce-id": "e-1", "ce-source": "avstem/osl1",
		"ce-type": "avstem.v1.drift.opened", "ce-subject": "f-1", "ce-time": "2026-11-24T01:02:03.000000004Z",
		"ce-datacontenttype": "application/json", "Content-Type": "application/json"} {
		if got := msg.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if msg.Subject != "avstem.v1.drift.osl1.opened.nic.vlan" || string(msg.Data) != `{"id":"f-1"}` {
		t.Errorf("got %s %s", msg.Subject, msg.Data)
	}
	stream, err := c.js.Stream(t.Context(), StreamDrift)
	if err != nil {
		t.Fatal(err)
	}
	if got := stream.CachedInfo().State.Msgs; got != 1 {
		t.Errorf("the stream has %d events", got)
	}
	if err := c.PublishDrift(t.Context(), DriftEvent{Action: DriftOpened, Kind: "nic.vlan", Site: "osl1"}); err == nil {
		t.Error("an event without ID was published")
	}
}

func TestHeartbeatsOnlyOfWhoseSubjectItIs(t *testing.T) {
	c := ready(t)
	beats, refused := make(chan Heartbeat, 10), make(chan string, 10)
	h := HeartbeatHandler{Beat: func(b Heartbeat) { beats <- b }, Refused: func(_ string, err error) { refused <- err.Error() }}
	if _, err := c.Heartbeats(h); err != nil {
		t.Fatal(err)
	}
	sent := Heartbeat{Host: hostA, Site: "osl1", Hostname: "hv1", Epoch: 3, Incarnation: startA, Interval: 10 * time.Second,
		At: time.Unix(1, 0).UTC(), Sources: []SourceState{{Source: "network", Gen: 2, Digest: "sha256:00", Outcome: inventory.OutcomePartial}}}
	if err := c.Beat(sent); err != nil {
		t.Fatal(err)
	}
	got := take(t, beats)
	if got.Schema != heartbeatSchema || got.Host != hostA || got.Incarnation != startA || got.Sources[0] != sent.Sources[0] {
		t.Errorf("got %+v", got)
	}
	for _, data := range []string{"junk", `{}`, `{"schema":"avstem.heartbeat/v1","host":"` + startB.String() + `","site":"osl1"}`} {
		if err := c.nc.Publish("avstem.v1.heartbeat.osl1."+hostA.String(), []byte(data)); err != nil {
			t.Fatal(err)
		}
		take(t, refused)
	}
	if len(beats) > 0 {
		t.Errorf("it was given %+v", <-beats)
	}
	if err := c.Beat(Heartbeat{Host: hostA, Site: "*"}); err == nil {
		t.Error("a heartbeat was published on a wildcard")
	}
}
