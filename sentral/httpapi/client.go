package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/internal/get"
)

// limits are how much of a server's time and bytes a client takes. Tests have
// smaller ones.
type limits struct {
	dial   time.Duration // for a connection, TLS included
	answer time.Duration // until an answer begins
	page   time.Duration // for a whole page
	whole  time.Duration // for all pages
	poll   time.Duration // between two looks; jittered
	retry  time.Duration // after one that failed
	silent time.Duration // on a stream of events, before it counts as dead
	again  time.Duration // before a stream of events is opened again; grows tenfold
	pages  inventory.Bytes
	total  inventory.Bytes
	// changed is how often the inventory may change while its pages are read.
	changed int
}

var usual = limits{
	dial: 10 * time.Second, answer: 30 * time.Second, page: 2 * time.Minute, whole: 15 * time.Minute,
	poll: 30 * time.Second, retry: 5 * time.Second, silent: 3 * quietFor, again: 2 * time.Second,
	pages: 64 * inventory.MiB, total: 2 * inventory.GiB, changed: 5,
}

// ClientOptions are a client's. URL is needed.
type ClientOptions struct {
	// URL is the server's, without the API's paths: https://sentral.example.net.
	// Other than to loopback, plain HTTP is refused unless Plaintext allows it:
	// whoever is on the way could read the token and write the inventory.
	URL       string
	Plaintext bool
	// Token gives the bearer token; nil for none. It is called for each request,
	// so that a token may be renewed.
	Token func() (string, error)
	// TLS holds the CAs and the client's certificate; nil is the system's CAs.
	TLS *tls.Config
}

// Client is a [sentral.Source]: Sentral's HTTP API.
type Client struct {
	base   *url.URL
	token  func() (string, error)
	http   *http.Client
	limits limits
	now    func() time.Time

	mu   sync.Mutex
	etag string             // of the last that was read
	last *sentral.Inventory // nil before
}

// NewClient makes a source of a server. Nothing is asked of it yet.
func NewClient(o ClientOptions) (*Client, error) {
	base, err := get.Base(o.URL, o.Plaintext)
	if err != nil {
		return nil, fmt.Errorf("read inventory: %w", err)
	}
	c := &Client{base: base, token: o.Token, limits: usual, now: time.Now}
	c.dial(o.TLS)
	return c, nil
}

// dial makes the HTTP client after the limits.
func (c *Client) dial(config *tls.Config) {
	c.http = get.NewClient(config, c.limits.dial, c.limits.answer)
}

// Read implements [sentral.Source]. An inventory that is the same as before is
// not sent again; its ReadAt is when the server said so.
func (c *Client) Read(ctx context.Context) (*sentral.Inventory, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, c.limits.whole, fmt.Errorf("not all of it came within %s", c.limits.whole))
	defer cancel()
	for attempt := 1; ; attempt++ {
		inv, err := c.read(ctx)
		if !errors.Is(err, errChanged) {
			if err != nil {
				return nil, fmt.Errorf("read inventory from %s: %w", c.base, err)
			}
			return inv, nil
		}
		if attempt == c.limits.changed {
			return nil, fmt.Errorf("read inventory from %s: it changed %d times while its pages were read: serve larger pages, or change it less often", c.base, attempt)
		}
		c.etag = "" // what stands for the first page may be gone too
	}
}

// errChanged says that the pages that are left are of another version.
var errChanged = errors.New("the inventory changed while it was read")

// read takes all pages.
func (c *Client) read(ctx context.Context) (*sentral.Inventory, error) {
	first, etag, err := c.get(ctx, "", c.limits.total)
	if err != nil {
		return nil, err
	}
	if first == nil { // as before
		inv := *c.last
		if inv.Stale == "" {
			inv.ReadAt = c.now().UTC()
		}
		c.last = &inv
		return &inv, nil
	}
	w, left := newWhole(c.base.String(), first.page), c.limits.total
	for p := first; ; {
		if err := w.add(p.page); err != nil {
			return nil, err
		}
		if p.Next == "" {
			break
		}
		if left -= p.size; left <= 0 {
			return nil, tooLarge(left, c.limits)
		}
		if p, _, err = c.get(ctx, p.Next, left); err != nil {
			return nil, err
		}
	}
	inv, err := w.inventory(c.now)
	if err != nil {
		return nil, err
	}
	c.last, c.etag = inv, etag
	return inv, nil
}

// answer is a page with what it took to carry it.
type answer struct {
	*page
	size inventory.Bytes
}

// get asks for one page; "" is the first, which is nil where it is as before.
func (c *Client) get(ctx context.Context, token string, left inventory.Bytes) (*answer, string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.limits.page, fmt.Errorf("a page did not come within %s: is the server overloaded?", c.limits.page))
	defer cancel()
	query := ""
	if token != "" {
		query = "?page=" + url.QueryEscape(token)
	}
	request, err := c.request(ctx, inventoryPath+query)
	if err != nil {
		return nil, "", err
	}
	if token == "" && c.etag != "" && c.last != nil {
		request.Header.Set("If-None-Match", c.etag)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, "", get.Explain(ctx, err)
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusNotModified && request.Header.Get("If-None-Match") != "":
		return nil, "", nil
	case token != "" && (response.StatusCode == http.StatusGone || response.StatusCode == http.StatusConflict):
		return nil, "", errChanged
	case response.StatusCode != http.StatusOK:
		return nil, "", get.Refusal(response, "Sentral's API", inventoryPath)
	}
	limit := min(c.limits.pages, left)
	body, err := io.ReadAll(io.LimitReader(response.Body, int64(limit)+1))
	switch {
	case err != nil:
		return nil, "", get.Explain(ctx, fmt.Errorf("the answer broke off: %w", err))
	case inventory.Bytes(len(body)) > limit:
		return nil, "", tooLarge(limit, c.limits)
	}
	p, err := parsePage(response.Header.Get("Content-Type"), body)
	if err != nil {
		return nil, "", err
	}
	return &answer{p, inventory.Bytes(len(body))}, response.Header.Get("ETag"), nil
}

func tooLarge(limit inventory.Bytes, l limits) error {
	if limit < l.pages {
		return fmt.Errorf("all pages together are larger than %s: is this the right address?", l.total)
	}
	return fmt.Errorf("the answer is larger than %s: is this the right address?", limit)
}

func (c *Client) request(ctx context.Context, path string) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base.String()+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "avstem")
	request.Header.Set("Accept", "application/json, application/problem+json")
	if c.token == nil {
		return request, nil
	}
	token, err := c.token()
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	return request, nil
}
