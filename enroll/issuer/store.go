package issuer

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/agent/hostid"
	"github.com/dataverket/avstem/statefile"
)

// maxRequests is how many requests are remembered; when there are more, the oldest
// that nobody waits for go.
const maxRequests = 1000

// Ticket is a token as it is kept: without its code.
type Ticket struct {
	Hash string `json:"hash"` // SHA-256 of the code, hex
	Site string `json:"site"`
	// Name is the host's for people, Host the only ID that it may have, Hardware a
	// serial, UUID or MAC address that it must show; each may be absent.
	Name     string    `json:"name,omitempty"`
	Host     uuid.UUID `json:"host,omitzero"`
	Hardware string    `json:"hardware,omitempty"`
	// Person says that somebody is to approve who comes with it.
	Person  bool      `json:"person"`
	Made    time.Time `json:"made"`
	Expires time.Time `json:"expires"`

	Used     time.Time        `json:"used,omitzero"`
	Key      string           `json:"key,omitempty"` // of who used it
	UsedBy   uuid.UUID        `json:"usedBy,omitzero"`
	Evidence *hostid.Evidence `json:"evidence,omitempty"`
}

// State is what became of a request.
type State string

// What can become of a request.
const (
	Waiting  State = "waiting"
	Approved State = "approved" // the host gets its credentials when it asks again
	Denied   State = "denied"
	Issued   State = "issued"
	Refused  State = "refused"
)

// Pending is one request of one host.
type Pending struct {
	ID       string          `json:"id"`
	Host     uuid.UUID       `json:"host"`
	Name     string          `json:"name,omitempty"`
	Hostname string          `json:"hostname,omitempty"`
	Site     string          `json:"site"`
	Key      string          `json:"key"`
	From     string          `json:"from"` // address
	At       time.Time       `json:"at"`
	State    State           `json:"state"`
	Why      string          `json:"why,omitempty"`
	Evidence hostid.Evidence `json:"evidence"`
}

func hashOf(code string) string {
	sum := sha256.Sum256([]byte(code))
	return hex.EncodeToString(sum[:])
}

// requestID is one host's request with one key and one token.
func requestID(ticket, key string, host uuid.UUID) string {
	return hashOf(ticket + " " + key + " " + host.String())[:12]
}

func (i *Issuer) ticketFile(hash string) string {
	return filepath.Join(i.path, "tokens", hash+".json")
}

func (i *Issuer) requestFile(id string) string {
	return filepath.Join(i.path, "requests", id+".json")
}

func read[T any](path string) (T, error) {
	var v T
	data, err := os.ReadFile(path)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return v, fmt.Errorf("read %s: %w", path, err)
	}
	return v, nil
}

// write replaces a file by a new one, of which there is all or nothing.
func write(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := statefile.MkdirAll(filepath.Dir(path)); err != nil {
		return err
	}
	return statefile.Write(path, append(data, '\n'))
}

func readAll[T any](dir string) ([]T, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []T
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		v, err := read[T](filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// Tickets lists tokens that may still be used, those that hold longest first.
func (i *Issuer) Tickets() ([]Ticket, error) {
	all, err := readAll[Ticket](filepath.Join(i.path, "tokens"))
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	now := i.now()
	all = slices.DeleteFunc(all, func(t Ticket) bool { return !t.Used.IsZero() || now.After(t.Expires) })
	slices.SortFunc(all, func(a, b Ticket) int { return cmp.Or(b.Expires.Compare(a.Expires), cmp.Compare(a.Hash, b.Hash)) })
	return all, nil
}

// Requests lists requests, the newest first.
func (i *Issuer) Requests() ([]Pending, error) {
	all, err := readAll[Pending](filepath.Join(i.path, "requests"))
	if err != nil {
		return nil, fmt.Errorf("list enrolments: %w", err)
	}
	slices.SortFunc(all, func(a, b Pending) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.ID, b.ID)) })
	return all, nil
}

// keep writes a request, and makes room for it.
func (i *Issuer) keep(p Pending) error {
	if _, err := os.Stat(i.requestFile(p.ID)); errors.Is(err, fs.ErrNotExist) {
		all, err := i.Requests()
		if err != nil {
			return err
		}
		for n := len(all) - 1; n >= 0 && len(all) >= maxRequests; n-- {
			if all[n].State == Waiting || all[n].State == Approved {
				continue
			}
			if err := os.Remove(i.requestFile(all[n].ID)); err != nil {
				return err
			}
			all = slices.Delete(all, n, n+1)
		}
	}
	return write(i.requestFile(p.ID), p)
}
