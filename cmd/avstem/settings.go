package main

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/bus/embedded"
	"github.com/dataverket/avstem/cmd/avstem/internal/source"
	"github.com/dataverket/avstem/cmd/internal/config"
	"github.com/dataverket/avstem/cmd/internal/configcmd"
	"github.com/dataverket/avstem/cmd/internal/hostagent"
	"github.com/dataverket/avstem/cmd/internal/monitor"
	"github.com/dataverket/avstem/cmd/internal/natsflags"
)

// defaultConfig is where the file is if nobody names another.
const defaultConfig = "/etc/avstem/avstem.yaml"

const configLong = `The configuration file is YAML: a line for each setting, and its key is the name
of a flag of "avstem serve" or "avstem up". "config example" writes one with all
of them. Commands that ask a server take from it where that is, and the site.

A flag goes before its environment variable, and that before the file. A server
that is named by a flag or a variable is not given the file's credentials.
creds, key and token-file name a file that nobody else may read, or, without a
slash, a credential that systemd gave the service (LoadCredential=).`

const configHead = `Settings of avstem. Remove the # before a key to set it.
Check: avstem config check. Take into use: systemctl restart avstem.`

// configured are the commands whose own flags the file sets, too.
var configured = []string{"serve", "up"}

// settings are what the config command must know of this program.
func (a *app) settings() *configcmd.Program {
	return &configcmd.Program{
		Long: configLong, Head: configHead, Usual: defaultConfig,
		Examples: map[string]string{"creds": "/etc/avstem/nats.creds", "token-file": "/etc/avstem/nats.token", "policy": "/etc/avstem/policy.yaml",
			"auth-dir": "/var/lib/avstem-server/auth", "state-dir": "/var/lib/avstem-server", "inventory": "/etc/avstem/inventory", "site": "osl1",
			"enroll-listen": ":" + issuerPort},
		Keys: keys,
		Scratch: func() (*pflag.FlagSet, func() []configcmd.Check) {
			none := func(string) string { return "" }
			known := keys(newRootCommand(&app{env: none, ownEnv: none}))
			return known, func() []configcmd.Check { return checks(known) }
		},
		Path: func() string { return a.configPath }, File: func() *config.File { return a.file },
		StateDir: func() string { return bus.StateDir(a.global.stateDir, a.env) },
		Where:    &a.where, Env: a.ownEnv, Stdout: a.stdout,
		Usage: func(err error) error { return usageError{err} },
	}
}

// keys are the flags that the configuration file may set.
func keys(root *cobra.Command) *pflag.FlagSet { return configcmd.Keys(root, configured...) }

// checks are what serve and up ask of the keys' values before they start anything.
func checks(keys *pflag.FlagSet) []configcmd.Check {
	value := func(key string) string { return keys.Lookup(key).Value.String() }
	site, inventory := value("site"), value("inventory")
	list := []configcmd.Check{
		{Key: "server", Err: bus.CheckServer(value("server"))},
		{Key: "metrics", Err: monitor.CheckAddress(value("metrics"))},
		{Key: "enroll-listen", Err: monitor.CheckAddress(value("enroll-listen"))},
		{Key: "inventory", Err: checkInventory(inventory, site)},
	}
	if site != "" {
		list = append(list, configcmd.Check{Key: "site", Err: bus.CheckName("site", site)})
	}
	if _, _, err := readPolicy(value("policy")); err != nil {
		list = append(list, configcmd.Check{Key: "policy", Err: err})
	}
	if listen := value("listen"); listen != monitor.None {
		list = append(list, configcmd.Check{Key: "listen", Err: embedded.CheckListen(listen)})
	}
	if every, err := keys.GetDuration("interval"); err == nil {
		list = append(list, configcmd.Check{Key: "interval", Err: checkInterval(every)})
	}
	if sockets, err := keys.GetStringArray("qmp-socket"); err == nil {
		list = append(list, configcmd.Check{Key: "qmp-socket", Err: hostagent.CheckQMPSockets(sockets)})
	}
	return list
}

// checkInventory says what keeps one from being used, as far as that is known
// without asking another machine.
func checkInventory(where, site string) error {
	if where == "" {
		return nil
	}
	spec, err := source.Find(where)
	if err != nil {
		return err
	}
	unasked := errors.New("not asked for")
	from, err := spec.Open(func() (*bus.Conn, error) { return nil, unasked })
	switch {
	case errors.Is(err, unasked):
		return nil
	case err != nil || spec.Remote():
		return err
	}
	inv, err := from.Read(context.Background())
	if err == nil {
		_, err = chooseSite(inv, site)
	}
	return err
}

// settle reads the configuration file and gives flags their values: the command's
// own where it is one of those, and what all have by their variables, which whoever
// needs them asks for.
func (a *app) settle(c *cobra.Command) error {
	var err error
	if a.file, err = a.settings().Read(a.configPath); err != nil {
		return err
	}
	a.env = func(name string) string {
		for _, key := range []string{"state-dir", "site"} {
			if name == config.Variable(key) && a.ownEnv(name) == "" {
				return a.file.First(key)
			}
		}
		return a.ownEnv(name)
	}
	if !slices.Contains(configured, c.Name()) || c.Parent() != c.Root() {
		return nil
	}
	leave := append(natsflags.Names(), append(configcmd.NotKeys(), "state-dir", "site")...)
	err = config.Apply(c.Flags(), a.file, a.ownEnv, leave...)
	if bad, ok := errors.AsType[*config.VariableError](err); ok {
		return usageError{bad}
	}
	return err
}
