package incus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// client speaks the REST API over the daemon's socket (doc/rest-api.md).
type client struct {
	http *http.Client
}

// answerLimit bounds an answer.
const answerLimit = 16 << 20

func dial(sockets []string) *client {
	connect := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var failed []error
		for _, path := range sockets {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "unix", path)
			if err == nil {
				return conn, nil
			}
			failed = append(failed, err)
		}
		return nil, errors.Join(failed...)
	}
	return &client{&http.Client{Transport: &http.Transport{DialContext: connect}}}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// answer is what every answer of the daemon is wrapped in.
type answer struct {
	Type      string          `json:"type"`
	Operation string          `json:"operation"`
	Error     string          `json:"error"`
	ErrorCode int             `json:"error_code"`
	Metadata  json.RawMessage `json:"metadata"`
}

// statusError is a refusal of the daemon.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return e.text }

func isNotFound(err error) bool {
	refusal, ok := errors.AsType[*statusError](err)
	return ok && refusal.code == http.StatusNotFound
}

// get reads an object.
func (c *client) get(ctx context.Context, path string, into any) error {
	a, err := c.send(ctx, http.MethodGet, path, nil, "")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(a.Metadata, into); err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	return nil
}

// do changes something, and waits until that is done.
func (c *client) do(ctx context.Context, method, path string, body any) (*operation, error) {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	return c.doRaw(ctx, method, path, text, "application/json")
}

// operation is something that went on in the background.
type operation struct {
	Status   string         `json:"status"`
	Err      string         `json:"err"`
	Metadata map[string]any `json:"metadata"`
}

func (c *client) doRaw(ctx context.Context, method, path string, body []byte, kind string) (*operation, error) {
	a, err := c.send(ctx, method, path, body, kind)
	if err != nil || a.Type != "async" {
		return &operation{}, err
	}
	var op operation
	if err := c.get(ctx, a.Operation+"/wait?timeout=-1", &op); err != nil {
		return nil, fmt.Errorf("wait for %s %s: %w", method, path, err)
	}
	if op.Err != "" {
		return nil, fmt.Errorf("%s %s: %s", method, path, op.Err)
	}
	return &op, nil
}

func (c *client) send(ctx context.Context, method, path string, body []byte, kind string) (*answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://unix"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	reply, err := c.http.Do(request)
	if err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err // without the address, which is none
		}
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(io.LimitReader(reply.Body, answerLimit))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	var a answer
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, fmt.Errorf("%s %s: %s: %w", method, path, reply.Status, err)
	}
	if a.Type == "error" {
		return nil, fmt.Errorf("%s %s: %w", method, path, &statusError{a.ErrorCode, strings.TrimSpace(a.Error)})
	}
	return &a, nil
}
