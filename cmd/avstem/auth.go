package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/bus/auth"
	"github.com/dataverket/avstem/bus/embedded"
	"github.com/dataverket/avstem/cmd/internal/choiceflag"
	"github.com/dataverket/avstem/cmd/internal/hostagent"
	"github.com/dataverket/avstem/statefile/asuser"
)

const authLong = `Keeps who may say what on NATS: each host speaks for itself alone, a reconciler
for what it concludes, and people read. It is kept in one directory, whose keys
are the whole authority: back it up, and let nobody have it.

/usr/share/doc/avstem/security.md says what stops which attack.`

const authInitLong = `Makes the keys, the credentials of reconcilers and readers, a certificate of a
private CA, and the configuration of a NATS server that goes with them. It asks
nothing, says what it made, and may be run again at any time: keys and
credentials that exist stay, what hosts may publish is brought up to date, sites
are added.

The server may be nats-server 2.14.6 or newer, anywhere, or the one inside
"avstem serve --with-nats".`

func newAuthCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "auth",
		Short: "Keep who may say what on NATS",
		Long:  authLong,
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.PersistentFlags().StringVar(&a.authDir, "dir", "", "`DIR` of keys and credentials (default auth in the state directory; AVSTEM_AUTH_DIR)")
	c.AddCommand(newAuthInitCommand(a), newAuthHostCommand(a), newAuthListCommand(a), newAuthRevokeCommand(a), newAuthTLSCommand(a))
	return c
}

// authPath is the directory of keys and credentials.
func (a *app) authPath() string {
	switch fromEnv := a.env("AVSTEM_AUTH_DIR"); {
	case a.authDir != "":
		return a.authDir
	case fromEnv != "":
		return fromEnv
	}
	return filepath.Join(bus.StateDir(a.global.stateDir, a.env), "auth")
}

// addAuthOutput adds -o with text first.
func addAuthOutput(c *cobra.Command) *string {
	format := new(string)
	c.Flags().VarP(choiceflag.New(format, "text", "json"), "output", "o", "`FORMAT`: text or json")
	return format
}

func newAuthInitCommand(a *app) *cobra.Command {
	var o auth.Options
	c := &cobra.Command{
		Use:   "init",
		Short: "Make keys, credentials and the NATS server's configuration",
		Long:  authInitLong,
		Example: `  avstem auth init --site osl1 --name nats.osl1.example.net
  nats-server -c /var/lib/avstem/auth/nats/server.conf`,
		Args: noArguments,
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringSliceVar(&o.Sites, "site", nil, "`SITE` whose hosts get credentials; may be given more than once; default if none is")
	flags.StringSliceVar(&o.Names, "name", nil, "`NAME` or address of the server, the first of which clients are told (default this machine's)")
	flags.StringVar(&o.Listen, "listen", "", "`ADDRESS` that the server listens on (default 0.0.0.0:4222)")
	flags.StringVar(&o.NATSDir, "nats-dir", "", "`DIR` where the server has its files (default nats in --dir)")
	flags.StringVar(&o.StoreDir, "store-dir", "", "`DIR` where the server keeps its streams (default store in --nats-dir)")
	flags.StringVar(&o.Cert, "cert", "", "`FILE` of the server's certificate, if it is not to be of a private CA")
	flags.StringVar(&o.Key, "key", "", "`FILE` of that certificate's key")
	flags.StringVar(&o.CA, "ca", "", "`FILE` of that certificate's CA, if not everybody trusts it")
	output := addAuthOutput(c)
	c.RunE = func(*cobra.Command, []string) error { return a.authInit(o, *output) }
	return c
}

// initialized is what auth init prints as JSON.
type initialized struct {
	Dir    string      `json:"dir"`
	Server string      `json:"server"`
	Config string      `json:"config"`
	Sites  []string    `json:"sites"`
	Made   []auth.Made `json:"made"`
}

func (a *app) authInit(o auth.Options, format string) error {
	path := a.authPath()
	if _, err := auth.Open(path); errors.Is(err, fs.ErrNotExist) {
		o.Sites = orOne(o.Sites, a.site(), bus.DefaultSite)
		if len(o.Names) == 0 {
			o.Names = machineNames()
		}
	}
	o.Sources = hostagent.Sources()
	dir, made, err := auth.Init(path, o)
	if err != nil {
		return err
	}
	if err := checkNATSConfig(dir); err != nil {
		return fmt.Errorf("set up credentials in %s: the server would not take its configuration: %w", dir.Path(), err)
	}
	if format == "json" {
		return a.writeJSON(initialized{dir.Path(), dir.Server(), dir.Config(), dir.Sites(), made})
	}
	for _, m := range made {
		did := "kept"
		switch {
		case m.New:
			did = "made"
		case m.Changed:
			did = "changed"
		}
		fmt.Fprintf(a.stdout, "%-7s %s\n        %s\n", did, m.Path, m.What)
	}
	site := dir.Sites()[0]
	fmt.Fprintf(a.stdout, `
Clients are told %s. Back up %s, and let nobody have it.

Next, start the server, one of:
  nats-server -c %s
  avstem serve --inventory DIR --site %s --with-nats    # in the reconciler's process
and let each host in, one of:
  avstem enroll token           # the host makes its own key
  avstem auth host NAME         # makes credentials to copy
`, dir.Server(), dir.Path(), dir.Config(), site)
	return nil
}

// checkNATSConfig has the server read its configuration, with the rights of whose it
// is: the server makes directories that are named there.
func checkNATSConfig(dir *auth.Dir) error {
	return asuser.Below(dir.Path(), func() error { return embedded.CheckConfig(dir.Config()) })
}

func orOne(list []string, others ...string) []string {
	if len(list) > 0 {
		return list
	}
	for _, one := range others {
		if one != "" {
			return []string{one}
		}
	}
	return nil
}

// serverNames are the names and addresses by which this machine may be reached, and
// first the one that hosts are told: its own name where that leads to one of its
// addresses, and otherwise the address by which it reaches others.
func serverNames() []string {
	names := machineNames()
	addresses := names[slices.Index(names, "::1")+1:] // behind its name and those of loopback
	if len(addresses) == 0 {
		return names
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	found, err := net.DefaultResolver.LookupHost(ctx, names[0])
	if err == nil && slices.ContainsFunc(found, func(one string) bool { return slices.Contains(addresses, one) }) {
		return names
	}
	first := addresses[0]
	// Nothing is sent: the kernel says which address it would use (192.0.2.0/24 is for documentation).
	if way, err := net.Dial("udp", "192.0.2.1:9"); err == nil {
		if from, ok := way.LocalAddr().(*net.UDPAddr); ok && slices.Contains(addresses, from.IP.String()) {
			first = from.IP.String()
		}
		way.Close()
	}
	return slices.Insert(slices.DeleteFunc(names, func(name string) bool { return name == first }), 0, first)
}

// machineNames are the names and addresses by which this machine may be reached,
// its own name first.
func machineNames() []string {
	var names []string
	if name, err := os.Hostname(); err == nil && name != "" {
		names = append(names, strings.ToLower(name))
	}
	names = append(names, "localhost", "127.0.0.1", "::1")
	addresses, err := net.InterfaceAddrs()
	if err != nil { // then it has but its name
		return names
	}
	for _, address := range addresses {
		if ip, ok := address.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() && !slices.Contains(names, ip.IP.String()) {
			names = append(names, ip.IP.String())
		}
	}
	return names
}
