package libvirt

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"

	golibvirt "github.com/digitalocean/go-libvirt"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
)

// inFlight is how many calls a connection carries at once. libvirtd takes
// max_client_requests (5 by default) before it stops reading, and one is left
// for what else the connection may have to say.
const inFlight = 4

// maxRounds is how many connections one pass may use up on its domains.
const maxRounds = 3

// reading is what a pass read of one domain.
type reading struct {
	domain
	xml      *parsed // what the domain's fields come from
	problems []inventory.Problem
	state    golibvirt.DomainState // the daemon's; vm.State tells whether it is known
	def      *definition           // what it is started from next; nil where that isn't read
	gone     bool                  // it ceased to be between the list and its reading
	lost     error                 // the connection ended under it, for another's sake
}

// parsed is a domain's XML as it was understood, kept for as long as the XML
// stays the same: most passes find most domains unchanged.
type parsed struct {
	sum      uint64 // of the XML
	domain   domain
	problems []inventory.Problem
}

// readAll reads the domains. It never enters a VM's monitor: the XML and the
// state are the daemon's own knowledge.
//
// A domain that the daemon doesn't answer for costs the connection. Those whose
// reading ended with it are read again on a new one, so that one domain's silence
// is its own problem; only where there is no new connection, or the daemon is
// silent again and again, the pass breaks off with what it has.
func (c *Collector) readAll(ctx context.Context, doms []golibvirt.Domain, hints states) ([]reading, error) {
	readings := make([]reading, len(doms))
	pending := make([]int, len(doms))
	for i := range pending {
		pending[i] = i
	}
	var lost error
	for range maxRounds {
		cl, err := c.connection(ctx)
		if err != nil {
			lost = err
			break
		}
		c.readSome(ctx, cl, doms, hints, readings, pending)
		pending = slices.DeleteFunc(pending, func(i int) bool { return readings[i].lost == nil })
		if len(pending) == 0 {
			lost = nil
			break
		}
		lost = readings[pending[0]].lost
	}
	for _, i := range pending {
		r := unread(doms[i])
		r.problems = []inventory.Problem{problemOf(inventory.VMEntity(r.vm.UUID), "", lost)}
		readings[i] = r
	}
	c.remember(readings)
	return readings, lost
}

// unread is a domain of which we know what the list says.
func unread(dom golibvirt.Domain) reading {
	return reading{domain: domain{vm: inventory.VM{UUID: uuid.UUID(dom.UUID), Name: dom.Name}, root: -1}}
}

// readSome reads the pending ones of the domains, several at once.
func (c *Collector) readSome(ctx context.Context, cl *client, doms []golibvirt.Domain, hints states,
	readings []reading, pending []int) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(inFlight, len(pending)) {
		workers.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= len(pending) {
					return
				}
				i := pending[n]
				readings[i] = c.read(ctx, cl, doms[i], hints)
			}
		})
	}
	workers.Wait()
}

// remember keeps what this pass understood for the next one, and nothing else.
func (c *Collector) remember(readings []reading) {
	c.known = make(map[uuid.UUID]*parsed, len(readings))
	c.defined = make(map[uuid.UUID]*definition)
	for i := range readings {
		r := &readings[i]
		if r.xml != nil {
			c.known[r.vm.UUID] = r.xml
		}
		if r.def != nil {
			c.defined[r.vm.UUID] = r.def
		}
	}
}

// read reads one domain. Whatever goes wrong is a problem of this VM alone, and
// the VM keeps the UUID and name that the list gave it.
func (c *Collector) read(ctx context.Context, cl *client, dom golibvirt.Domain, hints states) (r reading) {
	defer func() {
		if v := recover(); v != nil {
			r = unread(dom)
			r.problems = []inventory.Problem{{Entity: inventory.VMEntity(r.vm.UUID), Call: domainCall,
				Why: inventory.WhyBroken, Error: fmt.Sprintf("panic: %v\n%s", v, debug.Stack()),
				Remedy: remedyDefect}}
		}
	}()
	// A domain that starts or stops between two calls gives XML of one state and
	// a state of the other. The next try, with a state of its own, finds it settled.
	for range 3 {
		r = c.readOnce(ctx, cl, dom, hints)
		if r.gone || r.lost != nil || r.agrees() {
			break
		}
		hints = nil
	}
	if !r.gone && r.lost == nil {
		c.readDefinition(ctx, cl, dom, &r)
	}
	return r
}

// agrees says whether XML and state are of one and the same time, as far as can
// be told.
func (r *reading) agrees() bool {
	if r.xml == nil || r.vm.State == "" || r.vm.State == inventory.StateUnknown {
		return true
	}
	return r.active == (r.state != golibvirt.DomainShutoff)
}

func (c *Collector) readOnce(ctx context.Context, cl *client, dom golibvirt.Domain, hints states) reading {
	r := unread(dom)
	var raw string
	err := cl.call(ctx, domainCall, func(lv *golibvirt.Libvirt) (err error) {
		raw, err = lv.DomainGetXMLDesc(dom, 0)
		return err
	})
	if r.failed(err, "") {
		return r
	}
	if err == nil {
		c.understand(&r, raw)
	}
	state, hinted := hints[dom.UUID]
	if !hinted {
		err = cl.call(ctx, "virDomainGetState", func(lv *golibvirt.Libvirt) (err error) {
			state[0], state[1], err = lv.DomainGetState(dom, 0)
			return err
		})
		if r.failed(err, "vm.state") || err != nil {
			return r
		}
	}
	r.state = golibvirt.DomainState(state[0])
	r.vm.State, r.vm.RawState = mapState(state[0], state[1])
	return r
}

// failed files an error of a call, and says whether nothing more can be read.
func (r *reading) failed(err error, field inventory.Field) bool {
	switch {
	case err == nil:
		return false
	case golibvirt.IsNotFound(err):
		r.gone = true
		return true
	case connectionLost(err) && !errors.Is(err, errSilent):
		r.lost = err
		return true
	}
	r.problems = append(r.problems, problemOf(inventory.VMEntity(r.vm.UUID), field, err))
	return errors.Is(err, errSilent)
}

// understand parses the XML, or takes what was parsed when it was last the same.
func (c *Collector) understand(r *reading, raw string) {
	id := r.vm.UUID
	sum := maphash.String(c.seed, raw)
	p := c.known[id]
	if p == nil || p.sum != sum {
		d, problems, err := parseDomain([]byte(raw))
		if err == nil && d.vm.UUID != id {
			err = fmt.Errorf("parse domain XML: it is domain %s's", d.vm.UUID)
		}
		if err != nil {
			r.problems = append(r.problems, inventory.Problem{Entity: inventory.VMEntity(id), Call: domainCall,
				Why: inventory.WhyBroken, Error: err.Error(), Remedy: remedyReport})
			return
		}
		p = &parsed{sum, d, problems}
	}
	r.xml, r.domain, r.problems = p, p.domain, slices.Clip(p.problems)
}
