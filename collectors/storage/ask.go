package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// answerTime is how long one file system or device may take to be read. A
	// dead NFS server, or a disk whose every path is down, never answers.
	answerTime = 2 * time.Second
	// inParallel bounds the calls that are on their way and not given up yet,
	// mostStuck those that were given up and hold a thread until they return.
	inParallel = 8
	mostStuck  = 64
)

var errTooManyStuck = fmt.Errorf("not asked: %d others don't answer", mostStuck)

// asker makes calls that can't be broken off, each in a goroutine of its own.
// What has not answered is neither asked again nor waited for until it has, so
// that a dead server costs one goroutine and one wait, and not one each pass.
type asker[T any] struct {
	mu      sync.Mutex
	waiting map[string]*question[T]
	stuck   int
	slots   chan struct{}
}

// question is a call that was made, in this pass or before it.
type question[T any] struct {
	begun  chan struct{} // closed when it is on its way
	asked  time.Time     // valid then
	answer chan answer[T]
}

type answer[T any] struct {
	value T
	err   error
}

// ask asks about one thing, unless an earlier question about it is still open:
// then it gives that.
func (a *asker[T]) ask(about string, call func() (T, error)) *question[T] {
	a.mu.Lock()
	defer a.mu.Unlock()
	if pending, found := a.waiting[about]; found {
		return pending
	}
	if a.waiting == nil {
		a.waiting, a.slots = map[string]*question[T]{}, make(chan struct{}, inParallel)
	}
	q := &question[T]{begun: make(chan struct{}), answer: make(chan answer[T], 1)}
	a.waiting[about] = q
	go a.run(about, q, call)
	return q
}

func (a *asker[T]) run(about string, q *question[T], call func() (T, error)) {
	var reply answer[T]
	if a.begin(q) {
		reply = a.watched(call)
	} else {
		reply.err = errTooManyStuck
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.waiting, about)
	q.answer <- reply
}

// begin waits for the call's turn, which comes: no call keeps its slot for
// longer than answerTime. It says whether there may be one more.
func (a *asker[T]) begin(q *question[T]) bool {
	a.slots <- struct{}{}
	a.mu.Lock()
	mayBegin := a.stuck < mostStuck
	a.mu.Unlock()
	if !mayBegin {
		<-a.slots
	}
	q.asked = time.Now()
	close(q.begun)
	return mayBegin
}

// watched makes the call, and lets the next begin when it takes too long.
func (a *asker[T]) watched(call func() (T, error)) answer[T] {
	late := time.AfterFunc(answerTime, func() {
		a.mu.Lock()
		a.stuck++
		a.mu.Unlock()
		<-a.slots
	})
	value, err := call()
	if late.Stop() {
		<-a.slots
	} else {
		a.mu.Lock()
		a.stuck--
		a.mu.Unlock()
	}
	return answer[T]{value, err}
}

// await waits until answerTime after the call, which for an old one is over.
func (q *question[T]) await(ctx context.Context) (T, error) {
	select { // what has been answered counts, however late it is looked at
	case a := <-q.answer:
		return a.value, a.err
	default:
	}
	var none T
	select {
	case <-q.begun:
	case <-ctx.Done():
		return none, fmt.Errorf("not asked: %w", ctx.Err())
	}
	ctx, cancel := context.WithDeadline(ctx, q.asked.Add(answerTime))
	defer cancel()
	select {
	case a := <-q.answer:
		return a.value, a.err
	case <-ctx.Done():
		return none, fmt.Errorf("no answer since %s: %w", q.asked.UTC().Format(time.RFC3339), ctx.Err())
	}
}

// timedOut says whether the error is of something that doesn't answer.
func timedOut(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errTooManyStuck)
}
