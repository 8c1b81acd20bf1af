package issuer

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/agent/hostid"
	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/bus/auth"
	"github.com/dataverket/avstem/enroll"
	"github.com/dataverket/avstem/statefile/asuser"
)

const (
	// Lives is how long a host's credentials hold.
	Lives = 7 * 24 * time.Hour
	// lateBy is how long after their end credentials may still be renewed: a host
	// may have been off.
	lateBy = 30 * 24 * time.Hour
)

// Refusal is something that was refused and that somebody ought to know of.
type Refusal struct {
	Host         uuid.UUID // that it was claimed to be
	Site, Reason string
	At           time.Time
}

// Issuer lets hosts in.
type Issuer struct {
	// Refused is told of what was refused to who had a code or a host's key, or
	// waits because it is out of the ordinary; nil means nobody.
	Refused func(Refusal)
	// Push hands a changed account to running servers; nil means that nobody does.
	Push func(context.Context) error
	Log  *slog.Logger

	dir    *auth.Dir
	path   string
	now    func() time.Time
	secret []byte // of the nonces
	mu     sync.Mutex
	unsaid bool // an account that changed has not reached the servers
}

// Open makes an issuer over a directory of keys.
func Open(dir *auth.Dir) *Issuer {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	return &Issuer{dir: dir, path: filepath.Join(dir.Path(), "enroll"), now: time.Now, secret: secret, Log: slog.New(slog.DiscardHandler)}
}

// lock keeps other goroutines and processes out.
func (i *Issuer) lock() (unlock func(), err error) {
	i.mu.Lock()
	release, err := i.dir.Lock("enroll.lock")
	if err != nil {
		i.mu.Unlock()
		return nil, err
	}
	return func() { release(); i.mu.Unlock() }, nil
}

// Terms are what a token is made for.
type Terms struct {
	Site     string
	Name     string    // "" for any
	Host     uuid.UUID // uuid.Nil for any
	Hardware string    // "" for any
	TTL      time.Duration
	Person   bool // somebody is to approve
}

// NewToken makes a token, whose code is known to nobody but who gets it.
func (i *Issuer) NewToken(issuer string, t Terms) (enroll.Token, Ticket, error) {
	if err := i.check(issuer, t); err != nil {
		return enroll.Token{}, Ticket{}, fmt.Errorf("make token: %w", err)
	}
	hash, err := i.dir.CAHash()
	if err != nil {
		return enroll.Token{}, Ticket{}, fmt.Errorf("make token: %w", err)
	}
	code := make([]byte, 16)
	_, _ = rand.Read(code) // never fails (crypto/rand)
	token := enroll.Token{Issuer: issuer, CAHash: hash, Code: base64.RawURLEncoding.EncodeToString(code)}
	now := i.now().UTC().Truncate(time.Second)
	ticket := Ticket{Hash: hashOf(token.Code), Site: t.Site, Name: t.Name, Host: t.Host, Hardware: normal(t.Hardware), Person: t.Person,
		Made: now, Expires: now.Add(t.TTL)}
	if err := write(i.ticketFile(ticket.Hash), ticket); err != nil {
		return enroll.Token{}, Ticket{}, fmt.Errorf("make token: %w", err)
	}
	return token, ticket, nil
}

func (i *Issuer) check(issuer string, t Terms) error {
	if err := enroll.CheckIssuer(issuer); err != nil {
		return err
	}
	if !slices.Contains(i.dir.Sites(), t.Site) {
		return fmt.Errorf("there is no site %q: there are %s", t.Site, strings.Join(i.dir.Sites(), ", "))
	}
	if t.Name != "" {
		if err := bus.CheckName("host", t.Name); err != nil {
			return err
		}
	}
	if t.TTL < time.Minute || t.TTL > Lives {
		return fmt.Errorf("it is to hold for %s: want a minute at least and %s at most", t.TTL, Lives)
	}
	return nil
}

// Approve lets a waiting host in: it gets its credentials when it asks again. Where
// the host has others, those end then.
func (i *Issuer) Approve(id string) (Pending, error) { return i.decide(id, Approved) }

// Deny turns a waiting host away.
func (i *Issuer) Deny(id string) (Pending, error) { return i.decide(id, Denied) }

func (i *Issuer) decide(id string, to State) (p Pending, err error) {
	err = asuser.Below(i.path, func() error { p, err = i.decided(id, to); return err })
	return p, err
}

func (i *Issuer) decided(id string, to State) (Pending, error) {
	unlock, err := i.lock()
	if err != nil {
		return Pending{}, err
	}
	defer unlock()
	all, err := i.Requests()
	if err != nil {
		return Pending{}, err
	}
	var found []Pending
	for _, p := range all {
		waits := p.State == Waiting || p.State == Approved
		if waits && (p.ID == id || p.Name == id || p.Hostname == id || p.Host.String() == id) {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 0:
		return Pending{}, fmt.Errorf("decide about enrolment %q: none waits that is called so: see avstem enroll list", id)
	case 1:
	default:
		return Pending{}, fmt.Errorf("decide about enrolment %q: %d wait that are called so: give the ID of one (avstem enroll list)", id, len(found))
	}
	p := found[0]
	p.State = to
	return p, i.keep(p)
}

// no is a refusal. One that is told is somebody's to look at.
type no struct {
	status int
	reason string
	told   bool
}

func (n *no) Error() string { return n.reason }

func refuse(told bool, format string, args ...any) *no {
	return &no{403, fmt.Sprintf(format, args...), told}
}

// enroll decides about a request whose signature was found to be its key's.
func (i *Issuer) enroll(ctx context.Context, r enroll.Request, from string) (enroll.Answer, error) {
	unlock, err := i.lock()
	if err != nil {
		return enroll.Answer{}, err
	}
	defer unlock()
	ticket, err := read[Ticket](i.ticketFile(hashOf(r.Code)))
	if errors.Is(err, fs.ErrNotExist) {
		return enroll.Answer{}, refuse(false, "no such code was handed out")
	}
	if err != nil {
		return enroll.Answer{}, err
	}
	p := Pending{ID: requestID(ticket.Hash, r.Key, r.Host), Host: r.Host, Name: ticket.Name, Hostname: words(r.Hostname), Site: ticket.Site,
		Key: r.Key, From: from, At: i.now().UTC(), State: Waiting, Evidence: r.Evidence}
	answer, err := i.decideOn(ctx, &ticket, &p, r)
	if n, is := errors.AsType[*no](err); is {
		if n.told {
			i.tell(p.Host, p.Site, n.reason)
		}
		if p.State != Denied {
			p.State, p.Why = Refused, n.reason
		}
		err = errors.Join(err, i.keep(p))
	}
	return answer, err
}

func (i *Issuer) decideOn(ctx context.Context, ticket *Ticket, p *Pending, r enroll.Request) (enroll.Answer, error) {
	// Before the code is used up: the host may come again with another key.
	if h, err := i.dir.Host(r.Host); err == nil && h.Key == r.Key && !h.Revoked.IsZero() {
		n := refuse(true, "the host's credentials were revoked at %s, and its key with them", h.Revoked.UTC().Format(time.RFC3339))
		n.status = enroll.StatusRevoked
		return enroll.Answer{}, n
	}
	if err := i.take(ticket, r); err != nil {
		return enroll.Answer{}, err
	}
	odd, err := i.outOfOrdinary(r)
	if err != nil {
		return enroll.Answer{}, err
	}
	before, err := read[Pending](i.requestFile(p.ID))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return enroll.Answer{}, err
	default:
		p.State, p.At = before.State, before.At
	}
	known := err == nil
	switch p.State {
	case Denied:
		return enroll.Answer{}, refuse(false, "somebody has denied it")
	case Approved, Issued:
	default:
		p.State = Waiting
		if odd == "" && !ticket.Person {
			break
		}
		p.Why = odd
		if odd != "" && !known {
			i.tell(r.Host, ticket.Site, "an enrolment as this host waits for a person: "+odd+": avstem enroll list, then approve or deny "+p.ID)
		}
		return enroll.Answer{Waiting: p.ID}, i.keep(*p)
	}
	replace := p.State == Approved
	answer, err := i.issue(ctx, auth.Issue{ID: r.Host, Name: ticket.Name, Site: ticket.Site, Key: r.Key, TTL: Lives, By: "enrolment", Evidence: &r.Evidence, Replace: replace})
	if _, is := errors.AsType[*auth.KnownError](err); is {
		return enroll.Answer{}, refuse(true, "the host has other credentials by now")
	}
	if err != nil {
		return enroll.Answer{}, err
	}
	p.State = Issued
	return answer, i.keep(*p)
}

// take holds a request against its ticket, and uses that up.
func (i *Issuer) take(ticket *Ticket, r enroll.Request) error {
	now := i.now()
	switch {
	case !ticket.Used.IsZero():
		// The same host may ask again: an answer may be lost, or waited for.
		if ticket.Key != r.Key || ticket.UsedBy != r.Host {
			return refuse(true, "the code was used before, by host %s at %s: it holds once", ticket.UsedBy, ticket.Used.UTC().Format(time.RFC3339))
		}
		if other := otherHardware(ticket.UsedBy, *ticket.Evidence, r.Evidence); other != "" {
			return refuse(true, "the code was used before, on other hardware (%s)", other)
		}
		if now.After(ticket.Used.Add(Lives)) {
			return refuse(true, "the code is too old: it was used at %s", ticket.Used.UTC().Format(time.RFC3339))
		}
		return nil
	case now.After(ticket.Expires):
		return refuse(true, "the code is too old: it held until %s", ticket.Expires.UTC().Format(time.RFC3339))
	case ticket.Host != uuid.Nil && ticket.Host != r.Host:
		return refuse(true, "the code is for host %s", ticket.Host)
	case ticket.Hardware != "" && !shows(r.Evidence, ticket.Hardware):
		return refuse(true, "the code is for other hardware: this doesn't show %s", ticket.Hardware)
	}
	ticket.Used, ticket.Key, ticket.UsedBy, ticket.Evidence = now.UTC(), r.Key, r.Host, &r.Evidence
	return write(i.ticketFile(ticket.Hash), ticket)
}

// outOfOrdinary says why a host is not let in without a person, whatever its token.
func (i *Issuer) outOfOrdinary(r enroll.Request) (string, error) {
	hosts, err := i.dir.Hosts()
	if err != nil {
		return "", err
	}
	for _, h := range hosts {
		switch {
		case h.State(i.now()) != "valid" || h.Key == r.Key:
		case h.ID == r.Host && h.Evidence != nil && otherHardware(h.ID, *h.Evidence, r.Evidence) != "":
			return fmt.Sprintf("host %s has valid credentials since %s, and is other hardware", h.ID, h.Issued.UTC().Format(time.RFC3339)), nil
		case h.ID == r.Host:
			return fmt.Sprintf("host %s has valid credentials since %s", h.ID, h.Issued.UTC().Format(time.RFC3339)), nil
		case h.Evidence != nil && sameHardware(*h.Evidence, r.Evidence):
			return fmt.Sprintf("the hardware is that of host %s, which has valid credentials: was the system installed again?", h.ID), nil
		}
	}
	return "", nil
}

// issue has a key signed, and makes the answer of it.
func (i *Issuer) issue(ctx context.Context, by auth.Issue) (enroll.Answer, error) {
	by.At = i.now()
	token, h, err := i.dir.Issue(by)
	if err != nil {
		return enroll.Answer{}, err
	}
	i.unsaid = i.unsaid || by.Replace
	if i.unsaid && i.Push != nil {
		if err := i.Push(ctx); err != nil {
			i.Log.Warn("a revocation has not reached the NATS server; trying again with the next", "host", h.ID, "err", err)
		} else {
			i.unsaid = false
		}
	}
	a := enroll.Answer{JWT: token, Site: h.Site, Server: i.dir.Server(), Issued: h.Issued, Expires: h.Expires}
	if ca := i.dir.CA(); ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return enroll.Answer{}, fmt.Errorf("read CA: %w", err)
		}
		a.CA = string(pem)
	}
	i.Log.Info("credentials issued", "host", h.ID, "name", h.Name, "site", h.Site, "until", h.Expires)
	return a, nil
}

// renew decides about a renewal whose signature was found to be its key's.
func (i *Issuer) renew(ctx context.Context, r enroll.Renewal) (enroll.Answer, error) {
	unlock, err := i.lock()
	if err != nil {
		return enroll.Answer{}, err
	}
	defer unlock()
	h, err := i.dir.Host(r.Host)
	if errors.Is(err, fs.ErrNotExist) {
		return enroll.Answer{}, refuse(false, "nothing was issued to host %s", r.Host)
	}
	if err != nil {
		return enroll.Answer{}, err
	}
	err = func() error {
		switch {
		case h.Key != r.Key:
			// Whoever has a key that was once the host's.
			return refuse(false, "host %s has another key by now: enroll it again", r.Host)
		case !h.Revoked.IsZero():
			return refuse(true, "the host's credentials were revoked at %s", h.Revoked.UTC().Format(time.RFC3339))
		case h.Expires.IsZero():
			return refuse(false, "the host's credentials don't end")
		case i.now().After(h.Expires.Add(lateBy)):
			return refuse(true, "the host's credentials ended at %s, which is too long ago: enroll it again", h.Expires.UTC().Format(time.RFC3339))
		}
		if h.Evidence != nil {
			if other := otherHardware(h.ID, *h.Evidence, r.Evidence); other != "" {
				return refuse(true, "the host's key was used on other hardware (%s): was it copied?", other)
			}
		}
		return nil
	}()
	if n, is := errors.AsType[*no](err); is {
		if n.told {
			i.tell(h.ID, h.Site, "credentials were not renewed: "+n.reason)
		}
		return enroll.Answer{}, err
	}
	if h.Evidence == nil {
		h.Evidence = &r.Evidence
	}
	return i.issue(ctx, auth.Issue{ID: h.ID, Name: h.Name, Site: h.Site, Key: h.Key, TTL: Lives, By: h.By, Evidence: h.Evidence})
}

func (i *Issuer) tell(host uuid.UUID, site, reason string) {
	i.Log.Warn("enrolment refused or held up", "host", host, "site", site, "why", reason)
	if i.Refused != nil {
		i.Refused(Refusal{Host: host, Site: site, Reason: reason, At: i.now().UTC()})
	}
}

// words cuts what a stranger sent.
func words(text string) string {
	if len(text) > 128 {
		text = strings.ToValidUTF8(text[:128], "")
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, text)
}

// otherHardware says what tells that evidence is another machine's, "" if nothing does.
func otherHardware(id uuid.UUID, was, is hostid.Evidence) string {
	if clone := (hostid.Record{ID: id, Evidence: was}).CheckHost("", is); clone != nil {
		return "other " + strings.Join(clone.Differs, ", other ")
	}
	return ""
}

// sameHardware says whether two pieces of evidence agree that firmware holds, and
// none disagrees.
func sameHardware(was, is hostid.Evidence) bool {
	same, differs := was.Hold(is)
	same = slices.DeleteFunc(slices.Clone(same), func(name string) bool { return name == "machine ID" })
	differs = slices.DeleteFunc(slices.Clone(differs), func(name string) bool { return name == "machine ID" })
	return len(same) >= 1 && len(differs) == 0
}

// shows says whether a piece of the evidence is the one that is asked for.
func shows(e hostid.Evidence, want string) bool {
	for _, v := range e.Values() {
		for _, word := range append(strings.Fields(v.Text), v.Text) {
			if word != "" && normal(word) == want {
				return true
			}
		}
	}
	return false
}

func normal(hardware string) string { return strings.ToLower(strings.TrimSpace(hardware)) }
