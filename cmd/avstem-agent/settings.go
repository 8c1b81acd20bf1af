package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/internal/config"
	"github.com/dataverket/avstem/cmd/internal/configcmd"
	"github.com/dataverket/avstem/cmd/internal/hostagent"
	"github.com/dataverket/avstem/cmd/internal/monitor"
	"github.com/dataverket/avstem/cmd/internal/natsflags"
)

// defaultConfig is where the file is if nobody names another.
const defaultConfig = "/etc/avstem/agent.yaml"

const configLong = `The configuration file is YAML: a line for each setting, and its key is the name
of a flag of "avstem-agent run". "config example" writes one with all of them.

A flag goes before its environment variable, and that before the file. A server
that is named by a flag or a variable is not given the file's credentials.
creds, key and token-file name a file that nobody else may read, or, without a
slash, a credential that systemd gave the service (LoadCredential=).

On SIGHUP (systemctl reload) a running agent reads the file again. It takes the
settings that "config show" marks so, and says which others wait for a restart.`

const configHead = `Settings of avstem-agent. Remove the # before a key to set it.
Check: avstem-agent config check. Take into use: systemctl reload avstem-agent;
"avstem-agent config show" says which settings want a restart.`

// settings are what the config command must know of this program.
func (a *app) settings() *configcmd.Program {
	return &configcmd.Program{
		Long: configLong, Head: configHead, Usual: defaultConfig, Reload: append(natsflags.Names(), "log-level"),
		Examples: map[string]string{"creds": "/etc/avstem/nats.creds", "token-file": "/etc/avstem/nats.token", "state-dir": "/var/lib/avstem"},
		Keys:     keys,
		Scratch: func() (*pflag.FlagSet, func() []configcmd.Check) {
			other := &app{env: func(string) string { return "" }}
			return keys(other.rootCommand()), other.checks
		},
		Path: func() string { return a.configPath }, File: func() *config.File { return a.file },
		StateDir: func() string { return a.host.StateDir }, Where: &a.where, Env: a.env, Stdout: a.stdout,
		Usage: func(err error) error { return usageError{err} },
	}
}

// keys are the flags that the configuration file may set: those of run, which has
// all that the others have.
func keys(root *cobra.Command) *pflag.FlagSet { return configcmd.Keys(root, "run") }

// origins are the settings in effect.
func (a *app) origins() []config.Origin { return config.Origins(a.known, a.file, a.env) }

// settle reads the configuration file and gives the flags their values.
func (a *app) settle(flags *pflag.FlagSet) error {
	var err error
	if a.file, err = a.settings().Read(a.configPath); err != nil {
		return err
	}
	// A server is looked for by package bus, since where it was named decides
	// what goes before what.
	leave := append(natsflags.Names(), append(configcmd.NotKeys(), "state-dir")...)
	if err := config.Apply(flags, a.file, a.env, leave...); err != nil {
		if bad, ok := errors.AsType[*config.VariableError](err); ok {
			return usageError{bad}
		}
		return err
	}
	if a.host.StateDir == "" && a.env(config.Variable("state-dir")) == "" {
		a.host.StateDir = a.file.First("state-dir")
	}
	a.host.StateDir = bus.StateDir(a.host.StateDir, a.env)
	for _, check := range a.checks() {
		if err := check.Err; err != nil {
			return a.blame(flags, check.Key, err)
		}
	}
	return nil
}

func (a *app) checks() []configcmd.Check {
	server := error(nil)
	if a.where.Server != "" {
		server = bus.CheckServer(a.where.Server)
	}
	return []configcmd.Check{
		{Key: "server", Err: server},
		{Key: "site", Err: bus.CheckName("site", a.host.Site)},
		{Key: "qmp-socket", Err: hostagent.CheckQMPSockets(a.host.QMPSockets)},
		{Key: "interval", Err: positive(a.host.Interval)},
		{Key: "refresh", Err: positive(a.host.Refresh)},
		{Key: "metrics", Err: monitor.CheckAddress(a.metrics)},
	}
}

// asked says whether anybody set a key, in whatever way.
func (a *app) asked(key string) bool {
	_, inFile := a.file.Lookup(key)
	return inFile || a.known.Changed(key) || a.env(config.Variable(key)) != ""
}

// blame says by what a wrong value was set.
func (a *app) blame(flags *pflag.FlagSet, key string, err error) error {
	flag := flags.Lookup(key)
	value, inFile := a.file.Lookup(key)
	switch {
	case flag == nil: // not this command's
		return nil
	case !flag.Changed && a.env(config.Variable(key)) != "":
		return usageError{fmt.Errorf("%s: %w", config.Variable(key), err)}
	case !flag.Changed && inFile:
		return &config.FileError{Path: a.file.Path, Problems: []config.Problem{{Line: value.Line, Key: key, Error: err.Error()}}}
	}
	return usageError{fmt.Errorf("--%s: %w", key, err)}
}

func positive(d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("%s: want more than nothing", d)
	}
	return nil
}
