package main

import (
	"context"

	"github.com/dataverket/avstem/bus"
)

// connect finds the NATS server that the flags, the environment or this machine
// name. Close it when done.
func (a *app) connect(ctx context.Context) (*bus.Conn, error) {
	return bus.Connect(ctx, bus.Options{
		Server:   a.global.server,
		Context:  a.global.context,
		StateDir: a.global.stateDir,
		Auth:     bus.Auth{Creds: a.global.creds},
		Name:     "avstem",
		Getenv:   a.env,
	})
}

// site is the site that was asked for, "" for any.
func (a *app) site() string {
	if a.global.site != "" {
		return a.global.site
	}
	return a.env("AVSTEM_SITE")
}
