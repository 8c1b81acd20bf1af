package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// probeWithin is how long a server has to answer a probe. One that refuses a
// message says nothing on its reply.
const probeWithin = 2 * time.Second

// MayPublish asks whether this connection may publish documents of a key, and
// publishes none: the message expects a sequence that no subject has reached, so a
// stream that would take it refuses it for that alone. [ErrNoStream] says that
// there is no stream to ask.
func (c *Conn) MayPublish(ctx context.Context, k Key) (bool, error) {
	subject, err := ObservedSubject(k)
	if err != nil {
		return false, fmt.Errorf("probe publishing: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	before := c.nc.LastError()
	msg := nats.NewMsg(subject)
	msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, fmt.Sprint(uint64(1)<<62))
	reply, err := c.nc.RequestMsgWithContext(ctx, msg)
	switch refused := c.nc.LastError(); {
	case err == nil:
		return true, wrongSequence(reply.Data)
	case errors.Is(err, nats.ErrNoResponders):
		return false, ErrNoStream
	case refused != before && refused != nil && strings.Contains(strings.ToLower(refused.Error()), "permissions violation"):
		return false, nil
	}
	return false, fmt.Errorf("probe publishing on %s: %w", subject, err)
}

// wrongSequence expects the answer to be that refusal.
func wrongSequence(data []byte) error {
	var answer struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return fmt.Errorf("read the stream's answer: %w", err)
	}
	if answer.Error == nil || isWrongSequence(answer.Error) {
		return nil
	}
	return answer.Error
}

// StreamState is one of avstem's streams as the server has it.
type StreamState struct {
	Name            string
	Differs         []string // settings that aren't ours, as "DenyPurge is false"
	Messages, Bytes uint64
	Replicas        int
	At              time.Time // by the server's clock
}

// StreamStates looks at every stream. An error is about one stream, which then
// isn't among the states.
func (c *Conn) StreamStates(ctx context.Context) ([]StreamState, error) {
	var states []StreamState
	var failed []error
	for _, want := range streamConfigs(1) {
		stream, err := c.js.Stream(ctx, want.Name)
		if err != nil {
			failed = append(failed, streamError(err, want.Name))
			continue
		}
		info := stream.CachedInfo()
		states = append(states, StreamState{Name: want.Name, Differs: differs(want, info.Config), Messages: info.State.Msgs, Bytes: info.State.Bytes,
			Replicas: info.Config.Replicas, At: info.TimeStamp})
	}
	return states, errors.Join(failed...)
}

// differs names what in a stream's settings would lose or let through what ours
// would not.
func differs(want, have jetstream.StreamConfig) []string {
	var all []string
	say := func(name string, want, have any) {
		if want != have {
			all = append(all, fmt.Sprintf("%s is %v and should be %v", name, have, want))
		}
	}
	say("Storage", want.Storage, have.Storage)
	// No limit is 0 as it is asked for, and -1 as the server tells it.
	say("MaxMsgsPerSubject", max(want.MaxMsgsPerSubject, 0), max(have.MaxMsgsPerSubject, 0))
	say("MaxAge", want.MaxAge, have.MaxAge)
	say("DenyDelete", want.DenyDelete, have.DenyDelete)
	say("DenyPurge", want.DenyPurge, have.DenyPurge)
	say("AllowRollup", want.AllowRollup, have.AllowRollup)
	say("Subjects", strings.Join(want.Subjects, " "), strings.Join(have.Subjects, " "))
	return all
}
