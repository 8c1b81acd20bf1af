package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dataverket/avstem/collectors"
)

// watching begins an agent whose only source tells of changes, and lets the first
// pass and that of the watch's beginning go by.
func watching(t *testing.T, c *fakeWatcher, o Options) (w *fakeWire, end func()) {
	t.Helper()
	o.Collectors = []collectors.Collector{c}
	if o.Interval == 0 {
		o.Interval = time.Hour // so that only events can explain a pass
	}
	a := newAgent(t, o)
	w = newFakeWire()
	end = begin(t, a, w)
	pass(25 * time.Second)
	if got := c.count(); got != 2 && got != 1 { // one where the watch began before the first pass did
		t.Fatalf("the start makes %d passes", got)
	}
	return w, end
}

func TestEventMakesAPassAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeWatcher("network")
		w, end := watching(t, c, Options{})
		defer end()
		before := len(w.docs())
		c.show("eth0")
		at := time.Now()
		c.tell <- "link:eth0"
		synctest.Wait()
		docs := w.docs()
		if len(docs) != before+1 || len(docs[before].Links) != 1 {
			t.Fatalf("after an event there are %d documents, not %d", len(docs), before+1)
		}
		if got := w.at[before].Sub(at); got != 0 {
			t.Errorf("it was published after %s", got)
		}
	})
}

func TestWatchThatBeginsMakesAPassDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeWatcher("network")
		_, end := watching(t, c, Options{})
		defer end()
		before := c.count()
		c.fail <- errors.New("it went away")
		pass(time.Minute)
		if got := c.count(); got != before+1 {
			t.Errorf("a watch that began again made %d passes", got-before)
		}
	})
}

// A source that goes away is seen to be gone at once, and not at the next interval.
func TestSourceThatIsGoneIsLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeWatcher("network")
		var down atomic.Bool
		c.begin = func() error {
			if down.Load() {
				return errors.New("connection refused")
			}
			return nil
		}
		_, end := watching(t, c, Options{})
		defer end()
		before := c.count()
		down.Store(true)
		c.fail <- errors.New("it went away")
		pass(time.Second)
		if got := c.count(); got != before+1 {
			t.Errorf("a second after it went away there were %d passes", got-before)
		}
		pass(time.Minute)
		if got := c.count(); got != before+1 {
			t.Errorf("while it stays away there were %d passes", got-before)
		}
	})
}

func TestEventsBeforeAPassAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeWatcher("network")
		c.slow = 2 * time.Second
		_, end := watching(t, c, Options{})
		defer end()
		before := c.count()
		for i := range 1000 { // the first begins a pass, the others come while it is in flight
			c.tell <- fmt.Sprintf("link:%d", i)
		}
		at := time.Now()
		pass(time.Hour / 2)
		if got := c.count() - before; got != 2 {
			t.Fatalf("1000 events made %d passes", got)
		}
		first, second := c.at[before].Sub(at), c.at[before+1].Sub(at)
		if first != 2*time.Second || second != 24*time.Second { // 2 s, a rest of ten times that, and 2 s
			t.Errorf("the passes ended after %s and %s", first, second)
		}
	})
}

// TestChangeDuringAPassIsSeen: a pass may have read what changed before it did.
func TestChangeDuringAPassIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeWatcher("network")
		c.slow = time.Second
		_, end := watching(t, c, Options{Interval: 30 * time.Minute})
		defer end()
		before := c.count()
		for !c.inFlight() { // the regular pass
			time.Sleep(time.Second / 4)
			synctest.Wait()
		}
		c.tell <- "link:eth0"
		pass(5 * time.Minute)
		if got := c.count() - before; got != 2 {
			t.Errorf("there were %d passes, and not the regular one and one more", got)
		}
	})
}

func TestStormOfEventsIsBounded(t *testing.T) {
	for _, took := range []time.Duration{0, 10 * time.Millisecond, time.Second} {
		t.Run(took.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newFakeWatcher("runtime-libvirt")
				c.slow = took
				_, end := watching(t, c, Options{Interval: time.Minute})
				defer end()
				before := c.count()
				const lasts = 10 * time.Minute
				for began := time.Now(); time.Since(began) < lasts; time.Sleep(20 * time.Millisecond) {
					c.tell <- "vm:it-resets-itself"
				}
				synctest.Wait()
				made := c.count() - before
				// One event pass each rest, and beside them one each interval.
				most := int(lasts/(took+max(restLeast, restTimes*took))) + 1 + 12
				if made > most || made < most*8/10 {
					t.Errorf("a storm of %s made %d passes of %s, and not some %d", lasts, made, took, most)
				}
			})
		})
	}
}

func TestRegularPassStaysDueUnderAStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeWatcher("runtime-libvirt")
		c.slow = 10 * time.Second // so that events may make one each 110 s
		_, end := watching(t, c, Options{Interval: 30 * time.Second})
		defer end()
		before := c.count()
		for began := time.Now(); time.Since(began) < 10*time.Minute; time.Sleep(time.Second) {
			c.tell <- "vm:x"
		}
		for i := before; i+1 < c.count(); i++ {
			// The interval, its jitter, the pass, and one of an event before it.
			if gap := c.at[i+1].Sub(c.at[i]); gap > 53*time.Second {
				t.Errorf("there were %s between two passes", gap)
			}
		}
	})
}

func TestWatchThatEndsIsBegunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := newFakeWatcher("network")
		var down atomic.Bool
		down.Store(true)
		c.begin = func() error {
			if down.Load() {
				return errors.New("connection refused")
			}
			return nil
		}
		_, end := watching(t, c, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		pass(59 * time.Minute / 2)
		n := len(c.watches())
		if n < 60 || n > 80 { // some 7 while it backs off, and then one each 30 s
			t.Errorf("it was begun %d times in half an hour", n)
		}
		if first := c.watches()[1].Sub(c.watches()[0]); first < 450*time.Millisecond || first > 550*time.Millisecond {
			t.Errorf("it was begun again after %s", first)
		}
		before := c.count()
		down.Store(false)
		pass(time.Minute)
		c.tell <- "link:eth0"
		pass(time.Second)
		if got := c.count() - before; got != 2 { // of its beginning, and of the event
			t.Errorf("after it came back there were %d passes", got)
		}
		end()
		if got := strings.Count(log.String(), "can't be listened to"); got != 1 || !strings.Contains(log.String(), "connection refused") {
			t.Errorf("a failure that lasts is said %d times:\n%s", got, log.String())
		}
	})
}

func TestAbsentSourceIsLookedForSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := newFakeWatcher("runtime-lxd")
		c.begin = func() error { return fmt.Errorf("no socket: %w", collectors.ErrAbsent) }
		_, end := watching(t, c, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		pass(10 * time.Minute)
		if n := len(c.watches()); n < 10 || n > 13 {
			t.Errorf("it was looked for %d times in 11 minutes", n)
		}
		if got := c.count(); got != 1 {
			t.Errorf("it made %d passes", got)
		}
		end()
		if strings.Contains(log.String(), "listened") {
			t.Errorf("that it isn't there is said:\n%s", log.String())
		}
	})
}

func TestPanicOfAWatchIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeWatcher("network")
		c.begin = func() error { panic("defect") }
		_, end := watching(t, c, Options{})
		defer end()
		if n := len(c.watches()); n < 5 {
			t.Errorf("it was begun %d times in a minute", n)
		}
	})
}

func TestEndWaitsForAWatchButNotForEver(t *testing.T) {
	for stays, most := range map[time.Duration]time.Duration{0: 0, time.Second: time.Second, time.Hour: watchGrace} {
		t.Run(stays.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				c := newFakeWatcher("network")
				c.stays = stays
				_, end := watching(t, c, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
				at := time.Now()
				end()
				if took := time.Since(at); took != most {
					t.Errorf("the end took %s", took)
				}
				pass(2 * time.Hour) // what was left behind ends, too
				if left := strings.Contains(log.String(), "leaving it behind"); left != (stays > watchGrace) {
					t.Errorf("of a watch that stays for %s it says:\n%s", stays, log.String())
				}
			})
		})
	}
}

// TestNoWatchGoesOnAfterTheEnd: a bubble ends only when its goroutines have.
func TestNoWatchGoesOnAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeWatcher("network")
		a := newAgent(t, Options{Collectors: []collectors.Collector{c}})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		pass(time.Second)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		began := len(c.watches())
		pass(time.Hour)
		if len(c.watches()) != began {
			t.Error("it was begun again after the end")
		}
	})
}
