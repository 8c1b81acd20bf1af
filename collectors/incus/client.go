package incus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// bodyLimit bounds one answer of the daemon. An instance takes some 3 KB.
const bodyLimit = 64 << 20

// errorLimit bounds what is shown of the daemon's own words.
const errorLimit = 300

var (
	errSilent = errors.New("no answer from the daemon")
	errTooBig = fmt.Errorf("the answer is larger than %d bytes", bodyLimit)
)

// client asks one daemon. It lives as long as a pass.
type client struct {
	flavor  *Flavor
	socket  string
	http    *http.Client
	timeout time.Duration // of one call
	// member asks for this cluster member's instances alone. The daemon has no
	// parameter for it, but answers so to what its members call themselves when
	// they ask each other, and sparing the other members matters: each would be
	// asked in every pass of each host, and one that hangs would blind all.
	// One that doesn't know the name sends everything, which does no harm.
	member bool
}

// connect finds the socket that answers. The connection itself is made by the
// first call.
func connect(ctx context.Context, flavor *Flavor, sockets []string, timeout time.Duration) (*client, error) {
	conn, path, err := dial(ctx, flavor, sockets)
	if err != nil {
		return nil, err
	}
	first := make(chan net.Conn, 1)
	first <- conn
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			select {
			case conn := <-first:
				return conn, nil
			default:
				var d net.Dialer
				return d.DialContext(ctx, "unix", path)
			}
		},
		DisableCompression:     true,
		MaxIdleConnsPerHost:    inFlight,
		MaxResponseHeaderBytes: 64 << 10,
	}
	return &client{flavor: flavor, socket: path, timeout: timeout, http: &http.Client{Transport: transport}}, nil
}

func (c *client) close() { c.http.CloseIdleConnections() }

// answer is the envelope of every answer (doc/rest-api.md, "Return values").
type answer struct {
	Type      string          `json:"type"`
	ErrorCode int             `json:"error_code"`
	Error     string          `json:"error"`
	Metadata  json.RawMessage `json:"metadata"`
}

// statusError is an answer that says no.
type statusError struct {
	code int
	said string
}

func (e *statusError) Error() string {
	if e.said == "" {
		return fmt.Sprintf("the daemon answers %d %s", e.code, http.StatusText(e.code))
	}
	return fmt.Sprintf("the daemon answers %d: %s", e.code, e.said)
}

// get makes one call and decodes what it returns into v. Its error is a
// [collectors.SourceError] that names the call.
func (c *client) get(ctx context.Context, path string, query url.Values, v any) error {
	call := "GET " + path
	if project := query.Get("project"); project != "" {
		call += " of project " + project
	}
	limited, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("%w within %s", errSilent, c.timeout))
	defer cancel()
	metadata, err := c.fetch(limited, path, query)
	if err == nil {
		if err = json.Unmarshal(metadata, v); err != nil {
			err = fmt.Errorf("decode the answer: %w", err)
		}
	}
	if err == nil {
		return nil
	}
	if limited.Err() != nil {
		err = context.Cause(limited)
	}
	return &collectors.SourceError{Call: call, Why: whyOf(err), Remedy: c.flavor.remedy(err), Err: err}
}

func (c *client) fetch(ctx context.Context, path string, query url.Values) (json.RawMessage, error) {
	// The host is never looked up: the transport dials the socket.
	target := url.URL{Scheme: "http", Host: c.flavor.name, Path: path, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "avstem")
	if c.member {
		request.Header.Set("User-Agent", c.flavor.notifier)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, errors.Unwrap(err) // *url.Error, which says the method and URL again
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, bodyLimit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the answer: %w", err)
	case len(body) > bodyLimit:
		return nil, errTooBig
	}
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		if response.StatusCode != http.StatusOK {
			return nil, &statusError{code: response.StatusCode}
		}
		return nil, fmt.Errorf("decode the answer: %w", err)
	}
	if a.Type == "error" || response.StatusCode != http.StatusOK {
		code := a.ErrorCode
		if code == 0 {
			code = response.StatusCode
		}
		return nil, &statusError{code: code, said: shortened(a.Error)}
	}
	return a.Metadata, nil
}

func shortened(s string) string {
	if len(s) > errorLimit {
		s = strings.ToValidUTF8(s[:errorLimit], "") + " …"
	}
	return s
}

// whyOf classifies an error of a call.
func whyOf(err error) inventory.Why {
	if se, ok := errors.AsType[*statusError](err); ok {
		switch se.code {
		case http.StatusUnauthorized, http.StatusForbidden:
			return inventory.WhyRefused
		case http.StatusNotFound:
			return inventory.WhyAbsent
		}
		return inventory.WhyBroken
	}
	switch {
	case errors.Is(err, errSilent), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return inventory.WhyTimedOut
	case errors.Is(err, os.ErrPermission):
		return inventory.WhyRefused
	}
	return inventory.WhyBroken
}

// gone says whether an error of a call means that what it asked for isn't there.
func gone(err error) bool {
	se, ok := errors.AsType[*statusError](err)
	return ok && se.code == http.StatusNotFound
}
