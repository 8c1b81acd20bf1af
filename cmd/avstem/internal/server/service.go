package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/micro"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/avstem/internal/names"
	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/engine"
)

// The codes of errors that the service answers with, as HTTP has them.
const (
	codeNotKnown = "404"
	codeSeveral  = "409"
	codeBroken   = "500"
	codeNotReady = "503"
)

// Status is what the status endpoint answers.
type Status struct {
	engine.Status
	// Reconciler is who answers, Other somebody who writes the same findings
	// without the site's lease.
	Reconciler string `json:"reconciler"`
	Other      string `json:"other,omitempty"`
	// Unwritten is how many findings and events wait to be written.
	Unwritten int `json:"unwritten"`
	// Names are those by which findings can be chosen, where they were asked for.
	Names *names.Names `json:"names,omitempty"`
}

// What the status endpoint may be asked for besides: the names that the inventory and
// the findings have, or also those that hosts alone show, which takes a full pass.
const (
	WithRecordedNames = "recorded names"
	WithNames         = "names"
)

// serve answers questions: avstem.v1.reconcile.SITE.explain takes what
// [engine.Engine.Explain] takes and answers a reconcile.Explanation as JSON;
// avstem.v1.reconcile.SITE.status takes nothing, [WithRecordedNames] or [WithNames] and answers a [Status]; avstem.v1.reconcile.SITE.numbers
// takes an evaluate.By, and a platform behind a space where one alone is wanted,
// and answers an evaluate.Answer; avstem.v1.reconcile.SITE.health takes a platform
// or nothing and answers an evaluate.Health; avstem.v1.reconcile.SITE.acknowledge
// takes an [AckRequest] and answers the finding; avstem.v1.reconcile.SITE.confirm
// takes a [ConfirmRequest] and answers the engine.Held that is used from now on.
func (s *Server) serve() (micro.Service, error) {
	explain, err := bus.ExplainSubject(s.o.Site)
	if err != nil {
		return nil, err
	}
	service, err := micro.AddService(s.o.Conn.NATS(), micro.Config{
		Name:        "avstem-reconcile",
		Version:     "1.0.0", // of these endpoints
		Description: "holds what hosts show against what Sentral says",
		Metadata:    map[string]string{"site": s.o.Site, "reconciler": s.store.self},
	})
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		service.AddEndpoint("explain", micro.HandlerFunc(s.answerExplain), micro.WithEndpointSubject(explain)),
		service.AddEndpoint("status", micro.HandlerFunc(s.answerStatus), micro.WithEndpointSubject(besideExplain(explain, "status"))),
		service.AddEndpoint("numbers", micro.HandlerFunc(s.answerNumbers), micro.WithEndpointSubject(besideExplain(explain, "numbers"))),
		service.AddEndpoint("places", micro.HandlerFunc(s.answerPlaces), micro.WithEndpointSubject(besideExplain(explain, "places"))),
		service.AddEndpoint("input", micro.HandlerFunc(s.answerInput), micro.WithEndpointSubject(besideExplain(explain, "input"))),
		service.AddEndpoint("health", micro.HandlerFunc(s.answerHealth), micro.WithEndpointSubject(besideExplain(explain, "health"))),
		service.AddEndpoint("confirm", micro.HandlerFunc(s.answerConfirm), micro.WithEndpointSubject(besideExplain(explain, "confirm"))),
		service.AddEndpoint("acknowledge", micro.HandlerFunc(s.answerAcknowledge), micro.WithEndpointSubject(besideExplain(explain, "acknowledge"))),
	)
	if err != nil {
		return nil, errors.Join(err, service.Stop())
	}
	return service, nil
}

func besideExplain(explain, endpoint string) string {
	return strings.TrimSuffix(explain, "explain") + endpoint
}

func (s *Server) answerExplain(r micro.Request) {
	explanation, err := s.engine.Explain(string(r.Data()), time.Now().UTC())
	if err == nil {
		var data []byte
		if data, err = json.Marshal(explanation); err == nil {
			s.respondWith(r, data)
			return
		}
	}
	code := codeSeveral
	notReady, isNotReady := errors.AsType[*engine.NotReadyError](err)
	notKnown, isNotKnown := errors.AsType[*engine.NotKnownError](err)
	details := struct {
		Error string   `json:"error"`
		Near  []string `json:"near,omitempty"`
	}{Error: err.Error()}
	switch {
	case isNotReady:
		code, details.Error = codeNotReady, notReady.Error()
	case isNotKnown:
		code, details.Near = codeNotKnown, notKnown.Near
	}
	data, err := json.Marshal(details)
	if err != nil {
		code = codeBroken
	}
	s.respond(r.Error(code, details.Error, data))
}

func (s *Server) answerStatus(r micro.Request) {
	now := time.Now().UTC()
	status := s.status(now)
	if question := string(r.Data()); question == WithNames || question == WithRecordedNames {
		status.Names = s.names(now, question == WithNames)
	}
	data, err := json.Marshal(&status)
	if err != nil {
		s.respond(r.Error(codeBroken, err.Error(), nil))
		return
	}
	s.respondWith(r, data)
}

// names are those by which findings can be chosen, with those that only hosts show or
// without them; nil while nothing is known to have them from.
func (s *Server) names(now time.Time, shown bool) *names.Names {
	intended := s.engine.Intended()
	var result *reconcile.Result
	if shown {
		result, _, _, _ = s.engine.Books(now) // nil is no result
	}
	if intended == nil && result == nil {
		return nil
	}
	all := names.Of(intended, result, s.engine.Findings())
	return &all
}

func (s *Server) status(now time.Time) Status {
	return Status{Status: s.engine.Status(now), Reconciler: s.store.self, Other: s.store.otherSeen(now), Unwritten: s.out.size()}
}

// answerNumbers counts anew at each question: nobody asks often, and nothing has
// to be kept current.
func (s *Server) answerNumbers(r micro.Request) {
	result, documents, at, err := s.engine.Books(time.Now().UTC())
	if err != nil {
		s.respond(r.Error(codeNotReady, err.Error(), nil))
		return
	}
	group, platform, _ := strings.Cut(string(r.Data()), " ")
	by := evaluate.By(group)
	if !by.Known() {
		s.respond(r.Error(codeNotKnown, fmt.Sprintf("numbers are not made by %q", by), nil))
		return
	}
	numbers := evaluate.Measure(documents, result, at, by)
	if platform != "" {
		numbers = slices.DeleteFunc(numbers, func(n evaluate.Numbers) bool { return n.Platform != platform })
	}
	data, err := json.Marshal(evaluate.Answer{At: at, Numbers: numbers})
	if err != nil {
		s.respond(r.Error(codeBroken, err.Error(), nil))
		return
	}
	s.respondWith(r, data)
}

// respondWith says so where the answer is too large to be sent: the one who asked
// would wait in vain.
func (s *Server) respondWith(r micro.Request, data []byte) {
	if limit := s.o.Conn.NATS().MaxPayload(); int64(len(data)) > limit {
		s.respond(r.Error(codeBroken, fmt.Sprintf("the answer has %d bytes, and NATS takes %d: ask for less (one VM or finding, or --platform)", len(data), limit), nil))
		return
	}
	s.respond(r.Respond(data))
}

func (s *Server) respond(err error) {
	if err != nil {
		s.log.Warn("an answer was not sent", "err", err)
	}
}
