package libvirt

import (
	"context"
	"errors"
	"fmt"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// domains is one list of everything that the driver has.
type domains struct {
	all        []golibvirt.Domain
	persistent map[uuid.UUID]bool
}

const listCall = "virConnectListAllDomains"

// connection gives the connection of the passes, a new one where it was lost.
func (c *Collector) connection(ctx context.Context) (*client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errors.New("the collector was closed")
	}
	if c.hot != nil && !c.hot.lost() {
		return c.hot, nil
	}
	if c.hot != nil {
		c.hot.close(nil)
		c.hot = nil
	}
	cl, err := connect(ctx, c.sockets(), c.URI, c.CallTimeout)
	if err != nil {
		return nil, err
	}
	c.Logger.Debug("connected", "source", c.Source(), "socket", cl.socket, "uri", c.URI)
	c.hot = cl
	return cl, nil
}

// listSettled lists the domains, on a list that may be called whole.
//
// A daemon that starts loads its domains from disk, and a list taken meanwhile
// would make running VMs look gone. libvirtd and virtqemud accept no client
// before every driver's state is initialized (daemonRunStateInit in
// src/remote/remote_daemon.c enables the services after virStateInitialize has
// loaded all domain configurations), so a list is whole as soon as there is a
// connection to take it on. That is the guarantee. On a new connection, which is
// all that a restarted daemon leaves, the list is taken until two in a row agree
// as well, in case something between us and the driver (virtproxyd) answers
// earlier than that.
func (c *Collector) listSettled(ctx context.Context) (*client, domains, error) {
	cl, err := c.connection(ctx)
	if err != nil {
		return nil, domains{}, err
	}
	doms, err := cl.list(ctx)
	if errors.Is(err, errLost) && cl.settled {
		// The daemon went away since the last pass; it may be back already.
		if cl, err = c.connection(ctx); err != nil {
			return nil, domains{}, err
		}
		doms, err = cl.list(ctx)
	}
	if err == nil && !cl.settled {
		doms, err = cl.settle(ctx, doms)
	}
	if err != nil {
		return nil, domains{}, err
	}
	cl.settled = true
	return cl, doms, nil
}

// How often, and how far apart, a new connection is asked to agree with itself.
const (
	settleTries = 20
	settlePause = 50 * time.Millisecond
)

// settle lists again until two lists in a row name the same domains.
func (c *client) settle(ctx context.Context, last domains) (domains, error) {
	for range settleTries {
		next, err := c.list(ctx)
		if err != nil || same(last, next) {
			return next, err
		}
		last = next
		select {
		case <-ctx.Done():
		case <-time.After(settlePause):
		}
	}
	return domains{}, &collectors.SourceError{Call: listCall, Why: inventory.WhyBroken,
		Err:    fmt.Errorf("no two of %d lists in a row agreed", settleTries+1),
		Remedy: "the daemon is starting or domains come and go all the time; the next pass tries again"}
}

// same says whether two lists name the same domains, running or not.
func same(a, b domains) bool {
	if len(a.all) != len(b.all) || len(a.persistent) != len(b.persistent) {
		return false
	}
	seen := make(map[golibvirt.UUID]bool, len(a.all))
	for _, d := range a.all {
		seen[d.UUID] = true
	}
	for _, d := range b.all {
		if !seen[d.UUID] {
			return false
		}
	}
	return true
}

// list lists all domains, and which of them outlive a stop.
func (c *client) list(ctx context.Context) (domains, error) {
	d := domains{persistent: map[uuid.UUID]bool{}}
	err := c.call(ctx, listCall, func(lv *golibvirt.Libvirt) (err error) {
		d.all, _, err = lv.ConnectListAllDomains(1, 0) // no filter: active and not
		return err
	})
	if err != nil {
		return domains{}, err
	}
	var kept []golibvirt.Domain
	err = c.call(ctx, listCall+" persistent", func(lv *golibvirt.Libvirt) (err error) {
		kept, _, err = lv.ConnectListAllDomains(1, golibvirt.ConnectListDomainsPersistent)
		return err
	})
	for _, dom := range kept {
		d.persistent[uuid.UUID(dom.UUID)] = true
	}
	return d, err
}
