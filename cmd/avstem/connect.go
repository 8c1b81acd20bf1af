package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/bus/auth"
)

// connect finds the NATS server that the flags, the environment, the configuration
// file or this machine name. Close it when done.
func (a *app) connect(ctx context.Context) (*bus.Conn, error) {
	return a.connectAs(ctx, "avstem", nil, func(d *auth.Dir) string { return d.OncallCreds() })
}

// connectLogged connects for as long as the process lives.
func (a *app) connectLogged(ctx context.Context, name string, log *slog.Logger) (*bus.Conn, error) {
	return a.connectAs(ctx, name, log, func(d *auth.Dir) string { return d.ReaderCreds() })
}

// connectAs connects to the server that is meant.
func (a *app) connectAs(ctx context.Context, name string, log *slog.Logger, creds func(*auth.Dir) string) (*bus.Conn, error) {
	o, err := a.target(a.global.stateDir, creds)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	o.Name, o.Logger = name, log
	return bus.Connect(ctx, o)
}

// target says which server is meant, --state-dir being the given one. Where nothing
// names one, and avstem auth keeps its keys on this machine, it is that one's, with
// the credentials that are chosen.
func (a *app) target(stateDir string, creds func(*auth.Dir) string) (bus.Options, error) {
	o, err := a.where.Options(a.file, a.env)
	if err != nil {
		return bus.Options{}, err
	}
	o.StateDir = stateDir
	if a.where.Elsewhere(a.env) || o.File.Server != "" || o.File.Context != "" {
		return o, nil
	}
	if _, err := os.Stat(filepath.Join(bus.StateDir(stateDir, a.env), bus.SocketName)); err == nil {
		return o, nil // an avstem up runs here
	}
	if dir, err := auth.Open(a.authPath()); err == nil {
		o.Server, o.How, o.StateDir, o.Auth = dir.Reachable(), "the server of "+dir.Path(), "", bus.Auth{Creds: creds(dir), CA: dir.CA()}
	}
	return o, nil
}

// site is the site that was asked for, "" for any.
func (a *app) site() string {
	if a.global.site != "" {
		return a.global.site
	}
	return a.env("AVSTEM_SITE")
}
