package server

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/bus"
)

// A reconciler that began with an emptied stream asks for what hosts speak of.
func TestHostIsAskedForADocumentThatDidNotArrive(t *testing.T) {
	r := newRig(t)
	r.shows(2)
	if err := r.reader.JetStream().DeleteStream(t.Context(), bus.StreamObserved); err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{}, 1)
	if _, err := r.agent.Asked("lab", hostID, func() {
		select {
		case asked <- struct{}{}:
		default:
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := r.agent.NATS().FlushTimeout(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	s, _ := r.reconciler(nil)
	r.until("the agent is asked", func() error {
		select {
		case <-asked:
			return nil
		default:
			return errors.New("it was not")
		}
	})
	r.pub = r.agent.NewPublisher(uuid.New())
	if err := r.pub.Publish(t.Context(), r.last); err != nil {
		t.Fatal(err)
	}
	r.until("the document has arrived", func() error {
		if holes := s.engine.Holes(time.Now().UTC()); len(holes) > 0 {
			return fmt.Errorf("there are %+v", holes)
		}
		return nil
	})
}
