package auth

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/dataverket/avstem/agent/hostid"
	"github.com/dataverket/avstem/bus"
)

const hostSchema = "avstem.issued/v1"

// Host is what was issued to one host.
type Host struct {
	Schema string    `json:"schema"`
	ID     uuid.UUID `json:"id"`
	Name   string    `json:"name,omitempty"` // for people
	Site   string    `json:"site"`
	Key    string    `json:"key"` // public
	By     string    `json:"by"`  // "auth host" or "enrolment"
	Issued time.Time `json:"issued"`
	// Expires is zero where nothing but a revocation ends it.
	Expires time.Time `json:"expires,omitzero"`
	Revoked time.Time `json:"revoked,omitzero"`
	// Evidence is what the host showed of itself when it enrolled.
	Evidence *hostid.Evidence `json:"evidence,omitempty"`
}

// State is how a host's credentials stand, in a word.
func (h Host) State(now time.Time) string {
	switch {
	case !h.Revoked.IsZero():
		return "revoked"
	case !h.Expires.IsZero() && !now.Before(h.Expires):
		return "expired"
	}
	return "valid"
}

// Hosts lists what was issued, by site and name.
func (d *Dir) Hosts() ([]Host, error) {
	entries, err := os.ReadDir(d.file("hosts"))
	if err != nil {
		return nil, fmt.Errorf("list hosts: %w", err)
	}
	var all []Host
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".json" || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		h, err := d.readHost(d.file("hosts", e.Name()))
		if err != nil {
			return nil, fmt.Errorf("list hosts: %w", err)
		}
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, b Host) int {
		return cmp.Or(cmp.Compare(a.Site, b.Site), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID.String(), b.ID.String()))
	})
	return all, nil
}

func (d *Dir) readHost(path string) (Host, error) {
	var h Host
	if err := readJSON(path, &h); err != nil {
		return Host{}, err
	}
	if h.Schema != hostSchema {
		return Host{}, fmt.Errorf("read %s: its schema is %q and not %s", path, h.Schema, hostSchema)
	}
	return h, nil
}

// Host gives what was issued to a host, and an error that is fs.ErrNotExist where
// nothing was.
func (d *Dir) Host(id uuid.UUID) (Host, error) {
	h, err := d.readHost(d.hostFile(id))
	if err != nil {
		return Host{}, fmt.Errorf("find host %s: %w", id, err)
	}
	return h, nil
}

func (d *Dir) hostFile(id uuid.UUID) string { return d.file("hosts", id.String()+".json") }

// FindHost finds a host by its ID or name.
func (d *Dir) FindHost(nameOrID string) (Host, error) {
	all, err := d.Hosts()
	if err != nil {
		return Host{}, err
	}
	var found []Host
	for _, h := range all {
		if h.Name == nameOrID || h.ID.String() == nameOrID {
			found = append(found, h)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Host{}, fmt.Errorf("find host %q: nothing was issued to one of that name or ID: `avstem auth list` shows what was: %w", nameOrID, fs.ErrNotExist)
	}
	return Host{}, fmt.Errorf("find host %q: %d hosts have that name: give the ID (`avstem auth list`)", nameOrID, len(found))
}

// KnownError says that a host has valid credentials already.
type KnownError struct{ Host Host }

func (e *KnownError) Error() string {
	return fmt.Sprintf("host %s has valid credentials since %s: another one with its identity is taken for a clone, so new ones must be asked for by name",
		e.Host.ID, e.Host.Issued.UTC().Format(time.RFC3339))
}

// Issue asks for credentials for a host.
type Issue struct {
	ID       uuid.UUID
	Name     string // may be ""
	Site     string
	Key      string        // public, of the host
	TTL      time.Duration // 0 means until revoked
	By       string
	Evidence *hostid.Evidence
	At       time.Time // that it is issued, zero for now
	// Replace lets go of the key that the host has now: it is revoked. Otherwise a
	// host with valid credentials of another key is refused with [*KnownError].
	Replace bool
}

// Issue signs a JWT for a host's key with the key of its site, and notes it. Where
// it replaces another key, [Dir.Push] makes running servers know.
func (d *Dir) Issue(i Issue) (token string, h Host, err error) {
	err = d.change(func() error {
		if token, h, err = d.issue(i); err != nil {
			return fmt.Errorf("issue credentials to host %s: %w", i.ID, err)
		}
		return nil
	})
	if err != nil {
		return "", Host{}, err
	}
	return token, h, nil
}

func (d *Dir) issue(i Issue) (token string, h Host, err error) {
	// The server puts the name into subjects as it stands: one called "*" would be
	// every host.
	if err := errors.Join(bus.CheckName("host", i.ID.String()), bus.CheckName("site", i.Site)); err != nil {
		return "", Host{}, err
	}
	if i.ID == uuid.Nil {
		return "", Host{}, errors.New("it has no ID")
	}
	if i.Name != "" {
		if err := bus.CheckName("host", i.Name); err != nil {
			return "", Host{}, err
		}
	}
	if !nkeys.IsValidPublicUserKey(i.Key) {
		return "", Host{}, fmt.Errorf("%q is no public key of a user", i.Key)
	}
	if _, gone := d.setup.Revoked[i.Key]; gone {
		return "", Host{}, errors.New("its key was revoked: it needs a new one")
	}
	now := i.At.UTC()
	if i.At.IsZero() {
		now = d.now().UTC()
	}
	before, err := d.readHost(d.hostFile(i.ID))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", Host{}, err
	}
	known := err == nil
	if known && before.Key != i.Key {
		if !i.Replace && before.State(now) == "valid" {
			return "", Host{}, &KnownError{before}
		}
		if err := d.revokeKey(before.Key); err != nil {
			return "", Host{}, err
		}
	}
	by, err := d.siteKey(i.Site)
	if err != nil {
		return "", Host{}, err
	}
	c := jwt.NewUserClaims(i.Key)
	c.SetScoped(true)
	c.Name = i.ID.String()
	c.Tags.Add(bus.TagIssued, bus.TagHost)
	account, err := d.accountKey()
	if err != nil {
		return "", Host{}, err
	}
	if c.IssuerAccount, err = account.PublicKey(); err != nil {
		return "", Host{}, err
	}
	h = Host{Schema: hostSchema, ID: i.ID, Name: cmp.Or(i.Name, before.Name), Site: i.Site, Key: i.Key, By: i.By, Issued: now, Evidence: i.Evidence}
	if h.Evidence == nil && known && before.Key == i.Key {
		h.Evidence = before.Evidence
	}
	if i.TTL > 0 {
		h.Expires = now.Add(i.TTL).Truncate(time.Second)
		c.Expires = h.Expires.Unix()
	}
	if token, err = encode(c, by); err != nil {
		return "", Host{}, err
	}
	return token, h, writeJSON(d.hostFile(i.ID), h)
}

// Revoke ends a host's credentials. [Dir.Push] makes running servers know.
func (d *Dir) Revoke(id uuid.UUID) (h Host, err error) {
	err = d.change(func() error {
		if h, err = d.readHost(d.hostFile(id)); err != nil {
			return fmt.Errorf("revoke host %s: %w", id, err)
		}
		if err := d.revokeKey(h.Key); err != nil {
			return fmt.Errorf("revoke host %s: %w", id, err)
		}
		if h.Revoked.IsZero() {
			h.Revoked = d.now().UTC()
		}
		return writeJSON(d.hostFile(id), h)
	})
	return h, err
}

// revokeKey writes the account anew, without the key.
func (d *Dir) revokeKey(key string) error {
	if d.setup.Revoked == nil {
		d.setup.Revoked = map[string]int64{}
	}
	d.setup.Revoked[key] = d.now().Unix()
	if err := writeJSON(d.file("setup.json"), d.setup); err != nil {
		return err
	}
	m := maker{Dir: d}
	if err := m.account(); err != nil {
		return err
	}
	return d.writeAccounts(filepath.Join(d.setup.NATSDir, "accounts.conf"))
}
