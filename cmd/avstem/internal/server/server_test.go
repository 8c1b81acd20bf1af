package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

var (
	hostID = uuid.MustParse("6f1c2a52-8a8e-4b57-9a3b-3c1d52a0e001")
	vmID   = uuid.MustParse("0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001")
)

func TestFindingsAndEventsReachTheStreams(t *testing.T) {
	r := newRig(t)
	r.reconciler(nil)
	r.shows(4)
	open := r.untilStored("open vm.vcpus")
	r.shows(2)
	resolved := r.untilStored("resolved vm.vcpus")
	for id, f := range open {
		if got := resolved[id]; !got.FirstSeen.Equal(f.FirstSeen) {
			t.Errorf("first seen at %s and then at %s", f.FirstSeen, got.FirstSeen)
		}
	}
	r.untilEvents("opened.vm.vcpus", "resolved.vm.vcpus")
}

func TestRestartKeepsFirstSeenAndTellsNothingAnew(t *testing.T) {
	r := newRig(t)
	_, stop := r.reconciler(nil)
	r.shows(4)
	before := r.untilStored("open vm.vcpus")
	stop()
	s, _ := r.reconciler(nil)
	r.until("second run", func() error {
		if !s.engine.Status(time.Now()).Ready {
			return errors.New("not ready")
		}
		return nil
	})
	r.shows(5) // so that there is something to wait for
	var after map[string]reconcile.Finding
	r.until("second run's findings", func() error {
		after = r.untilStored("open vm.vcpus")
		for id := range before {
			if after[id].Message == before[id].Message {
				return errors.New("as before")
			}
		}
		return nil
	})
	for id, f := range before {
		if !after[id].FirstSeen.Equal(f.FirstSeen) {
			t.Errorf("first seen at %s and then at %s", f.FirstSeen, after[id].FirstSeen)
		}
	}
	r.untilEvents("opened.vm.vcpus", "changed.vm.vcpus")
}

func TestWipedFindingsAreWrittenAgain(t *testing.T) {
	wipe := map[string]func(context.Context, jetstream.JetStream) error{
		"purged": func(ctx context.Context, js jetstream.JetStream) error {
			stream, err := js.Stream(ctx, bus.StreamFindings)
			if err == nil {
				err = stream.Purge(ctx)
			}
			return err
		},
		"deleted": func(ctx context.Context, js jetstream.JetStream) error {
			return js.DeleteStream(ctx, bus.StreamFindings)
		},
		"deleted with all other streams": func(ctx context.Context, js jetstream.JetStream) error {
			return errors.Join(js.DeleteStream(ctx, bus.StreamObserved), js.DeleteStream(ctx, bus.StreamFindings), js.DeleteStream(ctx, bus.StreamDrift))
		},
		"overwritten": overwrite,
	}
	for name, do := range wipe {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			s, _ := r.reconciler(nil)
			r.shows(4)
			before := r.untilStored("open vm.vcpus")
			if err := do(t.Context(), r.reader.JetStream()); err != nil {
				t.Fatal(err)
			}
			s.audit(t.Context()) // which it does by itself, later
			after := r.untilStored("open vm.vcpus")
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("findings (-before +after):\n%s", diff)
			}
		})
	}
}

// overwrite puts another state in place of every finding.
func overwrite(ctx context.Context, js jetstream.JetStream) error {
	stream, err := js.Stream(ctx, bus.StreamFindings)
	if err != nil {
		return err
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter("avstem.>"))
	if err != nil {
		return err
	}
	for subject := range info.State.Subjects {
		id := subject[strings.LastIndex(subject, ".")+1:]
		if _, err := js.Publish(ctx, subject, []byte(`{"id":"`+id+`","state":"pending"}`)); err != nil {
			return err
		}
	}
	return nil
}

// An outage, and a store that comes back as it was some time ago.
func TestNATSAwayAndBackFromAnOldBackup(t *testing.T) {
	r := newRig(t)
	var log logs
	s, _ := r.reconciler(&log)
	r.shows(4)
	old := r.untilStored("open vm.vcpus")
	r.nats.Close()
	backup := t.TempDir()
	if err := os.CopyFS(backup, os.DirFS(filepath.Join(r.dir, "jetstream"))); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.untilBack()
	r.shows(5)
	r.until("the change is stored", func() error { return r.storedOtherThan(old) })
	r.until("the change is told", func() error {
		if got := r.events(); len(got) < 2 {
			return fmt.Errorf("only %v", got)
		}
		return nil
	})

	r.nats.Close()
	if err := errors.Join(os.RemoveAll(filepath.Join(r.dir, "jetstream")), os.CopyFS(filepath.Join(r.dir, "jetstream"), os.DirFS(backup))); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.untilBack()
	s.audit(t.Context()) // which it does by itself, later
	r.until("the change is stored again", func() error { return r.storedOtherThan(old) })
	if s.store.otherSeen(time.Now()) != "" {
		t.Error("an old backup is taken for another reconciler")
	}
	if diff := cmp.Diff([]string{"opened.vm.vcpus"}, r.events()); diff != "" {
		t.Errorf("events of the old backup and since (-want +got):\n%s", diff)
	}
}

// untilBack waits until everybody is connected again.
func (r *rig) untilBack() {
	r.t.Helper()
	r.pub.Forget()
	deadline := time.Now().Add(time.Minute)
	for _, conn := range r.conns {
		for !conn.NATS().IsConnected() {
			if time.Now().After(deadline) {
				r.t.Fatal("not connected again")
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func (r *rig) storedOtherThan(old map[string]reconcile.Finding) error {
	now, lines, err := r.stored()
	if err != nil {
		return err
	}
	for id, f := range now {
		if was, known := old[id]; known && was.Message == f.Message {
			return fmt.Errorf("as before: %s", f.Message)
		}
	}
	if len(now) != len(old) {
		return fmt.Errorf("there are %v", lines)
	}
	return nil
}

// An avstem that knows of no lease writes as it likes.
func TestWriterWithoutLeaseIsReported(t *testing.T) {
	r := newRig(t)
	s, _ := r.reconciler(nil)
	r.shows(4)
	before := r.untilStored("open vm.vcpus")
	if err := overwrite(t.Context(), r.reader.JetStream()); err != nil {
		t.Fatal(err)
	}
	s.audit(t.Context()) // which it does by itself, later
	if !r.log.has(otherReconciler) || s.store.otherSeen(time.Now()) == "" {
		t.Errorf("nobody was told:\n%s", r.log.text())
	}
	if diff := cmp.Diff(before, r.untilStored("open vm.vcpus")); diff != "" {
		t.Errorf("findings (-before +after):\n%s", diff)
	}
}

func TestQuestionsAreAnswered(t *testing.T) {
	r := newRig(t)
	r.reconciler(nil)
	r.shows(4)
	r.untilStored("open vm.vcpus")

	ask := func(endpoint, question string) *nats.Msg {
		reply, err := r.reader.NATS().Request("avstem.v1.reconcile.lab."+endpoint, []byte(question), 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	var e reconcile.Explanation
	reply := ask("explain", "web-01")
	if err := json.Unmarshal(reply.Data, &e); err != nil || e.VM == nil || len(e.Findings) != 1 {
		t.Errorf("explain: %v: %s", err, reply.Data)
	}
	reply = ask("explain", "wbe-01")
	if code := reply.Header.Get(micro.ErrorCodeHeader); code != "404" || !strings.Contains(reply.Header.Get(micro.ErrorHeader), "did you mean web-01?") {
		t.Errorf("what isn't known is answered with %q", reply.Header)
	}
	var s Status
	reply = ask("status", "")
	if err := json.Unmarshal(reply.Data, &s); err != nil || !s.Ready || s.Hosts != 1 || s.VMs != 1 || s.Findings.Open != 1 || s.Inventory.Version != "1" {
		t.Errorf("status: %v: %s", err, reply.Data)
	}
	var a evaluate.Answer
	reply = ask("numbers", "host")
	if err := json.Unmarshal(reply.Data, &a); err != nil || a.At.IsZero() || len(a.Numbers) != 1 || a.Numbers[0].VMs != 1 || a.Numbers[0].Identity.Durable != (evaluate.Share{Have: 1, Of: 1}) {
		t.Errorf("numbers: %v: %s", err, reply.Data)
	}
	reply = ask("numbers", "host bhyve")
	if err := json.Unmarshal(reply.Data, &a); err != nil || len(a.Numbers) != 0 {
		t.Errorf("numbers of another platform: %v: %s", err, reply.Data)
	}
	if reply = ask("numbers", "luck"); reply.Header.Get(micro.ErrorCodeHeader) != "404" {
		t.Errorf("numbers by luck are answered with %q", reply.Header)
	}
}

func TestForgedDocumentsAreRefused(t *testing.T) {
	r := newRig(t)
	r.reconciler(nil)
	r.shows(2)
	other := bus.Key{Site: "lab", Host: uuid.MustParse("6f1c2a52-8a8e-4b57-9a3b-3c1d52a0e002"), Source: "runtime-libvirt"}
	subject, err := bus.ObservedSubject(other)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(r.last)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.reader.JetStream().Publish(t.Context(), subject, data); err != nil {
		t.Fatal(err)
	}
	r.untilStored("open observe.refused")
}

func TestStoppedBeforeItHasBegun(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := New(Options{Conn: r.connect("reconciler"), Site: "lab", Policy: reconcile.DefaultPolicy(),
		Watch: func(context.Context, func(*sentral.Inventory)) {}})
	if err := s.Run(ctx); err != nil {
		t.Errorf("a stop is an error: %v", err)
	}
}

func TestHealthIsAnswered(t *testing.T) {
	r := newRig(t)
	r.reconciler(nil)
	r.shows(2)
	var health evaluate.Health
	r.until("health", func() error {
		if err := r.agent.Beat(bus.Heartbeat{Host: hostID, Site: "lab", Version: "v1.2.3", Epoch: r.epoch, Incarnation: agentID, At: time.Now().Add(-time.Hour)}); err != nil {
			return err
		}
		reply, err := r.reader.NATS().Request("avstem.v1.reconcile.lab.health", []byte("libvirt"), 5*time.Second)
		if err != nil {
			return err
		}
		if text := reply.Header.Get(micro.ErrorHeader); text != "" {
			return errors.New(text)
		}
		if err := json.Unmarshal(reply.Data, &health); err != nil {
			return err
		}
		if len(health.Hosts) != 1 || health.Hosts[0].Skew > -50*time.Minute {
			return fmt.Errorf("the clock is not said to be wrong: %+v", health)
		}
		return nil
	})
	if h := health.Hosts[0]; h.Host != "hv-01" || h.Version != "v1.2.3" || health.Whole.Total() != 1 || health.Whole.VMs != 1 || health.Whole.Agreeing != 1 {
		t.Errorf("got %+v", health)
	}
}

// Who leads tells what it found; who stands by is as ready, and tells of nothing
// that it doesn't judge.
func TestVitals(t *testing.T) {
	r := newRig(t)
	first, _ := r.reconciler(nil)
	r.shows(4)
	r.untilStored("open vm.vcpus")
	second, _ := r.reconciler(nil)
	r.until("both read what hosts show", func() error {
		now := time.Now().UTC()
		leads, stands := first.Vitals(now), second.Vitals(now)
		switch {
		case !leads.Leading || len(leads.Findings) != 1 || leads.Health == nil || leads.LastStep.IsZero() || leads.LastDocument.IsZero() || !leads.Ready || !leads.Connected:
			return fmt.Errorf("the one that leads: %+v", leads)
		case stands.Leading || stands.Findings != nil || stands.Health != nil || stands.LastDocument.IsZero() || !stands.Connected:
			return fmt.Errorf("the one that stands by: %+v", stands)
		case first.NotReady(now) != "" || second.NotReady(now) != "":
			return fmt.Errorf("not ready: %q, %q", first.NotReady(now), second.NotReady(now))
		}
		return nil
	})
}
