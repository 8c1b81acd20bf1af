package libvirt

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
)

// How the slow lane behaves.
const (
	laneWorkers = 2                // calls that may be in a monitor at once
	laneBox     = 3 * time.Second  // for one VM, all its disks
	laneFresh   = 10 * time.Second // sizes younger than that are not read again
	// A job that waits for a VM's monitor is given up by libvirtd after 30 s
	// (QEMU_JOB_WAIT_TIME). Coming back later than that leaves at most one
	// waiting in the daemon for each wedged VM.
	laneBackOff    = 35 * time.Second
	laneMaxBackOff = 10 * time.Minute
)

// lane is the slow lane: it asks what may never be answered (the sizes of disks,
// which come out of a QEMU monitor or off a file system that may hang) beside the
// passes, VM by VM, each in a box of time. A VM that doesn't answer is left alone
// for longer and longer; its neighbours don't notice.
//
// Workers run only while there is something to ask, each on a connection of its
// own, since giving up a call costs the connection.
type lane struct {
	connect func(context.Context) (*client, error)
	root    string        // of image paths
	wait    time.Duration // of a pass, for what was never answered
	box     time.Duration // of one question
	fresh   time.Duration // for which an answer does
	backOff time.Duration // after a question that wasn't answered in its box
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	entries map[uuid.UUID]*entry
	queue   []*entry
	workers int
	idle    []*client     // connections of workers that ended
	changed chan struct{} // closed and replaced when an answer came
	readers chan struct{} // tokens for reading images
	closed  bool
}

// entry is one question, that of the VM with that UUID or, for uuid.Nil, of the
// hypervisor's version.
type entry struct {
	question question
	answer   answer
	tries    int       // without success, since the last one
	notYet   time.Time // not to be asked before
	asked    bool      // an answer or a failure is there
	busy     bool      // in the queue or with a worker
}

func newLane(c *Collector) *lane {
	l := &lane{root: c.Root, wait: c.SlowWait, box: laneBox, fresh: laneFresh, backOff: laneBackOff,
		entries: map[uuid.UUID]*entry{},
		changed: make(chan struct{}), readers: make(chan struct{}, 2*laneWorkers)}
	l.connect = func(ctx context.Context) (*client, error) {
		return connect(ctx, c.sockets(), c.URI, min(c.CallTimeout, laneBox))
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// ask sets the questions of a pass, forgets those that nobody asks any more, and
// puts to work what is due.
func (l *lane) ask(questions []question) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	now := time.Now()
	entries := make(map[uuid.UUID]*entry, len(questions))
	for _, q := range questions {
		e := l.entries[q.id]
		if e == nil || !e.question.same(q) {
			// A worker may still hold the old entry; its answer is then nobody's.
			e = &entry{}
		}
		e.question = q
		entries[q.id] = e
		if !e.busy && now.After(e.notYet) {
			e.busy = true
			l.queue = append(l.queue, e)
		}
	}
	l.entries = entries
	for l.workers < min(laneWorkers, len(l.queue)) {
		l.workers++
		l.running.Go(l.work)
	}
}

// await waits until every question has been put at least once.
func (l *lane) await(ctx context.Context, limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		l.mu.Lock()
		changed, open := l.changed, false
		for _, e := range l.entries {
			open = open || !e.asked
		}
		open = open && !l.closed
		l.mu.Unlock()
		if !open {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// known gives the answer to a question, and false where it has never been put.
func (l *lane) known(id uuid.UUID) (answer, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[id]
	if e == nil {
		return answer{}, false
	}
	return e.answer, e.asked
}

// work answers questions until there are none.
func (l *lane) work() {
	var cl *client
	for {
		l.mu.Lock()
		if cl == nil && len(l.idle) > 0 {
			cl, l.idle = l.idle[0], l.idle[1:]
		}
		e := l.next()
		if e == nil {
			l.workers--
			if cl != nil && !l.closed {
				l.idle = append(l.idle, cl)
				cl = nil
			}
			l.mu.Unlock()
			if cl != nil {
				cl.close(nil)
			}
			return
		}
		q := e.question
		l.mu.Unlock()
		var a answer
		cl, a = l.put(cl, q)
		l.file(e, a)
	}
}

// next takes the first question off the queue that is still asked.
func (l *lane) next() *entry {
	for len(l.queue) > 0 && !l.closed {
		e := l.queue[0]
		l.queue = l.queue[1:]
		if l.entries[e.question.id] == e {
			return e
		}
	}
	return nil
}

// put asks one question within its box, on the worker's connection or a new one.
func (l *lane) put(cl *client, q question) (*client, answer) {
	ctx, cancel := context.WithTimeoutCause(l.ctx, l.box,
		fmt.Errorf("no answer within %s: %w", l.box, context.DeadlineExceeded))
	defer cancel()
	if cl == nil || cl.lost() {
		if cl != nil {
			cl.close(nil)
		}
		var err error
		if cl, err = l.connect(ctx); err != nil {
			return nil, q.failed(err)
		}
	}
	return cl, l.answer(ctx, cl, q)
}

// file keeps an answer. What an earlier one knew stays where this one failed.
func (l *lane) file(e *entry, a answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	e.busy, e.asked = false, true
	e.answer = a.over(e.answer)
	if a.timedOut {
		e.notYet = now.Add(min(l.backOff<<min(e.tries, 8), laneMaxBackOff))
		e.tries++
	} else {
		e.notYet, e.tries = now.Add(l.fresh), 0
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

// close ends the workers and their connections, and waits for them.
func (l *lane) close() {
	l.cancel()
	l.mu.Lock()
	l.closed = true
	idle := l.idle
	l.idle, l.queue = nil, nil
	close(l.changed)
	l.changed = make(chan struct{})
	l.mu.Unlock()
	for _, cl := range idle {
		cl.close(nil)
	}
	l.running.Wait()
}
