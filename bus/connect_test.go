package bus

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// place is a user's surroundings.
type place struct {
	dir string
	env map[string]string
}

func newPlace(t *testing.T) *place {
	dir := t.TempDir()
	return &place{dir, map[string]string{"HOME": dir, "AVSTEM_STATE_DIR": filepath.Join(dir, "state"), "AVSTEM_RUN_LINK": filepath.Join(dir, "current")}}
}

func (p *place) getenv(name string) string { return p.env[name] }

func (p *place) write(t *testing.T, path, text string) {
	t.Helper()
	path = filepath.Join(p.dir, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (p *place) context(t *testing.T, name, json string) {
	t.Helper()
	p.write(t, ".config/nats/context/"+name+".json", json)
}

// socket makes dir/nats.sock, which leads to the server.
func (p *place) socket(t *testing.T, dir string, to *natsServer) {
	t.Helper()
	p.write(t, dir+"/.keep", "")
	l, err := net.Listen("unix", filepath.Join(p.dir, dir, SocketName))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			inner, err := to.InProcessConn()
			if err != nil {
				client.Close()
				return
			}
			go func() { io.Copy(inner, client); inner.Close() }()
			go func() { io.Copy(client, inner); client.Close() }()
		}
	}()
}

func (p *place) connect(t *testing.T, o Options) (string, error) {
	t.Helper()
	o.Getenv = p.getenv
	c, err := Connect(t.Context(), o)
	if err != nil {
		return "", err
	}
	t.Cleanup(c.Close)
	return c.nc.ConnectedServerName(), nil
}

func named(t *testing.T, name string, set ...func(*server.Options)) *natsServer {
	t.Helper()
	return startServer(t, append(set, func(o *server.Options) { o.ServerName, o.JetStream = name, false })...)
}

func TestWhatIsNamedGoesBeforeWhatIsFound(t *testing.T) {
	p := newPlace(t)
	flag, env, picked, given, selected := named(t, "flag"), named(t, "env"), named(t, "picked"), named(t, "given"), named(t, "selected")
	state, linked := named(t, "state"), named(t, "linked")
	want := func(want string, o Options) {
		t.Helper()
		if got, err := p.connect(t, o); err != nil || got != want {
			t.Errorf("connected to %q, %v; want %q", got, err, want)
		}
	}
	// From the last place to look to the first.
	p.socket(t, "running", linked)
	if err := os.Symlink(filepath.Join(p.dir, "running"), p.env["AVSTEM_RUN_LINK"]); err != nil {
		t.Fatal(err)
	}
	want("linked", Options{})
	delete(p.env, "AVSTEM_STATE_DIR")
	p.context(t, "lab", `{"url":"`+selected.ClientURL()+`","description":"more is ignored","nsc":""}`)
	p.write(t, ".config/nats/context.txt", "lab\n")
	want("selected", Options{})
	p.socket(t, "state", state)
	want("state", Options{StateDir: filepath.Join(p.dir, "state")})
	p.env["AVSTEM_STATE_DIR"] = filepath.Join(p.dir, "state")
	want("state", Options{})
	p.context(t, "given", `{"url":"`+given.ClientURL()+`"}`)
	p.env["AVSTEM_CONTEXT"] = "given"
	want("given", Options{})
	p.env["AVSTEM_SERVER"] = env.ClientURL()
	want("env", Options{})
	p.context(t, "picked", `{"url":"`+picked.ClientURL()+`"}`)
	want("state", Options{StateDir: filepath.Join(p.dir, "state")})
	want("picked", Options{Context: "picked"})
	want("flag", Options{Server: flag.ClientURL(), Context: "picked"})
}

// A state directory that is named and where nothing runs is an error, although
// another avstem could answer: its answers would be about something else.
func TestNoOtherAnswersForTheStateDirectoryThatIsNamed(t *testing.T) {
	p := newPlace(t)
	p.socket(t, "running", named(t, "linked"))
	if err := os.Symlink(filepath.Join(p.dir, "running"), p.env["AVSTEM_RUN_LINK"]); err != nil {
		t.Fatal(err)
	}
	got, err := p.connect(t, Options{StateDir: filepath.Join(p.dir, "nowhere")})
	if err == nil {
		t.Fatalf("connected to %q", got)
	}
	if !strings.Contains(err.Error(), filepath.Join(p.dir, "nowhere")) {
		t.Errorf("the error doesn't name the directory: %v", err)
	}
}

func TestSocketThatNobodyListensOnIsPassedOver(t *testing.T) {
	p := newPlace(t)
	p.write(t, "state/.keep", "")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(p.dir, "state", SocketName), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	_, err = p.connect(t, Options{})
	none, ok := errors.AsType[*NoServerError](err)
	if !ok || !strings.Contains(strings.Join(none.Tried, "\n"), SocketName+": no avstem runs with that state directory: connect: connection refused") {
		t.Fatalf("got %v", err)
	}
	p.socket(t, "running", named(t, "linked"))
	if err := os.Symlink(filepath.Join(p.dir, "running"), p.env["AVSTEM_RUN_LINK"]); err != nil {
		t.Fatal(err)
	}
	c, err := Connect(t.Context(), Options{Getenv: p.getenv})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if want := filepath.Join(p.env["AVSTEM_RUN_LINK"], SocketName); c.nc.ConnectedServerName() != "linked" || c.Server() != want {
		t.Errorf("connected to %q at %s, want %s", c.nc.ConnectedServerName(), c.Server(), want)
	}
}

func TestNoServerSaysWhatWasTriedAndWhatToDo(t *testing.T) {
	p := newPlace(t)
	_, err := p.connect(t, Options{})
	none, ok := errors.AsType[*NoServerError](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	said := err.Error() + "\n" + strings.Join(none.Tried, "\n")
	for _, want := range []string{"no avstem is running here", "start `avstem up --inventory DIR`", "--server", "AVSTEM_SERVER",
		"NATS context", p.dir + "/state/nats.sock: no such file", p.dir + "/current/nats.sock: no such file"} {
		if !strings.Contains(said, want) {
			t.Errorf("no word of %q in: %s", want, said)
		}
	}
}

func TestErrorsOfAServerThatWasNamed(t *testing.T) {
	closed := named(t, "closed")
	url := closed.ClientURL()
	closed.stop()
	locked := named(t, "locked", func(o *server.Options) { o.Authorization = "secret" })
	p := newPlace(t)
	p.context(t, "empty", `{}`)
	p.context(t, "broken", `{"url":`)
	p.context(t, "lost", `{"url":"`+url+`"}`)
	for name, test := range map[string]struct {
		o    Options
		want []string
	}{
		"down":          {Options{Server: url}, []string{"connect to NATS: --server: nothing answers at " + url}},
		"token":         {Options{Server: locked.ClientURL()}, []string{"refuses the credentials", "AVSTEM_TOKEN", "nats.token"}},
		"no context":    {Options{Context: "nope"}, []string{"there is no " + p.dir + "/.config/nats/context/nope.json", "nats context ls"}},
		"path":          {Options{Context: "../lost"}, []string{"is not the name of one"}},
		"without URL":   {Options{Context: "empty"}, []string{"empty.json: it has no url"}},
		"no JSON":       {Options{Context: "broken"}, []string{"broken.json: "}},
		"context, down": {Options{Context: "lost"}, []string{"NATS context lost: nothing answers at " + url}},
		"no creds file": {Options{Server: locked.ClientURL(), Auth: Auth{Creds: p.dir + "/no.creds"}}, []string{"no.creds"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := p.connect(t, test.o)
			if err == nil {
				t.Fatalf("connected to %s", got)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no word of %q in: %v", want, err)
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}

func TestCredentials(t *testing.T) {
	byToken := named(t, "token", func(o *server.Options) { o.Authorization = "secret" })
	byUser := named(t, "user", func(o *server.Options) { o.Username, o.Password = "me", "secret" })
	p := newPlace(t)
	p.context(t, "token", `{"url":"`+byToken.ClientURL()+`","token":"secret"}`)
	p.context(t, "user", `{"url":"`+byUser.ClientURL()+`","user":"me","password":"secret"}`)
	want := func(want string, o Options) {
		t.Helper()
		if got, err := p.connect(t, o); err != nil || got != want {
			t.Errorf("connected to %q, %v; want %q", got, err, want)
		}
	}
	want("token", Options{Context: "token"})
	want("user", Options{Context: "user"})
	want("token", Options{Server: byToken.ClientURL(), Auth: Auth{Token: "secret"}})
	p.env["AVSTEM_TOKEN"] = "secret"
	want("token", Options{Server: byToken.ClientURL()})
	delete(p.env, "AVSTEM_TOKEN")
	p.env["AVSTEM_USER"], p.env["AVSTEM_PASSWORD"] = "me", "secret"
	want("user", Options{Server: byUser.ClientURL()})
}

func TestOnlyLoopbackNeedsNoTLS(t *testing.T) {
	for list, want := range map[string]bool{
		"nats://127.0.0.1:4222": true, "localhost": true, "nats://[::1]:4222": true, "127.0.0.1": true, "nats://a:b@127.9.9.9": true,
		"nats://10.0.0.1:4222": false, "nats://nats.example.org": false, "nats://127.0.0.1,nats://10.0.0.1": false,
		"nats://localhost.example.org": false, "": false, "nats://127.0.0.1.example.org": false, ":": false,
	} {
		if got := loopbackOnly(list); got != want {
			t.Errorf("loopbackOnly(%q) is %v", list, got)
		}
	}
}

// The server listens on an address of this machine that is not loopback, as far
// as the client can tell, and would see a token sent in the clear.
func TestTokenIsNotSentWithoutTLS(t *testing.T) {
	n := named(t, "plain", func(o *server.Options) { o.Authorization = "secret" })
	o := Options{Auth: Auth{Token: "secret"}, Getenv: newPlace(t).getenv}
	// "0.0.0.0" reaches loopback and isn't it.
	o.Server = strings.Replace(n.ClientURL(), "127.0.0.1", "0.0.0.0", 1)
	_, err := Connect(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "offers no TLS") {
		t.Fatalf("got %v", err)
	}
	o.InsecurePlaintext = true // who asks for it in so many words gets it
	c, err := Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func FuzzParseContext(f *testing.F) {
	f.Add([]byte(`{"url":"nats://localhost","creds":"~/a.creds","token":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := parseContext(data, "/home/me"); err == nil && (c.URL == "" || strings.HasPrefix(c.Creds, "~/")) {
			t.Fatalf("taken as %+v", c)
		}
	})
}

// What a configuration file names goes before the selected context, and after
// everything that is named for one command; nothing else will do then.
func TestConfigurationFileNamesAServer(t *testing.T) {
	for name, test := range map[string]struct {
		options Options
		env     map[string]string
		how     string
	}{
		"alone":                    {Options{}, nil, "/etc/f.yaml"},
		"beside a flag":            {Options{Server: "nats://127.0.0.1:2"}, nil, "--server"},
		"beside a variable":        {Options{}, map[string]string{"AVSTEM_SERVER": "nats://127.0.0.1:2"}, "AVSTEM_SERVER"},
		"beside a state directory": {Options{StateDir: "/nowhere"}, nil, "the avstem up of /nowhere"},
	} {
		o := test.options
		o.File = Named{How: "/etc/f.yaml", Server: "nats://127.0.0.1:1", Auth: Auth{Token: "of the file"}}
		o.Getenv = func(name string) string { return test.env[name] }
		found, _, err := o.targets()
		if err != nil || len(found) != 1 || found[0].how != test.how || !found[0].named {
			t.Errorf("%s: %+v, %v", name, found, err)
			continue
		}
		if sent := found[0].auth.Token != ""; sent != (name == "alone") {
			t.Errorf("%s: the file's token is used: %t", name, sent)
		}
	}
}

func TestCheckServer(t *testing.T) {
	for list, fine := range map[string]bool{
		"nats://h": true, "tls://h:4222": true, "h:4222": true, "h": true, "wss://h": true, "nats://a, tls://b:1": true, "[::1]:4222": true,
		"": false, "http://h": false, "nats://": false, "tls://a,ftp://b": false, "tls://a,": false, ":4222": false, "nats://h:port": false,
	} {
		if err := CheckServer(list); (err == nil) != fine {
			t.Errorf("%q: %v", list, err)
		}
	}
	if err := CheckServer("http://user:secret@h"); strings.Contains(err.Error(), "secret") {
		t.Errorf("the password is shown: %v", err)
	}
}
