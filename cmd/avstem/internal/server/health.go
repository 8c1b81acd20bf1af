package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/micro"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/evaluate"
)

const (
	// maxAgents bounds what is remembered of agents: a host ID costs nothing to
	// make up. It is well above what a site has.
	maxAgents = 50_000
	// agentFor is how long an agent is remembered after it was heard last.
	agentFor = 24 * time.Hour
	// maxVersion is how many bytes of an agent's version are kept.
	maxVersion = 64
)

// agents is what heartbeats say of the agents themselves, which judging doesn't
// need: their versions, and how wrong their hosts' clocks are.
type agents struct {
	mu   sync.Mutex
	all  map[uuid.UUID]agent
	tidy time.Time // when those that were not heard for long were dropped last
}

type agent struct {
	evaluate.Agent
	heard time.Time
}

func newAgents() *agents { return &agents{all: map[uuid.UUID]agent{}} }

func (a *agents) hear(b *bus.Heartbeat, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.Sub(a.tidy) > time.Hour {
		a.tidy = now
		maps.DeleteFunc(a.all, func(_ uuid.UUID, known agent) bool { return now.Sub(known.heard) > agentFor })
	}
	if _, known := a.all[b.Host]; !known && len(a.all) >= maxAgents {
		return
	}
	heard := agent{heard: now}
	heard.Version = b.Version[:min(len(b.Version), maxVersion)]
	if !b.At.IsZero() {
		heard.Skew = b.At.Sub(now)
	}
	a.all[b.Host] = heard
}

// known gives what is known of each agent.
func (a *agents) known() map[uuid.UUID]evaluate.Agent {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make(map[uuid.UUID]evaluate.Agent, len(a.all))
	for id, known := range a.all {
		all[id] = known.Agent
	}
	return all
}

// answerHealth counts anew at each question, as answerNumbers does.
func (s *Server) answerHealth(r micro.Request) {
	result, _, at, err := s.engine.Books(time.Now().UTC())
	if err != nil {
		s.respond(r.Error(codeNotReady, err.Error(), nil))
		return
	}
	// A platform by its name alone, or what is asked as JSON.
	asked := evaluate.HostsAsked{Platform: string(r.Data())}
	if bytes.HasPrefix(r.Data(), []byte("{")) {
		asked = evaluate.HostsAsked{}
		if err := json.Unmarshal(r.Data(), &asked); err != nil {
			s.respond(r.Error(codeWrong, fmt.Sprintf("read the question: %v", err), nil))
			return
		}
	}
	data, err := json.Marshal(evaluate.HealthOf(result, s.agents.known(), s.o.Site, asked, at))
	if err != nil {
		s.respond(r.Error(codeBroken, err.Error(), nil))
		return
	}
	s.respondWith(r, data)
}
