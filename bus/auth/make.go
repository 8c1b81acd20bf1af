package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/statefile"
)

// maker is one run of [Init]; it notes what it made.
type maker struct {
	*Dir
	made []Made
}

// keep writes a file by write, and notes whether it was there and differs.
func (m *maker) keep(path, what string, write func(path string) error) error {
	before, err := os.ReadFile(path)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return err
	}
	if err := write(path); err != nil {
		return err
	}
	after, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	m.made = append(m.made, Made{Path: path, What: what, New: missing, Changed: !missing && !bytes.Equal(before, after)})
	return nil
}

func (m *maker) keys() error {
	type key struct {
		path, what string
		kind       nkeys.PrefixByte
	}
	all := []key{
		{m.file("operator.nk"), "operator's key: signs accounts; nothing that runs needs it", nkeys.PrefixByteOperator},
		{m.file("account.nk"), "account's key: signs the credentials of reconcilers and readers", nkeys.PrefixByteAccount},
		{m.file("system.nk"), "system account's key", nkeys.PrefixByteAccount},
	}
	for _, site := range m.setup.Sites {
		all = append(all, key{m.file("sites", site+".nk"), "signing key of site " + site + ": signs its hosts' credentials, and can give them no more than hosts may", nkeys.PrefixByteAccount})
	}
	for _, k := range all {
		_, made, err := keyAt(k.path, k.kind)
		if err != nil {
			return err
		}
		m.made = append(m.made, Made{Path: k.path, What: k.what, New: made})
	}
	return nil
}

// account writes the JWTs of operator and accounts. Those that say what they said
// before stay, as each new one counts as newer to a server.
func (m *maker) account() error {
	operator, err := m.operatorKey()
	if err != nil {
		return err
	}
	system, err := m.systemKey()
	if err != nil {
		return err
	}
	systemID, err := system.PublicKey()
	if err != nil {
		return err
	}
	operatorID, err := operator.PublicKey()
	if err != nil {
		return err
	}
	o := jwt.NewOperatorClaims(operatorID)
	o.Name, o.SystemAccount = "avstem", systemID
	if err := m.keepJWT("operator.jwt", "operator: the server trusts what it signed", o, operator); err != nil {
		return err
	}
	s := jwt.NewAccountClaims(systemID)
	s.Name = "SYSTEM"
	if err := m.keepJWT("system.jwt", "system account", s, operator); err != nil {
		return err
	}
	a, err := m.accountClaims()
	if err != nil {
		return err
	}
	return m.keepJWT("account.jwt", "account avstem: what each site's hosts may say, and who is revoked", a, operator)
}

// keepJWT writes a JWT unless the one that is there says the same.
func (m *maker) keepJWT(name, what string, c jwt.Claims, by nkeys.KeyPair) error {
	return m.keep(m.file(name), what, func(path string) error {
		token, err := encode(c, by)
		if err != nil {
			return err
		}
		if held, err := os.ReadFile(path); err == nil {
			if sameClaims(string(held), token) {
				return nil
			}
			// Of two of one second a server keeps the one that it has.
			if before, err := jwt.DecodeGeneric(string(held)); err == nil {
				time.Sleep(time.Until(time.Unix(before.IssuedAt+1, 0)))
				if token, err = encode(c, by); err != nil {
					return err
				}
			}
		}
		return statefile.Write(path, []byte(token))
	})
}

// sameClaims compares two JWTs but for when they were made.
func sameClaims(a, b string) bool {
	was, errA := jwt.DecodeGeneric(a)
	is, errB := jwt.DecodeGeneric(b)
	if errA != nil || errB != nil {
		return false
	}
	body := func(c *jwt.GenericClaims) string {
		c.IssuedAt, c.ID = 0, ""
		c.Expires = 0
		return c.String()
	}
	return body(was) == body(is)
}

// accountClaims is the account as it is to be.
func (d *Dir) accountClaims() (*jwt.AccountClaims, error) {
	account, err := d.accountKey()
	if err != nil {
		return nil, err
	}
	id, err := account.PublicKey()
	if err != nil {
		return nil, err
	}
	a := jwt.NewAccountClaims(id)
	a.Name = "avstem"
	a.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: jwt.NoLimit, MemoryStorage: memoryStorage, Streams: jwt.NoLimit, Consumer: jwt.NoLimit}
	a.Limits.DisallowBearer = true
	for _, site := range d.setup.Sites {
		key, err := d.siteKey(site)
		if err != nil {
			return nil, err
		}
		scope := jwt.NewUserScope()
		if scope.Key, err = key.PublicKey(); err != nil {
			return nil, err
		}
		scope.Role, scope.Description = "host-"+site, "a hypervisor host of site "+site
		scope.Template.Permissions = hostPermissions(site, d.setup.Sources)
		scope.Template.Limits = jwt.Limits{NatsLimits: jwt.NatsLimits{Subs: hostSubscriptions, Data: jwt.NoLimit, Payload: jwt.NoLimit}}
		scope.Template.AllowedConnectionTypes.Add(jwt.ConnectionTypeStandard, jwt.ConnectionTypeInProcess)
		a.SigningKeys.AddScopedSigner(scope)
	}
	for key, until := range d.setup.Revoked {
		if a.Revocations == nil {
			a.Revocations = jwt.RevocationList{}
		}
		a.Revocations[key] = until
	}
	return a, nil
}

const (
	// memoryStorage bounds streams in memory, of which avstem has none.
	memoryStorage = 16 << 20
	// hostSubscriptions is more than an agent has: its heartbeat, three questions,
	// one inbox.
	hostSubscriptions = 16
)

// credentials makes those of whoever is no host.
func (m *maker) credentials() error {
	account, err := m.accountKey()
	if err != nil {
		return err
	}
	system, err := m.systemKey()
	if err != nil {
		return err
	}
	reader := "reader"
	if err := m.user(m.ReaderCreds(), "credentials of people and dashboards: they read, and ask reconcilers", reader, readerPermissions(reader), account); err != nil {
		return err
	}
	oncall := "oncall"
	if err := m.user(m.OncallCreds(), "credentials of people who also decide about findings", oncall, oncallPermissions(oncall), account); err != nil {
		return err
	}
	manage := "system"
	if err := m.user(m.SystemCreds(), "credentials with which a revocation is handed to running servers", manage, systemPermissions(manage), system); err != nil {
		return err
	}
	for _, site := range m.setup.Sites {
		user := "reconciler-" + site
		if err := bus.CheckName("reconciler", user); err != nil {
			return err
		}
		if err := m.user(m.ReconcilerCreds(site), "credentials of the reconciler of site "+site, user, reconcilerPermissions(site, user), account); err != nil {
			return err
		}
	}
	return nil
}

// user writes credentials. A key that is there stays, so that what runs with it
// goes on; its permissions are brought up to date.
func (m *maker) user(path, what, user string, may jwt.Permissions, by nkeys.KeyPair) error {
	return m.keep(path, what, func(path string) error {
		held, err := os.ReadFile(path)
		var key nkeys.KeyPair
		switch {
		case errors.Is(err, fs.ErrNotExist):
			key, err = nkeys.CreateUser()
		case err == nil:
			key, err = nkeys.ParseDecoratedUserNKey(held)
		}
		if err != nil {
			return fmt.Errorf("make %s: %w", path, err)
		}
		id, err := key.PublicKey()
		if err != nil {
			return fmt.Errorf("make %s: %w", path, err)
		}
		c := jwt.NewUserClaims(id)
		c.Name, c.Permissions = user, may
		c.Tags.Add(bus.TagIssued)
		token, err := encode(c, by)
		if err != nil {
			return err
		}
		if before, err := nkeys.ParseDecoratedJWT(held); err == nil && sameClaims(before, token) {
			return nil
		}
		seed, err := key.Seed()
		if err != nil {
			return fmt.Errorf("make %s: %w", path, err)
		}
		creds, err := jwt.FormatUserConfig(token, seed)
		if err != nil {
			return fmt.Errorf("make %s: %w", path, err)
		}
		return statefile.Write(path, creds)
	})
}
