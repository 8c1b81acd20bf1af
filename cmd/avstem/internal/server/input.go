package server

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/micro"

	"github.com/dataverket/avstem/bundle"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/resolve"
	"github.com/dataverket/avstem/sentral"
)

// answerInput gives what is judged by beside both books, as far as it is about the
// hosts whose IDs were asked for: the streams have the books, and nobody else has
// this.
func (s *Server) answerInput(r micro.Request) {
	var hosts []uuid.UUID
	if err := json.Unmarshal(r.Data(), &hosts); err != nil {
		s.respond(r.Error(codeNotKnown, "want a list of host IDs: "+err.Error(), nil))
		return
	}
	in, err := s.engine.Input(time.Now().UTC())
	if err != nil {
		s.respond(r.Error(codeNotReady, err.Error(), nil))
		return
	}
	asked := func(id uuid.UUID) bool { return slices.Contains(hosts, id) }
	in.Observed = slices.DeleteFunc(in.Observed, func(d reconcile.Document) bool { return !asked(d.Host) })
	in.Refused = slices.DeleteFunc(in.Refused, func(f reconcile.Refusal) bool { return !asked(f.Host) })
	maps.DeleteFunc(in.Heard, func(id uuid.UUID, _ time.Time) bool { return !asked(id) })
	maps.DeleteFunc(in.Speakers, func(id uuid.UUID, _ []reconcile.Speaker) bool { return !asked(id) })
	var b bundle.Bundle
	b.Set(&in)
	b.Rest.Inventory.Problems, b.Rest.Inventory.LeftOut = nil, nil // they may be many, and are kept
	data, err := json.Marshal(&b.Rest)
	if err != nil {
		s.respond(r.Error(codeBroken, err.Error(), nil))
		return
	}
	s.respondWith(r, data)
}

// answerPlaces says where records stand: it takes a list of resolve.Edit and
// answers resolve.Places.
func (s *Server) answerPlaces(r micro.Request) {
	var edits []resolve.Edit
	if err := json.Unmarshal(r.Data(), &edits); err != nil {
		s.respond(r.Error(codeNotKnown, "want a list of records and keys: "+err.Error(), nil))
		return
	}
	in, err := s.engine.Input(time.Now().UTC())
	if err != nil {
		s.respond(r.Error(codeNotReady, err.Error(), nil))
		return
	}
	places := resolve.Places{Inventory: in.Intended.Source, At: make([]string, len(edits))}
	for i, e := range edits {
		places.At[i] = in.Intended.Places.Place(sentral.RecordID{Type: e.Type, ID: e.ID}, e.Key).String()
	}
	s.respond(r.RespondJSON(places))
}
