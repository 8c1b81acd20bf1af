package bus

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// codeNoPeers is what JetStream answers while there are fewer servers than a stream
// wants replicas, as when a cluster starts.
const codeNoPeers = 10005

// IsAway says whether an error of [Connect] or [Conn.EnsureStreams] is one that goes
// by itself: nobody answers there, or not yet, as when the server or its cluster is
// about to start. Every other one stays until somebody mends something: credentials
// that are refused, a name that doesn't exist, a certificate that isn't trusted, a
// server that is too old or without TLS or JetStream.
func IsAway(err error) bool {
	if api, is := errors.AsType[jetstream.JetStreamError](err); is {
		e := api.APIError()
		return e != nil && (e.Code == 503 || e.ErrorCode == codeNoPeers) &&
			!slices.Contains([]jetstream.ErrorCode{jetstream.JSErrCodeJetStreamNotEnabled, jetstream.JSErrCodeJetStreamNotEnabledForAccount}, e.ErrorCode)
	}
	if name, is := errors.AsType[*net.DNSError](err); is {
		return !name.IsNotFound
	}
	if op, is := errors.AsType[*net.OpError](err); is {
		return op.Op != "remote error" // which is what the other side says of our TLS
	}
	for _, away := range []error{
		nats.ErrNoServers, nats.ErrTimeout, nats.ErrConnectionClosed, nats.ErrDisconnected, nats.ErrStaleConnection, nats.ErrMaxConnectionsExceeded,
		context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF,
	} {
		if errors.Is(err, away) {
			return true
		}
	}
	return false
}
