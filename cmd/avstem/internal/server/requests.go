package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/micro"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/engine"
	"github.com/dataverket/avstem/reconcile/policy"
	"github.com/dataverket/avstem/sentral"
)

const (
	// storedWithin is how long somebody who asked for a change waits for it to be
	// stored.
	storedWithin = 5 * time.Second
	// maxReason is how many bytes of a reason are kept with a finding.
	maxReason = 2000
	maxName   = 200
)

const codeWrong = "400"

// AckRequest asks to acknowledge a finding, or to take that back.
type AckRequest struct {
	Finding  string    `json:"finding"`
	By       string    `json:"by"`
	Reason   string    `json:"reason,omitempty"`
	Until    time.Time `json:"until,omitzero"`
	TakeBack bool      `json:"takeBack,omitempty"`
}

func (r *AckRequest) check() error {
	switch {
	case strings.TrimSpace(r.By) == "" || len(r.By) > maxName:
		return fmt.Errorf("acknowledge %s: say who you are, in %d bytes at most", r.Finding, maxName)
	case r.TakeBack:
		return nil
	case strings.TrimSpace(r.Reason) == "" || len(r.Reason) > maxReason:
		return fmt.Errorf("acknowledge %s: say why, in %d bytes at most", r.Finding, maxReason)
	case r.Until.IsZero():
		return fmt.Errorf("acknowledge %s: say until when", r.Finding)
	}
	return nil
}

// answerAcknowledge answers when the finding is stored as it is then.
func (s *Server) answerAcknowledge(r micro.Request) {
	var request AckRequest
	if err := json.Unmarshal(r.Data(), &request); err != nil {
		s.respond(r.Error(codeWrong, fmt.Sprintf("read the request: %v", err), nil))
		return
	}
	if err := request.check(); err != nil {
		s.respond(r.Error(codeWrong, err.Error(), nil))
		return
	}
	now := time.Now().UTC()
	var ack *reconcile.Acknowledgement
	if !request.TakeBack {
		ack = &reconcile.Acknowledgement{By: request.By, Reason: request.Reason, At: now, Until: request.Until.UTC()}
	}
	f, err := s.engine.Acknowledge(request.Finding, ack, now)
	if err != nil {
		code := codeSeveral
		if _, is := errors.AsType[*engine.NotReadyError](err); is {
			code = codeNotReady
		} else if errors.Is(err, reconcile.ErrNotKnown) {
			code = codeNotKnown
		}
		s.respond(r.Error(code, err.Error(), nil))
		return
	}
	s.log.Info("finding acknowledged", "finding", f.ID, "by", request.By, "takenBack", request.TakeBack, "until", request.Until, "reason", request.Reason)
	s.poke()
	for !s.store.saysOf(f.ID, ack) { // what was judged before may be on its way to the store still
		if time.Since(now) > storedWithin {
			s.respond(r.Error(codeBroken, fmt.Sprintf("acknowledge %s: it is taken, and not stored yet: NATS doesn't take it now", f.ID), nil))
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.respond(r.RespondJSON(f))
}

// saysOf says whether a finding stands in the store with this acknowledgement, nil for
// none.
func (s *store) saysOf(id string, ack *reconcile.Acknowledgement) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, has := s.acks[id]
	if ack == nil {
		return !has
	}
	return has && at.Equal(ack.At)
}

// noteAck remembers with which acknowledgement a finding stands in the store.
func (s *store) noteAck(f *reconcile.Finding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Acknowledged == nil {
		delete(s.acks, f.ID)
	} else {
		s.acks[f.ID] = f.Acknowledged.At
	}
}

// tasks takes what Maskin says.
func (s *Server) tasks() bus.TaskHandler {
	return bus.TaskHandler{
		Task: func(t bus.Task, at time.Time) {
			s.log.Debug("task heard", "task", t.Task, "vm", t.VM, "action", t.Action, "state", t.State)
			s.engine.Task(TaskOf(t), at, time.Now().UTC())
			s.poke()
		},
		Refused: func(subject string, err error) { s.log.Warn("task refused", "subject", subject, "err", err) },
	}
}

// TaskOf is what a task of Maskin's is to the core.
func TaskOf(t bus.Task) reconcile.Task {
	return reconcile.Task{
		ID: t.Task, VM: t.VM, Action: reconcile.Action(t.Action), State: reconcile.TaskState(t.State), Fields: t.Fields, Deadline: t.Deadline.UTC(),
	}
}

// judge takes another policy, or why there is none.
func (s *Server) judge(p reconcile.Policy, err error) {
	if err == nil {
		s.log.Info("policy read", "source", p.Source, "suppressions", len(p.Suppressions))
		s.engine.Judge(p)
		s.ledger.judge(p)
		s.poke()
		return
	}
	s.log.Error("the policy can't be used, and the one before is", "err", err)
	problems := []sentral.Problem{{Where: p.Source, Error: err.Error()}}
	if broken, is := errors.AsType[*policy.Error](err); is {
		problems = broken.Problems
	}
	s.engine.RefusePolicy(problems)
	s.poke()
}

// ConfirmRequest asks to use the inventory that is held back.
type ConfirmRequest struct {
	By      string `json:"by"`
	Version string `json:"version,omitempty"` // that is meant; any where empty
}

// answerConfirm answers when the decision is kept.
func (s *Server) answerConfirm(r micro.Request) {
	var request ConfirmRequest
	if err := json.Unmarshal(r.Data(), &request); err != nil {
		s.respond(r.Error(codeWrong, fmt.Sprintf("read the request: %v", err), nil))
		return
	}
	if strings.TrimSpace(request.By) == "" || len(request.By) > maxName {
		s.respond(r.Error(codeWrong, fmt.Sprintf("confirm the inventory: say who you are, in %d bytes at most", maxName), nil))
		return
	}
	was, err := s.engine.Confirm(request.Version)
	if err != nil {
		code := codeSeveral
		if errors.Is(err, engine.ErrNotHeld) {
			code, err = codeNotKnown, fmt.Errorf("confirm the inventory of site %s: %w", s.o.Site, err)
		}
		s.respond(r.Error(code, err.Error(), nil))
		return
	}
	s.log.Warn("inventory confirmed", "source", was.Source, "version", was.Version, "by", request.By)
	s.poke()
	// Either is enough: a restart reads both.
	if own, shared := s.keep(), s.ledger.decided(context.Background(), s.engine.Accepted()); shared != nil && (own != nil || s.o.Keep == "") {
		s.respond(r.Error(codeBroken, fmt.Sprintf("confirm the inventory: it is used, and will be held back again after a restart: %v", errors.Join(own, shared)), nil))
		return
	} else if shared != nil {
		s.respond(r.Error(codeBroken, fmt.Sprintf("confirm the inventory: it is used, and will be held back again by another reconciler that takes over: %v", shared), nil))
		return
	}
	s.respond(r.RespondJSON(was))
}
