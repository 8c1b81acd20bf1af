package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/dataverket/avstem/bus"
)

// connect finds the NATS server that the flags, the environment, the configuration
// file or this machine name. Close it when done.
func (a *app) connect(ctx context.Context) (*bus.Conn, error) {
	return a.connectLogged(ctx, "avstem", nil)
}

// connectLogged connects for as long as the process lives.
func (a *app) connectLogged(ctx context.Context, name string, log *slog.Logger) (*bus.Conn, error) {
	o, err := a.where.Options(a.file, a.env)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	o.StateDir, o.Name, o.Logger = a.global.stateDir, name, log
	return bus.Connect(ctx, o)
}

// site is the site that was asked for, "" for any.
func (a *app) site() string {
	if a.global.site != "" {
		return a.global.site
	}
	return a.env("AVSTEM_SITE")
}
