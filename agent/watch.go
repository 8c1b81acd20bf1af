package agent

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/dataverket/avstem/collectors"
)

const (
	// restLeast and restTimes bound what events cost: a pass that an event caused
	// is followed by a rest from events of that many times what it took, so that a
	// storm of them keeps a source busy for a tenth of the time at most.
	restLeast = 500 * time.Millisecond
	restTimes = 10

	watchFirst  = 500 * time.Millisecond // before listening again
	watchMost   = 30 * time.Second
	watchAbsent = time.Minute // where the source isn't on this host
	watchSound  = time.Minute // after which a watch counts as sound

	failureLasts = time.Minute // before it is said
	failureAgain = time.Hour   // before it is said again
	watchGrace   = 2 * time.Second
)

// schedule says when a source's next pass is due: at each interval whatever
// happens, as no source tells of every change, and when the source tells of one.
type schedule struct {
	interval time.Duration
	regular  *time.Timer
	rest     *time.Timer
	resting  bool
	told     chan struct{} // holds one when something changed
}

func newSchedule(interval time.Duration) *schedule {
	s := &schedule{interval: interval, regular: time.NewTimer(0), rest: time.NewTimer(0), told: make(chan struct{}, 1)}
	s.rest.Stop()
	return s
}

func (s *schedule) stop() {
	s.regular.Stop()
	s.rest.Stop()
}

// next waits until a pass is due, and says false if ctx ended first. What was
// told until it returns, that pass sees.
func (s *schedule) next(ctx context.Context) (byEvent, ok bool) {
	for {
		told := s.told
		if s.resting {
			told = nil
		}
		select {
		case <-ctx.Done():
			return false, false
		case <-s.rest.C:
			s.resting = false
			continue
		case <-told:
			return true, true
		case <-s.regular.C:
		}
		select {
		case <-s.told:
		default:
		}
		return false, true
	}
}

// done notes that a pass was made.
func (s *schedule) done(byEvent bool, took time.Duration) {
	if byEvent {
		s.resting = true
		s.rest.Reset(max(restLeast, restTimes*took))
		return
	}
	s.regular.Reset(jitter(s.interval))
}

// listen keeps a watch of a source running until ctx ends. The function that it
// returns waits for the watch to end, but not for ever.
func (a *Agent) listen(ctx context.Context, w collectors.Watcher, told chan<- struct{}) (wait func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.keepWatching(ctx, w, told)
	}()
	return func() {
		grace := time.NewTimer(watchGrace)
		defer grace.Stop()
		select {
		case <-ended:
		case <-grace.C:
			a.log.Warn("watch doesn't end; leaving it behind", "source", w.Source())
		}
	}
}

func (a *Agent) keepWatching(ctx context.Context, w collectors.Watcher, told chan<- struct{}) {
	log := a.log.With("source", w.Source())
	r := retry{pause: watchFirst}
	lost := false // the watch before was listening
	for {
		began, heard := time.Now(), false
		err := watchOnce(ctx, w, func(collectors.Change) {
			if !heard {
				heard = true
				log.Debug("listening to source")
			}
			signal(told)
		})
		if ctx.Err() != nil {
			log.Debug("watch has ended")
			return
		}
		if lost && !heard {
			signal(told) // it is gone, and not just started anew
		}
		lost = heard
		wait, say := r.after(err, began, time.Now())
		if say {
			log.Warn("source can't be listened to; its changes are found by the pass at each interval", "err", err)
		}
		log.Debug("watch has ended; beginning it again", "err", err, "in", wait)
		if !sleep(ctx, jitter(wait)) {
			return
		}
	}
}

// retry decides how a watch that ended goes on.
type retry struct {
	pause         time.Duration
	failing, said time.Time // since when it fails, and when that was said last
}

// after says how long to wait before the next watch, and whether this is to be
// said to more than who debugs: it lasts, and was not said of late. That a source
// isn't on this host is no failure.
func (r *retry) after(err error, began, ended time.Time) (wait time.Duration, say bool) {
	if errors.Is(err, collectors.ErrAbsent) {
		*r = retry{pause: watchFirst, said: r.said}
		return watchAbsent, false
	}
	if ended.Sub(began) > watchSound || r.failing.IsZero() {
		r.pause, r.failing = watchFirst, ended
	}
	say = ended.Sub(r.failing) >= failureLasts && (r.said.IsZero() || ended.Sub(r.said) >= failureAgain)
	if say {
		r.said = ended
	}
	wait, r.pause = r.pause, min(2*r.pause, watchMost)
	return wait, say
}

// watchOnce watches until the source goes away. A panic is an error, as in a pass.
func watchOnce(ctx context.Context, w collectors.Watcher, changed func(collectors.Change)) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("watch %s: panic: %v\n%s", w.Source(), v, debug.Stack())
		}
	}()
	return w.Watch(ctx, changed)
}
