package auth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/bus/auth"
	"github.com/dataverket/avstem/bus/embedded"
	"github.com/dataverket/avstem/inventory"
)

var (
	hostA = uuid.MustParse("6f1c0000-0000-4000-8000-00000000000a")
	hostB = uuid.MustParse("6f1c0000-0000-4000-8000-00000000000b")
)

const site = "osl1"

var sources = []string{"identity", "network", "runtime-libvirt"}

// rig is a real server that runs by the configuration that Init wrote.
type rig struct {
	t      *testing.T
	dir    *auth.Dir
	nats   *embedded.Configured
	server string
	tmp    string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, tmp: t.TempDir()}
	r.init(auth.Options{Sites: []string{site, "trd1"}, Sources: sources, Names: []string{"127.0.0.1", "localhost"}, Listen: freeAddress(t)})
	nats, err := embedded.StartConfigured(t.Context(), r.dir.Config(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Close)
	r.nats, r.server = nats, r.dir.Server()
	if err := r.reconciler().EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (r *rig) init(o auth.Options) []auth.Made {
	r.t.Helper()
	dir, made, err := auth.Init(filepath.Join(r.tmp, "auth"), o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.dir = dir
	return made
}

// connect connects as avstem's programs do.
func (r *rig) connect(creds string) (*bus.Conn, error) {
	conn, err := bus.Connect(r.t.Context(), bus.Options{
		Server: r.server, Auth: bus.Auth{Creds: creds, CA: r.dir.CA()}, Getenv: func(string) string { return "" },
	})
	if err == nil {
		r.t.Cleanup(conn.Close)
	}
	return conn, err
}

func (r *rig) mustConnect(creds string) *bus.Conn {
	r.t.Helper()
	conn, err := r.connect(creds)
	if err != nil {
		r.t.Fatal(err)
	}
	return conn
}

func (r *rig) reconciler() *bus.Conn {
	r.t.Helper()
	return r.mustConnect(r.dir.ReconcilerCreds(site))
}

// issue makes a host's credentials file.
func (r *rig) issue(id uuid.UUID, in string) string {
	r.t.Helper()
	key, err := nkeys.CreateUser()
	if err != nil {
		r.t.Fatal(err)
	}
	public, err := key.PublicKey()
	if err != nil {
		r.t.Fatal(err)
	}
	token, _, err := r.dir.Issue(auth.Issue{ID: id, Site: in, Key: public, By: "test"})
	if err != nil {
		r.t.Fatal(err)
	}
	return r.write(token, key)
}

// write makes a credentials file of a JWT and a key.
func (r *rig) write(token string, key nkeys.KeyPair) string {
	r.t.Helper()
	seed, err := key.Seed()
	if err != nil {
		r.t.Fatal(err)
	}
	creds := fmt.Sprintf("-----BEGIN NATS USER JWT-----\n%s\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n%s\n------END USER NKEY SEED------\n", token, seed)
	path := filepath.Join(r.tmp, uuid.NewString()+".creds")
	if err := os.WriteFile(path, []byte(creds), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// key reads one of the directory's own, as whoever has stolen it could.
func (r *rig) key(parts ...string) nkeys.KeyPair {
	r.t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{r.dir.Path()}, parts...)...))
	if err != nil {
		r.t.Fatal(err)
	}
	key, err := nkeys.FromSeed(data[:len(data)-1])
	if err != nil {
		r.t.Fatal(err)
	}
	return key
}

// forge signs a user's JWT with any key.
func (r *rig) forge(by nkeys.KeyPair, change func(*jwt.UserClaims)) string {
	r.t.Helper()
	key, err := nkeys.CreateUser()
	if err != nil {
		r.t.Fatal(err)
	}
	public, err := key.PublicKey()
	if err != nil {
		r.t.Fatal(err)
	}
	account, err := r.key("account.nk").PublicKey()
	if err != nil {
		r.t.Fatal(err)
	}
	c := jwt.NewUserClaims(public)
	c.SetScoped(true)
	c.Name, c.IssuerAccount = hostA.String(), account
	c.Tags.Add(bus.TagIssued, bus.TagHost)
	change(c)
	token, err := c.Encode(by)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.write(token, key)
}

// spy sees everything that is said in the account.
type spy struct {
	t    *testing.T
	conn *bus.Conn
	all  *nats.Subscription
}

func (r *rig) spy() *spy {
	r.t.Helper()
	creds := r.forge(r.key("account.nk"), func(c *jwt.UserClaims) {
		c.SetScoped(false)
		c.Name, c.IssuerAccount, c.Tags = "spy", "", nil
	})
	conn := r.mustConnect(creds)
	all, err := conn.NATS().SubscribeSync(">")
	if err != nil {
		r.t.Fatal(err)
	}
	flush(r.t, conn)
	return &spy{r.t, conn, all}
}

func flush(t *testing.T, conn *bus.Conn) {
	t.Helper()
	if err := conn.NATS().FlushTimeout(10 * time.Second); err != nil {
		t.Fatal(err)
	}
}

// heard lists what was said until now, in a word each. What clients said before
// they flushed has been passed on when the server answers us.
func (s *spy) heard() []string {
	s.t.Helper()
	mark := "spy.mark." + uuid.NewString()
	if err := s.conn.NATS().Publish(mark, nil); err != nil {
		s.t.Fatal(err)
	}
	var lines []string
	for {
		msg, err := s.all.NextMsg(10 * time.Second)
		if err != nil {
			s.t.Fatal(err)
		}
		if msg.Subject == mark {
			return lines
		}
		if !byAnother(s.t, msg) {
			lines = append(lines, msg.Subject)
		}
	}
}

// byAnother says whether it is the server's advisory that somebody who is no host has
// called JetStream's API, as the spy itself does. It comes some time after the call.
func byAnother(t *testing.T, msg *nats.Msg) bool {
	t.Helper()
	if msg.Subject != "$JS.EVENT.ADVISORY.API" {
		return false
	}
	var advisory struct {
		Client struct {
			Name string      `json:"name_tag"`
			Tags jwt.TagList `json:"tags"`
		} `json:"client"`
	}
	if err := json.Unmarshal(msg.Data, &advisory); err != nil {
		t.Fatalf("%s: %v", msg.Data, err)
	}
	return advisory.Client.Name != "" && !advisory.Client.Tags.Contains(bus.TagHost)
}

// stored gives the last sequence of each stream.
func (s *spy) stored() map[string]uint64 {
	s.t.Helper()
	last := map[string]uint64{}
	for _, name := range []string{bus.StreamObserved, bus.StreamFindings, bus.StreamDrift} {
		stream, err := s.conn.JetStream().Stream(s.t.Context(), name)
		if err != nil {
			s.t.Fatal(err)
		}
		last[name] = stream.CachedInfo().State.LastSeq
	}
	return last
}

func document(t *testing.T, host uuid.UUID, epoch, gen uint64) *inventory.Observation {
	t.Helper()
	o := &inventory.Observation{Schema: inventory.Schema, Host: host, Site: site, Source: "network",
		Epoch: epoch, Gen: gen, ObservedAt: time.Unix(1_700_000_000, 0).UTC(), Outcome: inventory.OutcomeComplete, Complete: true}
	if err := o.Seal(); err != nil {
		t.Fatal(err)
	}
	return o
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func (r *rig) restart() {
	r.t.Helper()
	nats, err := embedded.StartConfigured(r.t.Context(), r.dir.Config(), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(nats.Close)
	r.nats = nats
}

func readJWT(t *testing.T, creds string) string {
	t.Helper()
	data, err := os.ReadFile(creds)
	if err != nil {
		t.Fatal(err)
	}
	token, err := nkeys.ParseDecoratedJWT(data)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// renew puts a file in another's place, as a renewal does.
func renew(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}
