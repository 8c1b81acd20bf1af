package bus

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

func TestStreamsAreMadeOnceAndBroughtToOurSettings(t *testing.T) {
	c := ready(t)
	ensure(t, c)
	if _, err := c.js.UpdateStream(t.Context(), jetstream.StreamConfig{Name: StreamDrift, Subjects: []string{driftPrefix + ".>"},
		Storage: jetstream.FileStorage, MaxAge: time.Hour, DenyDelete: true}); err != nil {
		t.Fatal(err)
	}
	ensure(t, c)
	for _, want := range streamConfigs(1) {
		stream, err := c.js.Stream(t.Context(), want.Name)
		if err != nil {
			t.Fatal(err)
		}
		got := stream.CachedInfo().Config
		if got.Storage != jetstream.FileStorage || got.MaxAge != want.MaxAge || got.AllowRollup || !got.DenyDelete || got.AllowMsgTTL ||
			got.DenyPurge != want.DenyPurge || got.Replicas != 1 || got.Retention != jetstream.LimitsPolicy {
			t.Errorf("%s has settings %+v", want.Name, got)
		}
		if want.MaxMsgsPerSubject > 0 && got.MaxMsgsPerSubject != want.MaxMsgsPerSubject {
			t.Errorf("%s keeps %d a subject, want %d", want.Name, got.MaxMsgsPerSubject, want.MaxMsgsPerSubject)
		}
		if want.Duplicates > 0 && got.Duplicates != want.Duplicates {
			t.Errorf("%s deduplicates within %s, want %s", want.Name, got.Duplicates, want.Duplicates)
		}
	}
}

func TestHistoryOfOneSubjectIsBounded(t *testing.T) {
	c := ready(t)
	p := c.NewPublisher(startA)
	for gen := range uint64(history + 10) {
		publish(t, p, observation(t, 1, gen+1))
	}
	got := stored(t, c)
	if len(got) != history || got[0] != [2]uint64{1, 11} {
		t.Errorf("%d are kept, from %v", len(got), got[0])
	}
}

func TestClusterGetsThreeReplicas(t *testing.T) {
	servers := startCluster(t, 3)
	c := servers[0].connect(t)
	// A cluster elects its leader some time after it takes connections.
	deadline := time.Now().Add(30 * time.Second)
	for err := c.EnsureStreams(t.Context()); err != nil; err = c.EnsureStreams(t.Context()) {
		if !IsAway(err) {
			t.Errorf("this is not waited for: %v", err)
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	stream, err := c.js.Stream(t.Context(), StreamFindings)
	if err != nil {
		t.Fatal(err)
	}
	if got := stream.CachedInfo().Config.Replicas; got != 3 {
		t.Errorf("it has %d replicas", got)
	}
	p := c.NewPublisher(startA)
	publish(t, p, observation(t, 1, 1))
	before := p.last[mustSubject(t)]
	publish(t, p, observation(t, 1, 2))
	// A replicated stream has an error code of its own for a wrong sequence.
	p.last[mustSubject(t)] = before
	publish(t, p, observation(t, 1, 3))
	wantStored(t, c, [2]uint64{1, 1}, [2]uint64{1, 2}, [2]uint64{1, 3})
}

func startCluster(t *testing.T, size int) []*natsServer {
	t.Helper()
	var routes []string
	var ports []int
	for range size {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
		routes = append(routes, "nats://"+l.Addr().String())
		l.Close()
	}
	var all []*natsServer
	for i := range size {
		all = append(all, startServer(t, func(o *server.Options) {
			o.ServerName = fmt.Sprintf("n%d", i)
			o.Cluster = server.ClusterOpts{Name: "lab", Host: "127.0.0.1", Port: ports[i]}
			o.Routes = server.RoutesFromStr(strings.Join(routes, ","))
		}))
	}
	return all
}

func TestVersionsOfServers(t *testing.T) {
	for version, want := range map[string]bool{
		"2.14.6": true, "2.14.7": true, "2.15.0": true, "2.15.2": true, "3.0.0": true, "2.14.6-RC.1": true, "v2.15.2": true, "2.14.10": true,
		"2.14.5": false, "2.9.10": false, "2.13.99": false, "1.99.99": false, "": false, "2.14": false, "two": false, "2.-14.6": false,
	} {
		if got := newEnough(version); got != want {
			t.Errorf("newEnough(%q) is %v", version, got)
		}
	}
}

func TestOldServerIsRefused(t *testing.T) {
	c, err := Dial("nats://"+fakeOldServer(t), slog.New(slog.DiscardHandler), "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.nc.Close()
	err = c.EnsureStreams(t.Context())
	if _, ok := errors.AsType[*VersionError](err); !ok || !strings.Contains(err.Error(), "nats-server 2.9.10 ") ||
		!strings.Contains(err.Error(), "2.14.6 or newer") {
		t.Fatalf("got %v", err)
	}
}

// fakeOldServer greets as the nats-server 2.9.10 of Debian 12 does and answers
// pings. That one can't be linked beside the server that is embedded.
func fakeOldServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.WriteString(conn, `INFO {"server_id":"X","version":"2.9.10","proto":1,"headers":true,"max_payload":1048576}`+"\r\n")
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					if lines.Text() == "PING" {
						_, _ = io.WriteString(conn, "PONG\r\n")
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}
