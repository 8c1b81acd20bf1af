package kvsource

import (
	"context"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/sourcetest"
)

// short are limits that nobody waits for.
var short = limits{
	answer: 2 * time.Second, whole: time.Minute, poll: 50 * time.Millisecond, quiet: 10 * time.Millisecond,
	loading: 200 * time.Millisecond, total: 4 * inventory.MiB,
}

// natsServer is a real nats-server at one address.
type natsServer struct {
	t       testing.TB
	options *server.Options
	running *server.Server
	js      jetstream.JetStream
}

func startServer(t testing.TB) *natsServer {
	t.Helper()
	n := &natsServer{t: t, options: &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), MaxPayload: 8 << 20, NoLog: true, NoSigs: true}}
	n.up()
	t.Cleanup(n.down)
	nc, err := nats.Connect(n.running.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectJitter(0, 0), nats.ReconnectBufSize(-1), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if n.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *natsServer) up() {
	n.t.Helper()
	if n.running != nil {
		return
	}
	s, err := server.NewServer(n.options)
	if err != nil {
		n.t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		n.t.Fatal("NATS server is not ready")
	}
	n.options.Port = s.Addr().(*net.TCPAddr).Port // the same after a restart
	n.running = s
}

func (n *natsServer) down() {
	if n.running != nil {
		n.running.Shutdown()
		n.running.WaitForShutdown()
		n.running = nil
	}
}

// bucket opens one, or makes it, once the server can be reached.
func (n *natsServer) bucket(t testing.TB, name string) jetstream.KeyValue {
	t.Helper()
	n.up()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		kv, err := n.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: name, History: 8})
		cancel()
		if err == nil {
			return kv
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// must ends a test that can't go on.
func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func mark(t testing.TB, kv jetstream.KeyValue, m marker) {
	t.Helper()
	must(kv.Put(context.Background(), markerKey, encodeJSON(m)))(t)
}

// load writes records as another program than ours would.
func load(t testing.TB, kv jetstream.KeyValue, records sourcetest.Records) {
	t.Helper()
	ctx := context.Background()
	mark(t, kv, marker{Schema: Schema, State: stateLoading, Load: "test"})
	have := map[string]bool{}
	for _, k := range kinds {
		for _, record := range records[k.list] {
			value := k.blank([]string{"", ""})
			text := encodeJSON(record)
			_ = json.Unmarshal(text, value) // a bad one has its ID in any case
			name := keyOf(value)
			have[name] = true
			if entry, err := kv.Get(ctx, name); err == nil && string(entry.Value()) == string(text) {
				continue
			}
			must(kv.Put(ctx, name, text))(t)
		}
	}
	lister := must(kv.ListKeys(ctx))(t)
	for name := range lister.Keys() {
		if !have[name] && name != markerKey {
			if err := kv.Delete(ctx, name); err != nil {
				t.Fatal(err)
			}
		}
	}
	mark(t, kv, marker{Schema: Schema, State: stateComplete, Load: "test", Records: len(have)})
}

func TestConformance(t *testing.T) {
	sourcetest.Run(t, func(t *testing.T) *sourcetest.Backend {
		n := startServer(t)
		const name = "sentral"
		open := func(t *testing.T) *Source {
			s := New(n.js, name)
			s.limits = short
			return s
		}
		stream := func(t *testing.T) jetstream.Stream {
			return must(n.js.Stream(context.Background(), "KV_"+name))(t)
		}
		return &sourcetest.Backend{
			Open: func(t *testing.T) sentral.Source { return open(t) },
			Load: func(t *testing.T, records sourcetest.Records) { load(t, n.bucket(t, name), records) },
			Wrecks: []sourcetest.Wreck{
				{Name: "down", Do: func(*testing.T) { n.down() }, Says: "NATS can't be reached"},
				{Name: "bucket deleted", Do: func(t *testing.T) {
					if err := n.js.DeleteKeyValue(context.Background(), name); err != nil {
						t.Fatal(err)
					}
				}, Says: "there is no such bucket: load one with avstem sentral push --kv sentral"},
				{Name: "bucket emptied", Do: func(t *testing.T) {
					if err := stream(t).Purge(context.Background()); err != nil {
						t.Fatal(err)
					}
				}, Says: "no marker that a load is complete"},
				{Name: "records lost", Do: func(t *testing.T) {
					if err := stream(t).Purge(context.Background(), jetstream.WithPurgeSubject("$KV."+name+".vm.*")); err != nil {
						t.Fatal(err)
					}
				}, Says: "without that they were deleted: load it again"},
				{Name: "load broken off", Do: func(t *testing.T) {
					kv := n.bucket(t, name)
					mark(t, kv, marker{Schema: Schema, State: stateLoading, Load: "half", By: "somebody"})
					if err := kv.Delete(context.Background(), "vm.web-01"); err != nil {
						t.Fatal(err)
					}
				}, Says: `a load by "somebody" that began at`},
				{Name: "marker of another schema", Do: func(t *testing.T) {
					mark(t, n.bucket(t, name), marker{Schema: "avstem.sentral/v2", State: stateComplete})
				}, Says: `the schema "avstem.sentral/v2"`},
				{Name: "marker that is none", Do: func(t *testing.T) {
					must(n.bucket(t, name).Put(context.Background(), markerKey, []byte("yes")))(t)
				}, Says: "is no marker"},
				{Name: "enormous", Do: func(t *testing.T) {
					must(n.bucket(t, name).Put(context.Background(), key("vm", "a"), make([]byte, 5<<20)))(t)
				}, Says: "the bucket holds more than 4 MiB"},
			},
		}
	})
}

// TestLoadIsTakenWhole: while a load runs, readers keep what they had, and
// nobody hears of half of one.
func TestLoadIsTakenWhole(t *testing.T) {
	n := startServer(t)
	records := sourcetest.Everything(t)
	inv := records.Inventory(t)
	push := func(inv *sentral.Inventory) *Pushed {
		t.Helper()
		return must(Push(context.Background(), n.js, inv, PushOptions{Bucket: "sentral", By: "test", Now: time.Now}))(t)
	}
	if got := push(inv); !got.Created || got.Put != 11 || got.Records != 11 {
		t.Errorf("the first load: %+v", got)
	}
	s := New(n.js, "sentral")
	s.limits = short
	s.limits.loading = time.Minute
	ctx, cancel := context.WithCancel(context.Background())
	told, ended := make(chan *sentral.Inventory, 1000), make(chan struct{})
	go func() {
		defer close(ended)
		s.Watch(ctx, func(inv *sentral.Inventory) { told <- inv })
	}()
	<-told
	vms := inv.VMs
	for i := range 20 {
		inv.VMs = vms[:1+i%2*2] // 1 or 3
		push(inv)
	}
	inv.VMs = vms[:2]
	if got := push(inv); got.Created || got.Put+got.Deleted != 1 {
		t.Errorf("a load of one change: %+v", got)
	}
	for inv := range told {
		if len(inv.Problems) > 0 || inv.Stale != "" || len(inv.Hosts) != 1 {
			t.Errorf("told of half a load: problems %v, stale %q", inv.Problems, inv.Stale)
		}
		if len(inv.VMs) == 2 {
			break
		}
	}
	cancel()
	<-ended
}

// TestOneRecordChanges: Sentral may write single records after a load; no
// marker is needed for that.
func TestOneRecordChanges(t *testing.T) {
	n := startServer(t)
	kv := n.bucket(t, "sentral")
	load(t, kv, sourcetest.Everything(t))
	s := New(n.js, "sentral")
	s.limits = short
	count := func() (int, []sentral.Problem) {
		t.Helper()
		inv := must(s.Read(context.Background()))(t)
		return len(inv.VMs), inv.Problems
	}
	if vms, _ := count(); vms != 3 {
		t.Fatalf("%d VMs", vms)
	}
	ctx := context.Background()
	more := `{"id": "a/b.c ø", "name": "more", "tenant": "acme", "project": "web", "environment": "prod", "site": "osl1"}`
	must(kv.Put(ctx, key("vm", "a/b.c ø"), []byte(more)))(t)
	if vms, problems := count(); vms != 4 || problems != nil {
		t.Errorf("after one more: %d VMs, %v", vms, problems)
	}
	for _, name := range []string{"web-01", "a/b.c ø"} {
		if err := kv.Delete(ctx, key("vm", name)); err != nil {
			t.Fatal(err)
		}
	}
	if vms, problems := count(); vms != 2 || problems != nil {
		t.Errorf("after two less: %d VMs, %v", vms, problems)
	}
	for name, c := range map[string]struct{ value, says string }{
		key("vm", "x"):   {`{"id": "x"`, "the value is no record in JSON"},
		key("vm", "y"):   {`{"id": "z"}`, `the value is the record of vm z: want that at its own key, "vm.z"`},
		key("host", "h"): {`{"id": "h"}, {"id": "i"}`, "the value is not one record"},
		"lun.1":          {`{}`, `"lun.1" is no key of a record`},
		"vm.=2d":         {`{"id": "-"}`, "is no ID as keys have it"},
		"project.acme":   {`{}`, "is no key of a record"},
	} {
		must(kv.Put(ctx, name, []byte(c.value)))(t)
		_, problems := count()
		if len(problems) != 1 || problems[0].Where != "nats-kv:sentral/"+name || !strings.Contains(problems[0].Error, c.says) {
			t.Errorf("%s = %s: %v, want %q", name, c.value, problems, c.says)
		}
		if err := kv.Delete(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
}
