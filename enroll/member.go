package enroll

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nkeys"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/statefile"
)

// Files in the state directory of a host that has credentials.
const (
	memberName = "nats.json"
	credsName  = "nats.creds"
	caName     = "nats-ca.pem"
	seedName   = "nats.nk"
)

const memberSchema = "avstem.member/v1"

// Member is a host that has credentials, or waits for them.
type Member struct {
	Schema string    `json:"schema"`
	Host   uuid.UUID `json:"host"`
	Site   string    `json:"site"`
	Server string    `json:"server"` // URL of NATS
	// Issuer is the URL where the credentials are renewed, "" where they aren't.
	Issuer string `json:"issuer,omitempty"`
	// Issued and Expires are of the credentials, zero while there are none or they
	// don't end.
	Issued  time.Time `json:"issued,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
}

// ReadMember reads what a state directory holds of this, and gives an error that is
// fs.ErrNotExist where there is nothing.
func ReadMember(dir string) (Member, error) {
	path := filepath.Join(dir, memberName)
	data, err := os.ReadFile(path)
	if err != nil {
		return Member{}, fmt.Errorf("read enrolment: %w", err)
	}
	var m Member
	if err := json.Unmarshal(data, &m); err != nil {
		return Member{}, fmt.Errorf("read enrolment %s: %w", path, err)
	}
	if m.Schema != memberSchema {
		return Member{}, fmt.Errorf("read enrolment %s: its schema is %q and not %s", path, m.Schema, memberSchema)
	}
	return m, nil
}

// Write keeps it.
func (m Member) Write(dir string) error {
	m.Schema = memberSchema
	data, err := json.MarshalIndent(m, "", "  ")
	if err == nil {
		err = statefile.Write(filepath.Join(dir, memberName), append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write enrolment: %w", err)
	}
	return nil
}

// WriteCA keeps the certificates that the host trusts, unless there are none.
func WriteCA(dir string, pem []byte) error {
	if len(pem) == 0 {
		return nil
	}
	if err := statefile.Write(filepath.Join(dir, caName), pem); err != nil {
		return fmt.Errorf("write CA: %w", err)
	}
	return nil
}

// WriteCreds keeps credentials: a JWT and the seed of the key that it is for.
func WriteCreds(dir, token string, seed []byte) error {
	text := fmt.Sprintf("-----BEGIN NATS USER JWT-----\n%s\n------END NATS USER JWT------\n\n"+
		"-----BEGIN USER NKEY SEED-----\n%s\n------END USER NKEY SEED------\n", token, seed)
	if err := statefile.Write(filepath.Join(dir, credsName), []byte(text)); err != nil {
		return fmt.Errorf("write credentials: %w", err)
	}
	return nil
}

// Where says how a host reaches NATS with what its state directory holds.
func (m Member) Where(dir string) (bus.Options, error) {
	o := bus.Options{Server: m.Server}
	for name, field := range map[string]*string{credsName: &o.Creds, caName: &o.CA} {
		path := filepath.Join(dir, name)
		_, err := os.Stat(path)
		switch {
		case err == nil:
			*field = path
		case !errors.Is(err, fs.ErrNotExist):
			return bus.Options{}, fmt.Errorf("read enrolment: %w", err)
		}
	}
	if o.Creds == "" {
		return bus.Options{}, fmt.Errorf("host %s has asked to be let in and was not yet: see `avstem enroll list` on the server, then run `avstem-agent enroll` again", m.Host)
	}
	return o, nil
}

// Take keeps what an issuer answered, and gives the member that it makes.
func (m Member) Take(dir string, a Answer, key nkeys.KeyPair) (Member, error) {
	seed, err := key.Seed()
	if err != nil {
		return Member{}, fmt.Errorf("write credentials: %w", err)
	}
	m.Site, m.Server, m.Issued, m.Expires = a.Site, a.Server, a.Issued, a.Expires
	if err := WriteCA(dir, []byte(a.CA)); err != nil {
		return Member{}, err
	}
	if err := WriteCreds(dir, a.JWT, seed); err != nil {
		return Member{}, err
	}
	return m, m.Write(dir)
}

// Key reads the host's key, and makes it the first time.
func Key(dir string) (nkeys.KeyPair, error) {
	path := filepath.Join(dir, seedName)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := nkeys.CreateUser()
		if err != nil {
			return nil, fmt.Errorf("make key: %w", err)
		}
		seed, err := key.Seed()
		if err == nil {
			err = statefile.Write(path, append(seed, '\n'))
		}
		if err != nil {
			return nil, fmt.Errorf("make key: %w", err)
		}
		return key, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	key, err := nkeys.FromSeed(bytes.TrimSpace(data))
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w: remove it, and enroll this host again", path, err)
	}
	return key, nil
}

// DropKey lets go of a key that an issuer won't have any more.
func DropKey(dir string) error {
	if err := os.Remove(filepath.Join(dir, seedName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove key: %w", err)
	}
	return nil
}
