package server

import (
	"context"
	"fmt"
	"slices"
)

// maxUnderWay is how many events may be under way at a time.
const maxUnderWay = 64

// underWay is an event that was sent and isn't acknowledged yet.
type underWay struct {
	event
	acknowledged func(context.Context) error
}

// flushEvents tells what is to be told, up to the event with a number, in order and
// some at once.
func (s *Server) flushEvents(ctx context.Context, last uint64) error {
	for {
		batch := s.out.nextEvents(last)
		if len(batch) == 0 {
			return nil
		}
		if err := s.tellAll(ctx, batch); err != nil {
			return err
		}
	}
}

// tellAll tells events in order. Of each finding one is under way at a time: where
// one is refused, what follows it may be taken.
func (s *Server) tellAll(ctx context.Context, batch []event) error {
	var sent []underWay // oldest first
	settle := func() error {
		first := sent[0]
		sent = sent[1:]
		within, cancel := context.WithTimeout(ctx, writeWithin)
		defer cancel()
		if err := first.acknowledged(within); err != nil {
			return err
		}
		s.out.eventDone(&first.event)
		s.store.toldOne()
		return nil
	}
	for _, e := range batch {
		for len(sent) == maxUnderWay || slices.ContainsFunc(sent, func(u underWay) bool { return u.Subject == e.Subject }) {
			if err := settle(); err != nil {
				return err
			}
		}
		acknowledged, err := s.send(&e)
		if err != nil {
			return err
		}
		sent = append(sent, underWay{e, acknowledged})
	}
	for len(sent) > 0 {
		if err := settle(); err != nil {
			return err
		}
	}
	return nil
}

// send begins to tell an event. What can never be told counts as told.
func (s *Server) send(e *event) (acknowledged func(context.Context) error, err error) {
	if e.Finding, err = encode(&e.finding); err != nil {
		return nil, err
	}
	if err := s.store.holds(); err != nil {
		return nil, fmt.Errorf("publish drift event of finding %s: %w", e.Subject, err)
	}
	acknowledged, err = s.o.Conn.SendDrift(e.DriftEvent)
	if s.passOver(err) {
		return func(context.Context) error { return nil }, nil
	}
	return acknowledged, err
}
