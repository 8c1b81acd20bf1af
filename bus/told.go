package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Told says how far the events of a site were told: all of those that findings name
// up to a sequence of AVSTEM_FINDINGS. It stands there itself, as
// avstem.v1.fence.SITE.told, so that whoever leads next looks for what was left
// untold in a little, however long ago it was.
type Told struct {
	Findings uint64    `json:"findings"` // of that stream, the sequence up to which
	Drift    uint64    `json:"drift"`    // of AVSTEM_DRIFT, the last sequence at that time
	Made     time.Time `json:"made"`     // when AVSTEM_DRIFT was
}

func toldSubject(site string) string { return fencePrefix + "." + site + ".told" }

// FenceSubjects has all that stands among the findings of a site and is none: the
// marks of its [Fence], and what [ParseTold] reads.
func FenceSubjects(site string) string { return fencePrefix + "." + site + ".*" }

// ParseTold reads how far events were told; false where that isn't what a message is
// about. What can't be read says that none is known to be.
func ParseTold(subject string, data []byte) (told Told, is bool) {
	if !strings.HasPrefix(subject, fencePrefix+".") || !strings.HasSuffix(subject, ".told") {
		return Told{}, false
	}
	_ = json.Unmarshal(data, &told)
	return told, true
}

// ToldNow is how far events were told if those of all findings up to a sequence
// were.
func (c *Conn) ToldNow(ctx context.Context, findings uint64) (Told, error) {
	stream, err := c.js.Stream(ctx, StreamDrift)
	if err != nil {
		return Told{}, fmt.Errorf("look how far events are told: %w", streamError(err, StreamDrift))
	}
	info := stream.CachedInfo()
	return Told{Findings: findings, Drift: info.State.LastSeq, Made: info.Created}, nil
}

// KeepTold writes down how far events were told, under a condition, and gives the
// sequence of that.
func (c *Conn) KeepTold(ctx context.Context, site string, told Told, condition jetstream.PublishOpt) (uint64, error) {
	data, err := json.Marshal(told)
	if err != nil {
		return 0, fmt.Errorf("write down how far events are told: %w", err)
	}
	ack, err := c.js.Publish(ctx, toldSubject(site), data, condition, jetstream.WithRetryAttempts(0))
	if err != nil {
		return 0, fmt.Errorf("write down how far events are told: %w", err)
	}
	return ack.Sequence, nil
}

// DriftTold gives the IDs of the events of a site that were told after the given
// ones.
func (c *Conn) DriftTold(ctx context.Context, site string, since Told) (map[string]bool, error) {
	told, err := c.driftTold(ctx, site, since)
	if err != nil {
		return nil, fmt.Errorf("read which events were told: %w", streamError(err, StreamDrift))
	}
	return told, nil
}

func (c *Conn) driftTold(ctx context.Context, site string, since Told) (map[string]bool, error) {
	if err := CheckName("site", site); err != nil {
		return nil, err
	}
	stream, err := c.js.Stream(ctx, StreamDrift)
	if err != nil {
		return nil, err
	}
	config := jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{driftPrefix + "." + site + ".>"},
		HeadersOnly:    true, MaxResetAttempts: 2, InactiveThreshold: ReadOnce,
	}
	if info := stream.CachedInfo(); info.Created.Equal(since.Made) && info.State.LastSeq >= since.Drift { // and no older copy of it
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, since.Drift+1
	}
	consumer, err := c.js.OrderedConsumer(ctx, StreamDrift, config)
	if err != nil {
		return nil, err
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return nil, err
	}
	told := map[string]bool{}
	if info.NumPending == 0 {
		return told, nil
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, err
	}
	defer messages.Stop()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return nil, err
		}
		told[msg.Headers().Get("ce-id")] = true
		if meta.NumPending == 0 {
			return told, nil
		}
	}
}
