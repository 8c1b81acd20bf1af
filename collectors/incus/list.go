package incus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// list lists this member's instances. Where the daemon doesn't answer for all of
// them at once, which one VM's monitor that hangs is enough for, it is asked for
// their names, which it has in its database, and for each one apart.
func (c *Collector) list(ctx context.Context, cl *client, s *server) ([]instance, error) {
	var raw []json.RawMessage
	err := cl.get(ctx, "/1.0/instances", url.Values{"recursion": {"1"}, "all-projects": {"true"}}, &raw)
	var all []instance
	switch {
	case err == nil:
		for _, text := range raw {
			all = append(all, decodeInstance(text))
		}
	case errors.Is(err, errSilent) && ctx.Err() == nil:
		if all, err = c.listApart(ctx, cl); err != nil {
			return nil, err
		}
	default:
		return nil, err
	}
	return here(all, s), nil
}

// here leaves out what is located on other members of a cluster: those are
// theirs to report, or one VM would be seen on every host. One that could not be
// read tells no place, and stays: what isn't known to be elsewhere isn't gone.
func here(all []instance, s *server) []instance {
	if !s.Environment.Clustered {
		return all
	}
	var kept []instance
	for _, i := range all {
		if i.Location == s.Environment.Name || i.Location == "" && i.err != nil {
			kept = append(kept, i)
		}
	}
	return kept
}

// apartTimeout bounds each call of listApart: many may have to be waited out in
// one pass.
const apartTimeout = 3 * time.Second

func (c *Collector) listApart(ctx context.Context, cl *client) ([]instance, error) {
	var paths []string
	if err := cl.get(ctx, "/1.0/instances", url.Values{"all-projects": {"true"}}, &paths); err != nil {
		return nil, err
	}
	all := make([]instance, len(paths))
	short := *cl
	short.timeout = min(cl.timeout, apartTimeout)
	inParallel(len(paths), func(n int) {
		project, name, err := parsePath(paths[n])
		if err != nil {
			all[n] = instance{Project: defaultProject, Name: paths[n], err: err}
			return
		}
		var raw json.RawMessage
		err = short.get(ctx, "/1.0/instances/"+name, url.Values{"project": {project}}, &raw)
		if err == nil {
			all[n] = decodeInstance(raw)
			return
		}
		all[n] = instance{Project: project, Name: name, err: err}
	})
	var kept []instance
	for _, i := range all {
		if !gone(i.err) {
			kept = append(kept, i)
		}
	}
	return kept, ctx.Err()
}

// parsePath reads the path by which the daemon names an instance, in lists and
// events: /1.0/instances/NAME?project=PROJECT, or one of something that the
// instance has (/snapshots/…).
func parsePath(path string) (project, name string, err error) {
	u, err := url.Parse(path)
	if err != nil {
		return "", "", fmt.Errorf("parse instance path %q: %w", path, errors.Unwrap(err))
	}
	rest, found := strings.CutPrefix(u.Path, "/1.0/instances/")
	name, _, _ = strings.Cut(rest, "/")
	if !found || name == "" {
		return "", "", fmt.Errorf("%q is no path of an instance", path)
	}
	project = u.Query().Get("project")
	if project == "" {
		project = defaultProject
	}
	return project, name, nil
}

// identify turns instances into readings, and gives each the identity that tells
// it from all others. One that can't be read keeps the identity that it had when
// it could.
func (c *Collector) identify(all []instance) []reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	readings := make([]reading, len(all))
	known := make(map[string]identity, len(all))
	taken := map[string]string{} // native ID by key
	for n := range all {
		i := &all[n]
		r := &readings[n]
		if i.err == nil {
			*r, i.err = described(i)
		}
		if i.err != nil {
			*r = c.unread(i)
		}
		if other, twice := taken[r.vm.Key()]; twice {
			id := r.vm.UUID
			r.vm.UUID = inventory.VM{}.UUID
			r.fault("vm.uuid", "volatile.uuid", fmt.Errorf("%s is %s's too", id, other))
			r.problems[len(r.problems)-1].Remedy = "one was made from a copy of the other's whole configuration: give it a UUID of its own"
		}
		taken[r.vm.Key()] = r.vm.NativeID
		if !r.unidentified {
			known[r.vm.NativeID] = identity{uuid: r.vm.UUID, kind: r.vm.Type}
		}
	}
	c.known = known
	return readings
}

// described is [describe], whose defects are the one instance's.
func described(i *instance) (r reading, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &collectors.SourceError{Call: instanceCall, Why: inventory.WhyBroken, Err: fmt.Errorf("panic: %v\n%s", v, debug.Stack()),
				Remedy: "this is a defect in avstem: please report it with the stack"}
		}
	}()
	return describe(i), nil
}

// unread is an instance of which only the list's word is known.
func (c *Collector) unread(i *instance) reading {
	r := reading{source: i, vm: inventory.VM{NativeID: i.nativeID(), Name: i.Name}}
	if i.Type != "" && !i.isVM() {
		r.vm.Type = i.Type
	}
	if before, found := c.known[i.nativeID()]; found {
		r.vm.UUID, r.vm.Type = before.uuid, before.kind
	} else {
		r.unidentified = true
	}
	p := problemOf(r.vm.Entity(), "", i.err)
	if p.Remedy == "" {
		p.Remedy = remedyReport
	}
	r.problems = []inventory.Problem{p}
	return r
}
