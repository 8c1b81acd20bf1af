package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/micro"

	"github.com/dataverket/avstem/agent/hostid"
	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/collectors/identity"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/files"
)

// self is the host that we are on.
type self struct {
	name  string
	id    uuid.UUID // zero where no agent has run here
	marks inventory.Host
}

// self says which host this is, and refuses one that Sentral calls active.
func (a *app) self(ctx context.Context) (*self, error) {
	name, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	h := &self{name: name}
	h.marks, _ = identity.Read(ctx, "")
	if kept, err := hostid.Read(bus.StateDir(a.where.StateDir, a.env)); err == nil {
		h.id = kept.ID
	}
	switch {
	case a.unasked:
		return h, nil
	case a.inventory != "":
		return h, a.askFiles(ctx, h)
	}
	return h, a.askReconciler(ctx, h)
}

// refusal is what is said of a host that may not be probed.
func refusal(name string, record *sentral.Host) error {
	if record == nil || record.State != "" && record.State != sentral.HostActive {
		return nil
	}
	return fmt.Errorf("probe: refused: Sentral calls this host active (%s, record %s): probe a lab host, or set the record's state to maintenance first", name, record.ID)
}

func (a *app) askFiles(ctx context.Context, h *self) error {
	source, err := files.Open(a.inventory)
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	read, err := source.Read(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("probe: %w", err)
	case read.Incomplete || len(read.LeftOut) > 0:
		return fmt.Errorf("probe: refused: a part of the inventory in %s can't be used, and this host's record may be there: mend it, or say --without-sentral", a.inventory)
	}
	for i := range read.Hosts {
		if r := &read.Hosts[i]; h.is(r) {
			if err := refusal(h.name, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// is says whether a record may be this host's: any mark of it is enough to refuse.
func (h *self) is(r *sentral.Host) bool {
	short, _, _ := strings.Cut(h.name, ".")
	return r.HostID != uuid.Nil && r.HostID == h.id ||
		r.SystemUUID != uuid.Nil && (r.SystemUUID == h.marks.SystemUUID || inventory.SwapUUID(r.SystemUUID) == h.marks.SystemUUID) ||
		r.Serial != "" && strings.EqualFold(r.Serial, h.marks.Serial) ||
		slices.ContainsFunc([]string{r.Name, r.ID}, func(s string) bool { return strings.EqualFold(s, h.name) || strings.EqualFold(s, short) })
}

// names are all that a reconciler may know this host by. Its record may bear no
// hostname that the host knows, and no agent may have run here.
func (h *self) names() []string {
	short, _, _ := strings.Cut(h.name, ".")
	names := []string{h.id.String(), h.name, short, h.marks.SystemUUID.String(), inventory.SwapUUID(h.marks.SystemUUID).String()}
	if !inventory.IsJunkSerial(h.marks.Serial) {
		names = append(names, h.marks.Serial)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return n == "" || n == uuid.Nil.String() })
	slices.Sort(names)
	return slices.Compact(names)
}

// askFor is how long the reconciler may think.
const askFor = 10 * time.Second

func (a *app) askReconciler(ctx context.Context, h *self) error {
	const otherwise = "give --inventory DIR, or say --without-sentral"
	where := a.where
	where.Name, where.Getenv = "avstem-probe", a.env
	conn, err := bus.Connect(ctx, where)
	if err != nil {
		return fmt.Errorf("probe: nothing says whether Sentral calls this host active: %s: %w", otherwise, err)
	}
	defer conn.Close()
	subject, err := bus.ExplainSubject(a.site)
	if err != nil {
		return usageError{err}
	}
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	for _, name := range h.names() {
		reply, err := conn.NATS().RequestWithContext(ctx, subject, []byte(name))
		if err != nil {
			return fmt.Errorf("probe: ask the reconciler of site %s whether Sentral calls this host active (%s): %w", a.site, otherwise, err)
		}
		switch code := reply.Header.Get(micro.ErrorCodeHeader); code {
		case "":
		case "404": // not known to either side by that name
			continue
		default:
			return fmt.Errorf("probe: ask the reconciler of site %s whether Sentral calls this host active (%s): %s", a.site, otherwise, reply.Header.Get(micro.ErrorHeader))
		}
		var e reconcile.Explanation
		if err := json.NewDecoder(bytes.NewReader(reply.Data)).Decode(&e); err != nil {
			return fmt.Errorf("probe: decode the reconciler's answer: %w", err)
		}
		if e.Host != nil {
			if err := refusal(h.name, e.Host.Intended); err != nil {
				return err
			}
		}
	}
	return nil
}

var errKilled = errors.New("the probe was killed")
