package main

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/test/rig"
)

const eventsGuest = "0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001" // newPlace's web-01

// TestChangeIsSeenByItsEvent: a guest that is destroyed is seen to be stopped, on
// the stream and in the findings, long before the next pass that no event causes.
func TestChangeIsSeenByItsEvent(t *testing.T) {
	t.Parallel()
	r := rig.ForTestAs(t, "lab-01")
	p, docs := upOnRig(t, r)
	last := awaitState(t, docs, inventory.StatePaused)
	// The pass that a watch's beginning makes due may show one of them, and no more.
	for _, change := range []struct {
		command []string
		shows   inventory.State
	}{
		{[]string{"destroy", "web-01"}, inventory.StateStopped},
		{[]string{"start", "--paused", "web-01"}, inventory.StatePaused},
		{[]string{"destroy", "web-01"}, inventory.StateStopped},
	} {
		if _, err := r.Virsh(change.command...); err != nil {
			t.Fatal(err)
		}
		o := awaitState(t, docs, change.shows)
		if o.Epoch != last.Epoch || o.Gen <= last.Gen || !o.Complete {
			t.Errorf("document %d.%d (complete: %t) followed %d.%d", o.Epoch, o.Gen, o.Complete, last.Epoch, last.Gen)
		}
		last = o
	}
	// Whether a paused VM differs from one that should run is no matter here.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		found := p.drift(reconcile.VMState)
		i := slices.IndexFunc(found, func(f reconcile.Finding) bool { return f.Kind == reconcile.VMState })
		if found[i].Observed == string(inventory.StateStopped) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the finding is %+v", found[i])
		}
	}
}

// BenchmarkChangeToDocument says how long it takes from the end of a virsh destroy
// until a reader of the stream has the document that shows it: after the rest that
// the last event's pass was followed by, and in it.
func BenchmarkChangeToDocument(b *testing.B) {
	for _, c := range []struct {
		name  string
		quiet time.Duration
	}{{"quiet", 3 * time.Second}, {"after-another-change", 0}} {
		b.Run(c.name, func(b *testing.B) {
			r := rig.ForTestAs(b, "lab-01")
			_, docs := upOnRig(b, r)
			awaitState(b, docs, inventory.StatePaused)
			var virsh, took []time.Duration
			for b.Loop() {
				time.Sleep(c.quiet)
				began := time.Now()
				if _, err := r.Virsh("destroy", "web-01"); err != nil {
					b.Fatal(err)
				}
				called := time.Now()
				awaitState(b, docs, inventory.StateStopped)
				took = append(took, time.Since(called))
				virsh = append(virsh, called.Sub(began))
				if err := r.StartVMPaused("web-01"); err != nil {
					b.Fatal(err)
				}
				awaitState(b, docs, inventory.StatePaused)
			}
			slices.Sort(virsh)
			slices.Sort(took)
			ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
			b.ReportMetric(ms(took[len(took)/2]), "p50-ms")
			b.ReportMetric(ms(took[len(took)*99/100]), "p99-ms")
			b.ReportMetric(ms(virsh[len(virsh)/2]), "virsh-p50-ms")
			b.ReportMetric(0, "ns/op") // it is of the rest and of virsh
		})
	}
}

// upOnRig runs one whose host is a rig with a running guest, and whose interval is
// so long that only events explain what is seen. It gives the documents of libvirt
// as they come.
func upOnRig(t testing.TB, r *rig.Rig) (p *place, docs <-chan *inventory.Observation) {
	t.Helper()
	if err := r.Define(`<domain type='qemu'><name>web-01</name><uuid>` + eventsGuest + `</uuid><memory unit='MiB'>32</memory>
<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>`); err != nil {
		t.Fatal(err)
	}
	if err := r.StartVMPaused("web-01"); err != nil {
		t.Fatal(err)
	}
	p = newPlace(t)
	p.write("inventory.yaml", `
sites:
  - {id: lab}
projects:
  - {tenant: acme, id: web, environments: [prod]}
hosts:
  - {id: lab-01, name: lab-01, site: lab, platform: libvirt}
vms:
  - {id: `+eventsGuest+`, name: web-01, tenant: acme, project: web, environment: prod, site: lab, host: lab-01, state: running}
`)
	p.up("--root", r.Dir(), "--interval", "10m")
	return p, follow(t, p.state)
}

// follow reads what is on the stream and what comes to it.
func follow(t testing.TB, stateDir string) <-chan *inventory.Observation {
	t.Helper()
	var conn *bus.Conn
	var err error
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		conn, err = bus.Connect(t.Context(), bus.Options{StateDir: stateDir, Getenv: func(string) string { return "" }})
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	docs := make(chan *inventory.Observation, 1000)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- conn.Observations(ctx, bus.ObservationHandler{
			Observation: func(o *inventory.Observation) {
				if o.Source == "runtime-libvirt" {
					docs <- o
				}
			},
			Refused: func(subject string, err error) { t.Errorf("%s: %v", subject, err) },
			Ready:   func() {},
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-ended // by its context
		conn.Close()
	})
	return docs
}

// awaitState waits for the document that shows the guest so.
func awaitState(t testing.TB, docs <-chan *inventory.Observation, want inventory.State) *inventory.Observation {
	t.Helper()
	deadline := time.After(2 * time.Minute) // the interval is five times that
	var last []inventory.VM
	for {
		select {
		case o := <-docs:
			last = o.VMs
			if slices.ContainsFunc(last, func(vm inventory.VM) bool {
				return vm.UUID == uuid.MustParse(eventsGuest) && vm.State == want
			}) {
				return o
			}
		case <-deadline:
			t.Fatalf("no document shows the guest %s; the last one: %+v", want, last)
		}
	}
}
