package netbox

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/internal/get"
)

// limits are how much of a server's time and bytes a source takes. Tests have
// smaller ones.
type limits struct {
	dial   time.Duration
	answer time.Duration // until an answer begins
	page   time.Duration // for a whole page
	whole  time.Duration // for everything
	poll   time.Duration // between two looks; jittered
	pages  inventory.Bytes
	total  inventory.Bytes
	limit  int // objects a page; NetBox's MAX_PAGE_SIZE is 1000
	// changed is how often NetBox may change while it is read.
	changed int
}

var usual = limits{
	dial: 10 * time.Second, answer: time.Minute, page: 2 * time.Minute, whole: 15 * time.Minute, poll: time.Minute,
	pages: 64 * inventory.MiB, total: 2 * inventory.GiB, limit: 500, changed: 3,
}

// Options are a source's. URL is needed.
type Options struct {
	// URL is NetBox's, without /api. See [get.Base] for Plaintext.
	URL       string
	Plaintext bool
	// Token gives the API token: nbt_KEY.TOKEN since 4.5, 40 digits before. Nil
	// for none. It is called for each request.
	Token   func() (string, error)
	TLS     *tls.Config // nil is the system's CAs
	Mapping Mapping
}

// Source is a [sentral.Source]: a NetBox.
type Source struct {
	base    *url.URL
	token   func() (string, error)
	mapping Mapping
	http    *http.Client
	limits  limits
	now     func() time.Time

	mu   sync.Mutex
	last *sentral.Inventory
	mark string // of the newest change when last was read; "" where that can't be told
}

// New makes a source of a NetBox. Nothing is asked of it yet.
func New(o Options) (*Source, error) {
	base, err := get.Base(o.URL, o.Plaintext)
	if err != nil {
		return nil, fmt.Errorf("read inventory: %w", err)
	}
	if err := o.Mapping.Check(); err != nil {
		return nil, err
	}
	s := &Source{base: base, token: o.Token, mapping: o.Mapping, limits: usual, now: time.Now}
	s.dial(o.TLS)
	return s, nil
}

func (s *Source) dial(config *tls.Config) {
	s.http = get.NewClient(config, s.limits.dial, s.limits.answer)
}

// Name is the source's, as in [sentral.Inventory.Source].
func (s *Source) Name() string { return "netbox+" + s.base.String() }

// Watch implements [sentral.Source]. NetBox is looked at each minute: at its
// newest change, and at everything where that is another.
func (s *Source) Watch(ctx context.Context, fn func(*sentral.Inventory)) {
	kept := sentral.NewKeeper(s.Name(), fn)
	for {
		inv, err := s.Read(ctx)
		if ctx.Err() != nil {
			return
		}
		kept.Take(inv, err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(s.limits.poll - s.limits.poll/10 + time.Duration(rand.Int64N(int64(s.limits.poll/5)+1))):
		}
	}
}

// Read implements [sentral.Source].
func (s *Source) Read(ctx context.Context) (*sentral.Inventory, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, s.limits.whole, fmt.Errorf("not all of it came within %s", s.limits.whole))
	defer cancel()
	inv, err := s.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("read inventory from %s: %w", s.Name(), err)
	}
	s.last = inv
	return inv, nil
}

// errChanged says that what was read doesn't fit together.
var errChanged = errors.New("it changed while it was read")

func (s *Source) read(ctx context.Context) (*sentral.Inventory, error) {
	for attempt := 1; ; attempt++ {
		r := &reading{Source: s, left: s.limits.total}
		before, err := r.newestChange(ctx)
		switch {
		case err != nil:
			return nil, err
		case before != "" && before == s.mark && s.last != nil:
			inv := *s.last
			inv.ReadAt = s.now().UTC()
			return &inv, nil
		}
		all, err := r.everything(ctx)
		after := ""
		if err == nil {
			after, err = r.newestChange(ctx)
		}
		switch {
		case err == nil && before == after:
			s.mark = after
			return all.inventory(&s.mapping, s.Name(), s.base.String(), s.now()), nil
		case err != nil && !errors.Is(err, errChanged):
			return nil, err
		case attempt == s.limits.changed:
			return nil, fmt.Errorf("it changed %d times while it was read: it is read again later", attempt)
		}
	}
}

// reading is one look at everything.
type reading struct {
	*Source
	left    inventory.Bytes
	version string
	failed  bool
}

func (r *reading) everything(ctx context.Context) (*everything, error) {
	e := &everything{}
	const devices = "/api/dcim/devices/?exclude=config_context"
	roles := ""
	for _, role := range r.mapping.HostRoles {
		roles += "&role=" + url.QueryEscape(role)
	}
	err := errors.Join(
		fetch(ctx, r, "/api/dcim/sites/?", &e.sites),
		fetch(ctx, r, "/api/tenancy/tenants/?", &e.tenants),
		fetch(ctx, r, "/api/virtualization/clusters/?", &e.clusters),
		fetch(ctx, r, devices+roles, &e.devices),
		fetch(ctx, r, "/api/dcim/interfaces/?", &e.interfaces),
		fetch(ctx, r, "/api/ipam/vlan-groups/?", &e.groups),
		fetch(ctx, r, "/api/ipam/vlans/?", &e.vlans),
		fetch(ctx, r, "/api/virtualization/virtual-machines/?exclude=config_context", &e.vms),
		fetch(ctx, r, "/api/virtualization/interfaces/?", &e.vmNICs),
		fetch(ctx, r, "/api/virtualization/virtual-disks/?", &e.disks),
	)
	e.version = r.version
	return e, err
}

// fetch reads all pages of a list, unless the reading has failed already. NetBox
// gives no snapshot, so what doesn't fit together has changed.
func fetch[T interface{ id() int }](ctx context.Context, r *reading, path string, all *[]T) error {
	if r.failed {
		return nil // one error is enough
	}
	err := fetchAll(ctx, r, path, all)
	r.failed = err != nil
	return err
}

func (o object) id() int { return o.ID }

func fetchAll[T interface{ id() int }](ctx context.Context, r *reading, path string, all *[]T) error {
	seen := map[int]bool{}
	count := -1
	for {
		var page list[T]
		full := fmt.Sprintf("%s&limit=%d&offset=%d&ordering=id", path, r.limits.limit, len(*all))
		if err := r.get(ctx, strings.Replace(full, "?&", "?", 1), &page); err != nil {
			return err
		}
		switch {
		case page.Count == nil || page.Results == nil:
			return fmt.Errorf("%s gives no list: want count and results, as NetBox 4 does", path)
		case count >= 0 && *page.Count != count:
			return errChanged
		}
		count = *page.Count
		for _, o := range page.Results {
			if seen[o.id()] {
				return errChanged
			}
			seen[o.id()] = true
			*all = append(*all, o)
		}
		switch {
		case page.Next == nil && len(*all) != count:
			return errChanged
		case page.Next == nil:
			return nil
		case len(page.Results) == 0:
			return errChanged
		}
	}
}

// newestChange is the ID of NetBox's newest logged change, "" where the token may
// not see the log: core's since 4.1, extras' before.
func (r *reading) newestChange(ctx context.Context) (string, error) {
	for _, app := range []string{"core", "extras"} {
		var page list[object]
		err := r.get(ctx, "/api/"+app+"/object-changes/?limit=1&ordering=-id", &page)
		status, refused := errors.AsType[statusError](err)
		switch {
		case refused && (status.code == http.StatusNotFound || status.code == http.StatusForbidden):
			continue
		case err != nil:
			return "", err
		case len(page.Results) == 0:
			return "none", nil
		}
		return fmt.Sprint(page.Results[0].ID), nil
	}
	return "", nil
}

// statusError is an answer with another status than 200.
type statusError struct {
	code int
	error
}

func (e statusError) Unwrap() error { return e.error }

func (r *reading) get(ctx context.Context, path string, into any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, r.limits.page, fmt.Errorf("a page did not come within %s: is the server overloaded?", r.limits.page))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base.String()+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", "avstem")
	request.Header.Set("Accept", "application/json")
	if r.token != nil {
		token, err := r.token()
		if err != nil {
			return err
		}
		scheme := "Token "
		if strings.HasPrefix(token, "nbt_") { // 4.5 and later
			scheme = "Bearer "
		}
		request.Header.Set("Authorization", scheme+token)
	}
	response, err := r.http.Do(request)
	if err != nil {
		return get.Explain(ctx, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return statusError{response.StatusCode, get.Refusal(response, "NetBox", path)}
	}
	kind := response.Header.Get("Content-Type")
	if media, _, _ := mime.ParseMediaType(kind); media != "application/json" {
		return fmt.Errorf("the answer to %s is %q, and no JSON: is this the address of NetBox?", path, get.Cut(kind, 80))
	}
	r.version = response.Header.Get("API-Version")
	if major, _, _ := strings.Cut(r.version, "."); r.version != "" && major != "4" {
		return fmt.Errorf("it is NetBox %s, and this avstem knows 4", get.Cut(r.version, 20))
	}
	limit := min(r.limits.pages, r.left)
	body, err := io.ReadAll(io.LimitReader(response.Body, int64(limit)+1))
	switch {
	case err != nil:
		return get.Explain(ctx, fmt.Errorf("the answer broke off: %w", err))
	case inventory.Bytes(len(body)) > limit:
		return fmt.Errorf("the answer to %s is larger than %s: is this the right address?", path, limit)
	}
	r.left -= inventory.Bytes(len(body))
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("the answer to %s can't be read: %w", path, err)
	}
	return nil
}
