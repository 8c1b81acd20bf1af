package bus

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// SocketName is the unix socket of an embedded server in its state directory.
const SocketName = "nats.sock"

// Options say where the NATS server is. It is looked for in this order, and the
// first that is named is the one: Server; Context; StateDir; AVSTEM_SERVER;
// AVSTEM_CONTEXT. Where none is, the first that answers of: the socket in
// AVSTEM_STATE_DIR; what a configuration file names, after which nothing else
// will do; the NATS context that the nats command has selected; the socket in the default state directory; the one of the
// `avstem up` that runs now ([RunLink]).
type Options struct {
	Server   string // URL, or several with commas between
	How      string // what names Server, for people; "" means a flag does
	Context  string // name of a NATS context
	StateDir string // of the avstem up that is meant, and no other
	Auth
	// InsecurePlaintext lets everything go over the network in the clear, readable
	// and changeable by who is on the way. It is for labs without anything to lose.
	InsecurePlaintext bool
	File              Named               // by a configuration file
	Name              string              // of this client, shown by the server
	Getenv            func(string) string // nil means os.Getenv
	Logger            *slog.Logger        // nil means none
}

// Named is a server that a file names, and how to get in.
type Named struct {
	How             string // the file, for people
	Server, Context string // as in Options; neither means that none is named
	Auth            Auth
}

// Auth are credentials and TLS files. Empty fields are taken from AVSTEM_CREDS,
// AVSTEM_USER, AVSTEM_PASSWORD, AVSTEM_TOKEN, AVSTEM_CA, AVSTEM_CERT and
// AVSTEM_KEY, if the server is named by a flag or the environment.
type Auth struct {
	Creds, User, Password, Token, CA, Cert, Key string
}

// NoServerError says that no server was named and none runs here. Tried is where
// was looked, for a person who wonders; the sentence does without.
type NoServerError struct {
	Tried []string
}

func (e *NoServerError) Error() string {
	return "find a NATS server: no avstem is running here: start `avstem up --inventory DIR`, or name a server with --server"
}

// target is one place where a server may be.
type target struct {
	how    string // for people: what named it
	named  bool   // by a flag or the environment: nothing else will do
	url    string
	socket string // path of a unix socket, instead of url
	auth   Auth
	nkey   string // seed file
	inbox  string // prefix
	domain string // of JetStream
}

func (t target) shown() string {
	if t.socket != "" {
		return t.socket
	}
	var shown []string
	for address := range strings.SplitSeq(t.url, ",") {
		if u, err := url.Parse(address); err == nil {
			address = u.Redacted()
			if u.User != nil {
				address = u.Scheme + "://" + u.Host
			}
		}
		shown = append(shown, address)
	}
	return strings.Join(shown, ",")
}

// First is where [Connect] would go now: the unix socket of an avstem up that
// answers, or else what names another server, of which it isn't known whether it
// answers. Neither means that there is none.
func (o Options) First() (socket, how string) {
	found, _, err := o.targets()
	if err != nil {
		return "", ""
	}
	for _, t := range found {
		switch {
		case t.socket == "":
			return "", t.how
		case socketDialer(t.socket).probe() == nil:
			return t.socket, t.how
		}
	}
	return "", ""
}

// targets lists where to look, and notes what was looked for and isn't there.
func (o Options) targets() (found []target, tried []string, err error) {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	byContext := func(name, how string) ([]target, []string, error) {
		t, err := loadContext(name, o.Getenv)
		t.how, t.named = how, true
		return []target{t}, nil, err
	}
	fromEnv, contextFromEnv := o.Getenv("AVSTEM_SERVER"), o.Getenv("AVSTEM_CONTEXT")
	switch {
	case o.Server != "":
		return []target{{how: cmp.Or(o.How, "--server"), named: true, url: o.Server, auth: o.Auth.orEnv(o.Getenv)}}, nil, nil
	case o.Context != "":
		return byContext(o.Context, "NATS context "+o.Context)
	case o.StateDir != "":
		socket := filepath.Join(o.StateDir, SocketName)
		return []target{{how: "the avstem up of " + o.StateDir, named: true, socket: socket}}, nil, nil
	case fromEnv != "":
		return []target{{how: "AVSTEM_SERVER", named: true, url: fromEnv, auth: o.Auth.orEnv(o.Getenv)}}, nil, nil
	case contextFromEnv != "":
		return byContext(contextFromEnv, "AVSTEM_CONTEXT "+contextFromEnv)
	}
	add := func(how, dir string) {
		socket := filepath.Join(dir, SocketName)
		if _, err := os.Stat(socket); err != nil {
			tried = append(tried, how+" "+socket+": "+reason(err))
			return
		}
		found = append(found, target{how: how + " " + socket, socket: socket})
	}
	tried = append(tried, "--server and AVSTEM_SERVER: not set")
	explicit := o.Getenv("AVSTEM_STATE_DIR") != ""
	if explicit {
		add("the state directory's", StateDir("", o.Getenv))
	}
	switch {
	case o.File.Server != "":
		return append(found, target{how: o.File.How, named: true, url: o.File.Server, auth: o.Auth.orEnv(o.Getenv).or(o.File.Auth)}), tried, nil
	case o.File.Context != "":
		t, _, err := byContext(o.File.Context, o.File.How+", NATS context "+o.File.Context)
		return append(found, t...), tried, err
	}
	switch name, err := selectedContext(o.Getenv); {
	case err != nil:
		return nil, nil, err
	case name == "":
		tried = append(tried, "NATS context: none is selected")
	default:
		t, err := loadContext(name, o.Getenv)
		if err != nil {
			return nil, nil, err
		}
		t.how = "the selected NATS context " + name
		found = append(found, t)
	}
	if !explicit {
		add("the state directory's", StateDir("", o.Getenv))
	}
	add("the running avstem's", RunLink(o.Getenv))
	return found, tried, nil
}

func reason(err error) string {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err.Error()
	}
	return err.Error()
}

// or fills what is empty.
func (a Auth) or(other Auth) Auth {
	return Auth{Creds: cmp.Or(a.Creds, other.Creds), User: cmp.Or(a.User, other.User), Password: cmp.Or(a.Password, other.Password),
		Token: cmp.Or(a.Token, other.Token), CA: cmp.Or(a.CA, other.CA), Cert: cmp.Or(a.Cert, other.Cert), Key: cmp.Or(a.Key, other.Key)}
}

func (a Auth) orEnv(getenv func(string) string) Auth {
	for name, field := range map[string]*string{
		"CREDS": &a.Creds, "USER": &a.User, "PASSWORD": &a.Password, "TOKEN": &a.Token,
		"CA": &a.CA, "CERT": &a.Cert, "KEY": &a.Key,
	} {
		if *field == "" {
			*field = getenv("AVSTEM_" + name)
		}
	}
	return a
}

// dial connects to the target.
func (t target) dial(o Options) (*Conn, error) {
	if t.socket == "" {
		if err := CheckServer(t.url); err != nil {
			return nil, err
		}
	}
	options := []nats.Option{nats.Name(o.Name)}
	address := t.url
	if t.socket != "" {
		// The URL is only a name here: every dial goes to the socket.
		address = nats.DefaultURL
		options = append(options, nats.SetCustomDialer(socketDialer(t.socket)), nats.IgnoreDiscoveredServers())
		if err := socketDialer(t.socket).probe(); err != nil {
			return nil, err
		}
	}
	var self credential
	if t.auth.Creds != "" {
		var err error
		if self, err = readCredential(t.auth.Creds); err != nil {
			return nil, err
		}
	}
	if inbox := cmp.Or(t.inbox, self.inbox()); inbox != "" {
		options = append(options, nats.CustomInboxPrefix(inbox))
	}
	options, err := t.authOptions(options, o.InsecurePlaintext)
	if err != nil {
		return nil, err
	}
	conn, err := Dial(address, o.Logger, t.domain, options...)
	if err != nil {
		return nil, err
	}
	conn.socket, conn.publishesOnly = t.socket, self.has(TagHost)
	return conn, nil
}

func (t target) authOptions(options []nats.Option, plaintext bool) ([]nats.Option, error) {
	a := t.auth
	if a.Creds != "" {
		options = append(options, nats.UserCredentials(a.Creds))
	}
	if t.nkey != "" {
		option, err := nats.NkeyOptionFromSeed(t.nkey)
		if err != nil {
			return nil, fmt.Errorf("read nkey seed %s: %w", t.nkey, err)
		}
		options = append(options, option)
	}
	if a.User != "" {
		options = append(options, nats.UserInfo(a.User, a.Password))
	}
	if a.Token != "" {
		options = append(options, nats.Token(a.Token))
	}
	if a.CA != "" {
		if _, err := os.Stat(a.CA); err != nil { // nats.go doesn't say what it was for
			return nil, fmt.Errorf("read the certificate authorities that are trusted: %w", err)
		}
		options = append(options, nats.RootCAs(a.CA))
	}
	if a.Cert != "" || a.Key != "" {
		options = append(options, nats.ClientCert(a.Cert, a.Key))
	}
	switch {
	case t.socket != "":
	case loopbackOnly(t.url):
		// What a server on this machine tells of others would be dialed without TLS.
		options = append(options, nats.IgnoreDiscoveredServers())
	case !plaintext:
		// Asked for before any credential is sent.
		options = append(options, func(o *nats.Options) error {
			o.Secure = true
			if o.TLSConfig == nil {
				o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
			}
			return nil
		})
	}
	return options, nil
}

// CheckServer says whether a server's URL, or each of several with commas between,
// is one that NATS can be reached at. Nothing is looked up.
func CheckServer(list string) error {
	for address := range strings.SplitSeq(list, ",") {
		address = strings.TrimSpace(address)
		whole := address
		if !strings.Contains(address, "://") {
			whole = "nats://" + address
		}
		u, err := url.Parse(whole)
		switch {
		case err != nil || u.Hostname() == "":
			return fmt.Errorf("%q is no address of a server: want nats://HOST:PORT or tls://HOST:PORT", hidden(u, address))
		case !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme):
			return fmt.Errorf("%q is no address of a NATS server: want nats://HOST:PORT or tls://HOST:PORT", hidden(u, address))
		}
	}
	return nil
}

// hidden is an address without the password in it.
func hidden(u *url.URL, address string) string {
	switch {
	case u != nil:
		return u.Redacted()
	case strings.Contains(address, "@"):
		return "…" + address[strings.LastIndex(address, "@"):]
	}
	return address
}

// loopbackOnly says whether every server of a list of URLs is on this machine.
func loopbackOnly(list string) bool {
	for address := range strings.SplitSeq(list, ",") {
		address = strings.TrimSpace(address)
		if !strings.Contains(address, "://") {
			address = "nats://" + address
		}
		u, err := url.Parse(address)
		if err != nil {
			return false
		}
		if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}

// socketDialer dials a unix socket whatever address it is asked for.
type socketDialer string

// Dial connects to the socket.
func (path socketDialer) Dial(string, string) (net.Conn, error) {
	return net.DialTimeout("unix", string(path), 5*time.Second)
}

// probe tells why the socket can't be used; nats.go would only say that there
// is no server.
func (path socketDialer) probe() error {
	conn, err := path.Dial("", "")
	if err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok {
			return op.Err
		}
		return err
	}
	return conn.Close()
}
