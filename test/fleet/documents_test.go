package fleet

import (
	"encoding/json"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/inventory"
)

// message is a document as it is on the stream, if it weren't compressed.
type message struct {
	subject string
	text    []byte
}

func (f *Fleet) messages(tb testing.TB) (all []message) {
	for host := range f.Hosts {
		for _, o := range f.Documents(host, 1) {
			subject, err := bus.ObservedSubject(bus.Key{Site: o.Site, Host: o.Host, Source: o.Source})
			if err != nil {
				tb.Fatal(err)
			}
			text, err := json.Marshal(o)
			if err != nil {
				tb.Fatal(err)
			}
			all = append(all, message{subject, text})
		}
	}
	return all
}

// What the fleet's hosts say is read as encoding/json reads it, and shared.
func TestDocumentsAreReadAsTheyAre(t *testing.T) {
	d := bus.NewDecoder()
	defer d.Close()
	f := New(Plan{Hosts: 60, VMs: 10, Sites: 2, DriftEvery: 10})
	var read []*inventory.Observation
	messages := f.messages(t)
	for _, m := range messages {
		o, err := d.Decode(m.subject, nil, m.text)
		if err != nil {
			t.Fatal(err)
		}
		read = append(read, o)
	}
	tables, sources := map[*inventory.Capability]bool{}, map[string]bool{}
	for i, m := range messages {
		var want inventory.Observation
		if err := json.Unmarshal(m.text, &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&want, read[i]); diff != "" {
			t.Fatalf("%s (-encoding/json +read):\n%s", m.subject, diff)
		}
		tables[&read[i].Capabilities[0]], sources[want.Source] = true, true
	}
	// Where by chance two of them have one place in the decoder, one is read again.
	if len(tables) > len(messages)/2 {
		t.Errorf("%d documents of %d sources have %d tables of capabilities", len(messages), len(sources), len(tables))
	}
}

// Documents share memory, so that whoever writes into one writes into many: judging
// them leaves them as they were.
func TestJudgingWritesIntoNoDocument(t *testing.T) {
	d := bus.NewDecoder()
	defer d.Close()
	f := New(Plan{Hosts: 60, VMs: 10, Sites: 2, DriftEvery: 10})
	r := NewReconciler(f)
	messages, read := f.messages(t), []*inventory.Observation{}
	for _, m := range messages {
		o, err := d.Decode(m.subject, nil, m.text)
		if err != nil {
			t.Fatal(err)
		}
		read = append(read, o)
		r.observe(o, r.clock)
	}
	if open, err := r.Judge(); err != nil || open == 0 {
		t.Fatalf("%d findings, %v", open, err)
	}
	if _, err := r.Wait(Settling, Everybody); err != nil {
		t.Fatal(err)
	}
	r.Intend(f.Inventory())
	if _, err := r.Step(); err != nil {
		t.Fatal(err)
	}
	for i, m := range messages {
		text, err := json.Marshal(read[i])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(m.text), string(text)); diff != "" {
			t.Fatalf("%s (-read +afterwards):\n%s", m.subject, diff)
		}
	}
}

// BenchmarkDocuments reads what a fleet says as the reconciler does and with
// encoding/json: time and what is held of it.
func BenchmarkDocuments(b *testing.B) {
	f := New(Plan{Hosts: 200, VMs: 50, Sites: 3, DriftEvery: 100})
	messages, vms := f.messages(b), float64(f.Hosts*f.VMs)
	reading := func(decode func(message) (*inventory.Observation, error)) (cpu, held float64) {
		all := make([]*inventory.Observation, 0, len(messages))
		before, watch := Heap(), Start()
		for _, m := range messages {
			o, err := decode(m)
			if err != nil {
				b.Fatal(err)
			}
			all = append(all, o)
		}
		used := watch.Used()
		held = float64(Heap()-before) / vms
		runtime.KeepAlive(all)
		return used.CPU.Seconds() * 1e6 / vms, held
	}
	var cpu, peerCPU, held, peerHeld, n float64
	for b.Loop() {
		c, h := reading(func(m message) (*inventory.Observation, error) {
			if err := inventory.CheckShape(m.text); err != nil {
				return nil, err
			}
			o := new(inventory.Observation)
			return o, json.Unmarshal(m.text, o)
		})
		peerCPU, peerHeld = peerCPU+c, peerHeld+h
		d := bus.NewDecoder()
		c, h = reading(func(m message) (*inventory.Observation, error) { return d.Decode(m.subject, nats.Header{}, m.text) })
		d.Close()
		cpu, held, n = cpu+c, held+h, n+1
	}
	b.ReportMetric(cpu/n, "µs-CPU/VM")
	b.ReportMetric(peerCPU/cpu, "times-faster-than-encoding/json")
	b.ReportMetric(held/n, "B/VM")
	b.ReportMetric(held/peerHeld, "of-encoding/json's-B")
	b.ReportMetric(0, "ns/op")
	runtime.KeepAlive(messages)
}
