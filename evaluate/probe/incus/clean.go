package incus

import (
	"context"
	"fmt"
	"net/url"

	"github.com/dataverket/avstem/evaluate/probe"
)

// Clean implements [probe.Driver]: containers first, then what they rest on.
func (d *Driver) Clean(ctx context.Context) []error {
	c := &cleaning{Driver: d, ctx: ctx}
	c.instances()
	c.each("volumes", "/1.0/storage-pools/"+pool+"/volumes/custom?recursion=1", func(name, _ string) error {
		return d.remove(ctx, "/1.0/storage-pools/"+pool+"/volumes/custom/"+url.PathEscape(name))
	}, anyName)
	c.each("networks", "/1.0/networks?recursion=1", func(name, _ string) error { return d.remove(ctx, "/1.0/networks/"+name) }, ours)
	c.each("image aliases", "/1.0/images/aliases?recursion=1", func(_, target string) error { return d.remove(ctx, "/1.0/images/"+target) }, ours)
	c.each("storage pools", "/1.0/storage-pools?recursion=1", func(name, _ string) error { return d.remove(ctx, "/1.0/storage-pools/"+name) }, ours)
	return c.left
}

type cleaning struct {
	*Driver
	ctx  context.Context
	left []error
}

func (c *cleaning) instances() {
	c.each("instances", "/1.0/instances?recursion=1", func(name, status string) error {
		if status != "Stopped" {
			if err := c.state(c.ctx, name, "stop"); err != nil {
				return err
			}
		}
		return c.remove(c.ctx, instances(name))
	}, ours)
}

// each removes those of a list whose name is ours. Nothing in a pool of ours can
// be anybody else's.
func (c *cleaning) each(what, path string, remove func(name, more string) error, ours func(string) bool) {
	var list []struct {
		Name   string `json:"name"`
		Status string `json:"status"`
		Target string `json:"target"`
	}
	switch err := c.daemon().get(c.ctx, path, &list); {
	case isNotFound(err): // there is no such pool
		return
	case err != nil:
		c.left = append(c.left, fmt.Errorf("list %s: %w", what, err))
		return
	}
	for _, e := range list {
		if !ours(e.Name) {
			continue
		}
		if err := remove(e.Name, e.Status+e.Target); err != nil && !isNotFound(err) {
			c.left = append(c.left, fmt.Errorf("remove %s %s: %w", what, e.Name, err))
		}
	}
}

func anyName(string) bool { return true }

var _ probe.Driver = (*Driver)(nil)
