package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/collectors/collectorstest"
	"github.com/dataverket/avstem/inventory"
)

// A device whose attribute is never answered (here a FIFO in sysfs's place, whose
// reader the kernel blocks) stays listed, is a problem of its own, and is seen
// again as soon as it answers.
func TestHangingDevice(t *testing.T) {
	root := collectorstest.Tree(t, "testdata/server.txtar")
	size := filepath.Join(root, "sys/block/sdc/size")
	if err := errors.Join(os.Remove(size), unix.Mkfifo(size, 0o600)); err != nil {
		t.Fatal(err)
	}
	c := &Collector{Root: root}
	const entity = "blockDevice:sdc"
	var since string
	for range 3 {
		o := observe(c)
		if i := indexOf(o, "sdc"); !o.Complete || i < 0 || o.BlockDevices[i].Size != nil {
			t.Errorf("complete is %t, sdc is at %d: want it listed without a size", o.Complete, i)
		}
		if i := indexOf(o, "sdd"); i < 0 || o.BlockDevices[i].WWN == "" {
			t.Errorf("sdd beside it isn't whole: %v", o.BlockDevices)
		}
		p, found := o.ProblemOf(entity, "")
		if !found || p.Why != inventory.WhyTimedOut || p.Remedy == "" || since != "" && p.Error != since {
			t.Errorf("problem %+v: want timed-out, with a remedy, and since when (%s)", p, since)
		}
		since = p.Error
	}
	c.devices.mu.Lock()
	if n := len(c.devices.waiting); n != 1 {
		t.Errorf("%d calls wait after three passes, want the one", n)
	}
	c.devices.mu.Unlock()

	answerFIFO(t, size, "4294967296\n")
	settle(t, &c.devices)
	o := observe(c)
	if _, found := o.ProblemOf(entity, ""); found {
		t.Errorf("problems after it answered: %v", o.Problems)
	}
	if i := indexOf(o, "sdc"); i < 0 || o.BlockDevices[i].Size == nil || o.BlockDevices[i].WWN == "" {
		t.Errorf("sdc isn't whole after it answered: %v", o.BlockDevices)
	}
}

// answerFIFO puts a regular file in a FIFO's place, and lets go whoever reads it.
func answerFIFO(t *testing.T, fifo, text string) {
	t.Helper()
	writer, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	regular := fifo + ".new"
	if err := errors.Join(os.WriteFile(regular, []byte(text), 0o600), os.Rename(regular, fifo)); err != nil {
		t.Fatal(err)
	}
	if _, err := writer.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func indexOf(o *inventory.Observation, name string) int {
	return slices.IndexFunc(o.BlockDevices, func(d inventory.BlockDevice) bool { return d.Name == name })
}

// However many don't answer, no more than a few are asked at once, no more than
// mostStuck hold a thread, and what answers is heard.
func TestManyHanging(t *testing.T) {
	release := make(chan struct{})
	var mu sync.Mutex
	asked := map[string]int{}
	const hanging = 2*inParallel + 3
	mounts := func() (mounts []string) {
		for i := range hanging {
			mounts = append(mounts, fmt.Sprintf("/dead/%02d", i))
		}
		return append(mounts, "/zz/alive")
	}()
	var a asker[usage]
	pass := func(ctx context.Context) (errs []error) {
		var questions []*question[usage]
		for _, m := range mounts {
			questions = append(questions, a.ask(m, func() (usage, error) {
				mu.Lock()
				asked[m]++
				mu.Unlock()
				if strings.HasPrefix(m, "/dead/") {
					<-release
				}
				return usage{}, nil
			}))
		}
		for _, q := range questions {
			_, err := q.await(ctx)
			errs = append(errs, err)
		}
		return errs
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for n := range 2 {
		begin := time.Now()
		for i, err := range pass(ctx) {
			if alive := i == hanging; alive != (err == nil) || !alive && !timedOut(err) {
				t.Errorf("pass %d, %s: %v", n, mounts[i], err)
			}
		}
		if n > 0 && time.Since(begin) > answerTime {
			t.Errorf("pass %d waited %s again for what is known not to answer", n, time.Since(begin))
		}
	}
	mu.Lock()
	if asked["/dead/00"] != 1 || asked["/zz/alive"] != 2 {
		t.Errorf("asked %v: want the dead once and the living each time", asked)
	}
	mu.Unlock()
	close(release)
	settle(t, &a)
	if a.stuck != 0 || len(a.slots) != 0 {
		t.Errorf("%d stuck, %d slots taken after all were answered", a.stuck, len(a.slots))
	}
}

// settle waits until every question has its answer.
func settle[T any](t *testing.T, a *asker[T]) {
	t.Helper()
	open := func() int {
		a.mu.Lock()
		defer a.mu.Unlock()
		return len(a.waiting)
	}
	for deadline := time.Now().Add(time.Minute); open() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d questions are open after all were answered", open())
		}
	}
}

func TestTooManyHanging(t *testing.T) {
	a := asker[usage]{stuck: mostStuck}
	_, err := a.ask("/one/more", func() (usage, error) { return usage{}, nil }).await(t.Context())
	if !errors.Is(err, errTooManyStuck) {
		t.Errorf("one more than %d: %v, want %v", mostStuck, err, errTooManyStuck)
	}
	if p := problemOf("/one/more", err); p.Why != inventory.WhyTimedOut || p.Remedy == "" {
		t.Errorf("problem %+v: want timed-out with a remedy", p)
	}
	if p := unanswered("sda", collectors.ErrAbsent); p.Entity != "blockDevice:sda" {
		t.Errorf("problem %+v", p)
	}
}
