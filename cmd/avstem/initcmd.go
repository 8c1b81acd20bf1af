package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/bus/auth"
	"github.com/dataverket/avstem/cmd/avstem/internal/setup"
	"github.com/dataverket/avstem/cmd/internal/choiceflag"
	"github.com/dataverket/avstem/cmd/internal/config"
	"github.com/dataverket/avstem/cmd/internal/hostagent"
	"github.com/dataverket/avstem/enroll/issuer"
)

const initLong = `Makes a server of this machine: directories, a NATS server with its keys,
credentials and certificate, an inventory to begin with and the settings of
avstem.service, which it starts. It asks nothing, says what it did and what to
type on the first host, and may be run again at any time: what is there is
kept, and what a run before it left half done is finished.

With --server or --context a NATS server that is there already is used
instead. What names its credentials (--creds, --ca …) is copied to where the
service may read it; hosts get their credentials from whoever runs that
server. Without them, --cert, --key and --ca are the files of a certificate
for the NATS server inside.

/usr/share/doc/avstem/install.md goes through all of it.`

const initExample = `  avstem init --dry-run
  avstem init
  avstem init --site osl1 --name nats.osl1.example.net

  # a NATS server that is there, by the nats command's context
  avstem init --site osl1 --context prod`

// serverStateDir is the state directory of avstem.service.
const serverStateDir = "/var/lib/avstem-server"

// firstTokenFor is how long the token for the first host holds.
const firstTokenFor = time.Hour

type initFlags struct {
	user, inventory, listen, enroll string
	names                           []string
	noStart, noToken, dryRun        bool
}

func newInitCommand(a *app) *cobra.Command {
	var flags initFlags
	var output string
	c := &cobra.Command{
		Use:     "init",
		Short:   "Make a server of this machine",
		Long:    initLong,
		Example: initExample,
		Args:    noArguments,
		RunE:    func(c *cobra.Command, _ []string) error { return a.initialize(c, &flags, output) },
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&flags.inventory, "inventory", "", inventoryUsage+" (default inventory beside the configuration file, begun if need be)")
	f.StringSliceVar(&flags.names, "name", nil, "`NAME` or address of this server, the first of which hosts are told (default this machine's)")
	f.StringVar(&flags.listen, "listen", "", "`ADDRESS` that the NATS server listens on (default 0.0.0.0:4222)")
	f.StringVar(&flags.enroll, "enroll-listen", "", "`ADDRESS` where hosts enroll (default :"+issuerPort+")")
	f.StringVar(&flags.user, "user", "avstem", "`NAME` of the user that the service runs as")
	f.BoolVar(&flags.noStart, "no-start", false, "start nothing, and say what to type for it")
	f.BoolVar(&flags.noToken, "no-token", false, "make no token for the first host")
	f.BoolVar(&flags.dryRun, "dry-run", false, "say what would be done, and do nothing")
	f.VarP(choiceflag.New(&output, "text", "json"), "output", "o", "`FORMAT`: text or json")
	return c
}

// initResult is what init did, and what it prints as JSON.
type initResult struct {
	DryRun    bool         `json:"dryRun,omitempty"`
	Config    string       `json:"config"`
	StateDir  string       `json:"stateDir"`
	Inventory string       `json:"inventory"`
	Site      string       `json:"site"`
	Server    string       `json:"server"`             // URL of NATS that hosts are told
	Issuer    string       `json:"issuer,omitempty"`   // URL where they enroll
	CASHA256  string       `json:"caSHA256,omitempty"` // of the CA's certificate
	Steps     []setup.Step `json:"steps"`
	Service   unitState    `json:"service"`
	// Token lets one host in, once; there is one while there is no host yet. Without
	// it Expires is of one that was made before, whose code can't be told again.
	Token   string    `json:"token,omitempty"`
	Expires time.Time `json:"tokenExpires,omitzero"`
}

// plan is what a server is to be: what was asked for, else what the configuration
// says, else a default.
type plan struct {
	path, stateDir, inventory, site string
	keys                            *pflag.FlagSet
	example                         string       // of the configuration file
	file                            *config.File // nil where there is none
	owner                           setup.Owner
	server, context                 string // a NATS server that is there
	listen, enroll                  string
	settings                        []setup.Setting
}

func (p *plan) external() bool { return p.server != "" || p.context != "" }

func (p *plan) authDir() string { return filepath.Join(p.stateDir, "auth") }

func (a *app) initialize(c *cobra.Command, flags *initFlags, format string) error {
	p, err := a.plan(flags)
	if err != nil {
		return fmt.Errorf("set up this server: %w", err)
	}
	unit := a.unit(p)
	if err := a.checkPlan(c.Context(), p, flags, unit); err != nil {
		return fmt.Errorf("set up this server: %w", err)
	}
	s := &setup.Setup{Owner: p.owner, DryRun: flags.dryRun}
	r := &initResult{DryRun: flags.dryRun, Config: p.path, StateDir: p.stateDir, Inventory: p.inventory, Site: p.site, Server: cmp.Or(p.server, p.context)}
	var dir *auth.Dir
	steps := []func() error{
		func() error { return s.StateDir(p.stateDir) },
		func() (err error) { dir, err = a.initNATS(s, p, flags); return err },
		func() error {
			if strings.Contains(p.inventory, ":") {
				return nil // no directory: the reconciler says how it does
			}
			return s.Inventory(p.inventory, p.site, filepath.Dir(p.path))
		},
		func() error { return s.Settings(p.path, p.example, p.keys, p.settings) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("set up this server: %w%s", err, begun(s))
		}
	}
	r.Steps = s.Steps
	if dir != nil {
		r.Server, r.Issuer = dir.Server(), issuerURL(dir, p.enroll)
		if r.CASHA256, err = dir.CAHash(); err != nil {
			return fmt.Errorf("set up this server: %w", err)
		}
	}
	if err := a.startUnit(c, unit, r, flags, s.Anew()); err != nil {
		return err
	}
	if !flags.noToken {
		if err := firstToken(dir, p, r); err != nil {
			return fmt.Errorf("set up this server: %w", err)
		}
	}
	if format == "json" {
		return a.writeJSON(r)
	}
	a.writeInit(r)
	return nil
}

// begun tells of a run that ended early what is left to do.
func begun(s *setup.Setup) string {
	if !s.Anew() || s.DryRun {
		return ""
	}
	return ": what was made before stays, and is used when you run this again"
}

// plan gathers what was asked for, and holds it against the configuration.
func (a *app) plan(flags *initFlags) (*plan, error) {
	p := &plan{path: cmp.Or(a.configPath, a.ownEnv("AVSTEM_CONFIG"), defaultConfig), enroll: flags.enroll, listen: flags.listen}
	if p.path == config.NoFile {
		return nil, usageError{errors.New("it writes a configuration file: name one with --config")}
	}
	var err error
	if p.path, err = filepath.Abs(p.path); err != nil {
		return nil, err
	}
	settings := a.settings()
	p.keys, _ = settings.Scratch()
	p.example = config.Example(p.keys, settings.Head, settings.Examples)
	if p.file, err = config.Read(p.path, p.keys); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if p.owner, err = setup.FindOwner(flags.user); err != nil {
		return nil, err
	}
	pick := func(key, asked, usual string) string {
		value := cmp.Or(asked, p.file.First(key), usual)
		if value != "" {
			p.settings = append(p.settings, setup.Setting{Key: key, Value: value})
		}
		return value
	}
	if p.stateDir, err = filepath.Abs(cmp.Or(a.global.stateDir, a.ownEnv("AVSTEM_STATE_DIR"), p.file.First("state-dir"), serverStateDir)); err != nil {
		return nil, err
	}
	pick("state-dir", p.stateDir, "")
	usual := bus.DefaultSite
	if dir, err := auth.Open(p.authDir()); err == nil {
		usual = dir.Sites()[0]
	}
	p.site = pick("site", cmp.Or(a.global.site, a.ownEnv("AVSTEM_SITE")), usual)
	where := flags.inventory
	if where != "" && !strings.Contains(where, ":") {
		if where, err = filepath.Abs(where); err != nil {
			return nil, err
		}
	}
	p.inventory = pick("inventory", where, filepath.Join(filepath.Dir(p.path), "inventory"))
	p.server, p.context = pick("server", a.where.Server, ""), pick("context", a.where.Context, "")
	if p.server != "" && p.context != "" {
		return nil, usageError{fmt.Errorf("a NATS server is either server %s or that of context %s: name one", p.server, p.context)}
	}
	if !p.external() {
		pick("with-nats", "true", "")
		p.enroll = pick("enroll-listen", flags.enroll, "")
	}
	return p, nil
}

// initNATS sees to the NATS server: the one inside, or what the service needs of the
// one that is there.
func (a *app) initNATS(s *setup.Setup, p *plan, flags *initFlags) (*auth.Dir, error) {
	if p.external() {
		return nil, a.lendNATS(s, p)
	}
	o := auth.Options{Sites: []string{p.site}, Sources: hostagent.Sources(), Names: flags.names, Listen: p.listen,
		Cert: a.where.Cert, Key: a.where.Key, CA: a.where.CA}
	if _, err := auth.Open(p.authDir()); err != nil && len(o.Names) == 0 {
		o.Names = serverNames()
	}
	dir, err := s.Auth(p.authDir(), o)
	if err != nil || dir == nil || s.DryRun {
		return dir, err
	}
	if err := checkNATSConfig(dir); err != nil {
		return nil, fmt.Errorf("the server would not take its configuration %s: %w", dir.Config(), err)
	}
	return dir, nil
}

// lendNATS lets the service have what the NATS server asks for.
func (a *app) lendNATS(s *setup.Setup, p *plan) error {
	beside := filepath.Dir(p.path)
	if p.context != "" {
		return a.lendContext(s, p)
	}
	for _, f := range []struct{ key, value, what string }{
		{"creds", a.where.Creds, "credentials of the NATS server"}, {"token-file", a.where.TokenFile, "token of the NATS server"},
		{"ca", a.where.CA, "CA of the NATS server"}, {"cert", a.where.Cert, "certificate of this client"}, {"key", a.where.Key, "key of this client's certificate"},
	} {
		if f.value == "" {
			continue
		}
		to := filepath.Join(beside, "nats-"+f.key)
		if err := s.Lend(f.value, to, f.what); err != nil {
			return err
		}
		p.settings = append(p.settings, setup.Setting{Key: f.key, Value: to})
	}
	return nil
}

// firstToken makes a token for the first host, unless there is one: whatever a run
// before this one was ended by, this one ends with what to type there.
func firstToken(dir *auth.Dir, p *plan, r *initResult) error {
	if dir == nil || r.DryRun {
		return nil
	}
	hosts, err := dir.Hosts()
	if err != nil || len(hosts) > 0 {
		return err
	}
	i := issuer.Open(dir)
	open, err := i.Tickets()
	if err != nil {
		return err
	}
	if len(open) > 0 {
		r.Expires = open[0].Expires
		return nil
	}
	token, ticket, err := i.NewToken(r.Issuer, issuer.Terms{Site: p.site, TTL: firstTokenFor})
	if err != nil {
		return err
	}
	r.Token, r.Expires = token.String(), ticket.Expires
	return nil
}

func anew(steps []setup.Step) bool {
	s := setup.Setup{Steps: steps}
	return s.Anew()
}

// checkPlan finds what stands in the way before anything is made.
func (a *app) checkPlan(ctx context.Context, p *plan, flags *initFlags, u unit) error {
	if os.Geteuid() != 0 && os.Geteuid() != p.owner.UID {
		return fmt.Errorf("it gives files to user %s: run it as root; for one machine and no service there is avstem up", p.owner.Name)
	}
	if err := bus.CheckName("site", p.site); err != nil {
		return usageError{err}
	}
	if err := u.check(p.stateDir); err != nil {
		return err
	}
	if err := setup.CheckRoom(p.stateDir); err != nil {
		return err
	}
	check := &setup.Setup{Owner: p.owner, DryRun: true}
	if err := check.Settings(p.path, p.example, p.keys, p.settings); err != nil {
		return err
	}
	if p.external() {
		return a.checkExternal(ctx, p)
	}
	if (a.where.Cert == "") != (a.where.Key == "") {
		return usageError{errors.New("--cert wants --key, and --key wants --cert")}
	}
	for _, file := range []string{a.where.Cert, a.where.Key, a.where.CA} {
		if file == "" {
			continue
		}
		if err := p.owner.CheckRead(file); err != nil {
			return fmt.Errorf("look at the certificate: %w", err)
		}
	}
	if u.active() {
		return nil // the ports are its own
	}
	if err := setup.CheckPort(cmp.Or(p.listen, "0.0.0.0:4222"), "--listen"); err != nil {
		return err
	}
	return setup.CheckPort(cmp.Or(p.enroll, ":"+issuerPort), "--enroll-listen")
}

// checkExternal connects to the server that is there.
func (a *app) checkExternal(ctx context.Context, p *plan) error {
	if len(a.where.Creds) > 0 && p.context != "" {
		return usageError{errors.New("a context has its own credentials: leave --creds, or name the server with --server")}
	}
	o, err := a.where.Options(p.file, a.ownEnv)
	if err != nil {
		return err
	}
	o.Name = "avstem init"
	conn, err := bus.Connect(ctx, o)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.CheckServer()
}
