package bus

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"io/fs"
	"net"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestIsAway(t *testing.T) {
	op := func(name string, err error) error { return &net.OpError{Op: name, Net: "tcp", Err: err} }
	for name, c := range map[string]struct {
		err  error
		away bool
	}{
		"nobody listens":           {nats.ErrNoServers, true},
		"no answer":                {op("dial", context.DeadlineExceeded), true},
		"no route":                 {op("dial", syscall.EHOSTUNREACH), true},
		"it went while greeting":   {io.EOF, true},
		"too many are there":       {nats.ErrMaxConnectionsExceeded, true},
		"no name server":           {op("dial", &net.DNSError{Err: "server misbehaving", IsTemporary: true}), true},
		"no such name":             {op("dial", &net.DNSError{Err: "no such host", IsNotFound: true}), false},
		"JetStream without leader": {&jetstream.APIError{Code: 503, ErrorCode: 10008}, true},
		"JetStream without peers":  {&jetstream.APIError{Code: 400, ErrorCode: codeNoPeers}, true},
		"JetStream that is off":    {jetstream.ErrJetStreamNotEnabled, false},
		"none for this account":    {jetstream.ErrJetStreamNotEnabledForAccount, false},
		"a stream that differs":    {&jetstream.APIError{Code: 500, ErrorCode: 10052}, false},
		"nobody answers the API":   {nats.ErrNoResponders, false},
		"credentials":              {nats.ErrAuthorization, false},
		"credentials that ended":   {nats.ErrAuthExpired, false},
		"no TLS":                   {nats.ErrSecureConnWanted, false},
		"it doesn't trust us":      {op("remote error", fmt.Errorf("tls: bad certificate")), false},
		"we don't trust it":        {x509.UnknownAuthorityError{}, false},
		"no file":                  {&fs.PathError{Op: "open", Path: "/nowhere", Err: syscall.ENOENT}, false},
		"too old":                  {&VersionError{}, false},
		"nothing is named":         {&NoServerError{}, false},
	} {
		if got := IsAway(fmt.Errorf("connect to NATS: %w", c.err)); got != c.away {
			t.Errorf("%s: away is %v", name, got)
		}
	}
}
