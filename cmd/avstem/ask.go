package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/avstem/internal/server"
	"github.com/dataverket/avstem/reconcile/engine"
)

const (
	// askFor is how long a reconciler may think.
	askFor = 10 * time.Second
	// findFor is how long the first reconciler may take to say that it is there,
	// and stallFor how much longer the others may then take at least.
	findFor  = 2 * time.Second
	stallFor = 50 * time.Millisecond
	// serviceName is the reconciler's in the list of NATS services.
	serviceName = "avstem-reconcile"
)

// answerError is a reconciler's own word for why it has no answer.
type answerError struct {
	code, text string
}

func (e *answerError) Error() string { return e.text }

// withoutDoing takes off a reconciler's answer what it says it was doing, so that
// a command can say what it was asked to do itself.
func withoutDoing(err error, doing string) error {
	if answer, is := errors.AsType[*answerError](err); is {
		if text, began := strings.CutPrefix(answer.text, doing); began {
			return &answerError{answer.code, text}
		}
	}
	return err
}

// errNoReconciler says that nobody answers for a site.
var errNoReconciler = errors.New("no reconciler answers: is avstem up or avstem serve running?")

// ask puts a question to the reconciler of a site, and says why there is none.
func ask(ctx context.Context, conn *bus.Conn, site, endpoint string, question []byte) ([]byte, error) {
	answer, err := put(ctx, conn, site, endpoint, question)
	if errors.Is(err, errNoReconciler) {
		return nil, noReconciler(ctx, conn, site)
	}
	return answer, err
}

func put(ctx context.Context, conn *bus.Conn, site, endpoint string, question []byte) ([]byte, error) {
	if err := bus.CheckName("site", site); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	reply, err := conn.NATS().RequestWithContext(ctx, "avstem.v1.reconcile."+site+"."+endpoint, question)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return nil, fmt.Errorf("site %s: %w", site, errNoReconciler)
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("site %s: the reconciler took more than %s", site, askFor)
	case err != nil:
		return nil, fmt.Errorf("site %s: %w", site, err)
	}
	if text := reply.Header.Get(micro.ErrorHeader); text != "" {
		return nil, &answerError{reply.Header.Get(micro.ErrorCodeHeader), text}
	}
	return reply.Data, nil
}

// sites lists the sites that have a reconciler, the asked one alone if there is
// one. Only reconcilers are asked, however many agents there are. Where nobody
// says anything (the credentials may not allow it), it is the default site.
func sites(ctx context.Context, conn *bus.Conn, asked string) ([]string, error) {
	if asked != "" {
		return []string{asked}, nil
	}
	found, err := reconcilers(ctx, conn)
	if err == nil && len(found) == 0 {
		found = []string{bus.DefaultSite}
	}
	return found, err
}

// reconcilers lists the sites of those that answer, sorted.
func reconcilers(ctx context.Context, conn *bus.Conn) ([]string, error) {
	nc := conn.NATS()
	inbox := nc.NewRespInbox()
	replies, err := nc.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("find reconcilers: %w", err)
	}
	defer func() { _ = replies.Unsubscribe() }()
	if err := nc.PublishRequest("$SRV.INFO."+serviceName, inbox, nil); err != nil {
		return nil, fmt.Errorf("find reconcilers: %w", err)
	}
	var found []string
	begun, patience := time.Now(), findFor
	for {
		msg, err := replies.NextMsg(patience)
		if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, nats.ErrTimeout) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("find reconcilers: %w", err)
		}
		if len(found) == 0 {
			patience = max(stallFor, 2*time.Since(begun))
		}
		found = append(found, sitesOf(msg.Data)...)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// sitesOf reads the sites out of a service's own description.
func sitesOf(data []byte) []string {
	var info micro.Info
	if err := json.Unmarshal(data, &info); err != nil {
		return nil
	}
	var found []string
	for _, e := range info.Endpoints {
		rest, ours := strings.CutPrefix(e.Subject, "avstem.v1.reconcile.")
		if site, name, _ := strings.Cut(rest, "."); ours && name == "explain" {
			found = append(found, site)
		}
	}
	return found
}

// statuses asks every reconciler that is meant how it stands; the question is what the
// endpoint takes.
func statuses(ctx context.Context, conn *bus.Conn, asked, question string) ([]server.Status, error) {
	names, err := sites(ctx, conn, asked)
	if err != nil {
		return nil, err
	}
	var all []server.Status
	for _, site := range names {
		data, err := ask(ctx, conn, site, "status", []byte(question))
		if err != nil {
			return nil, err
		}
		s := server.Status{Status: engine.Status{Site: site}}
		if err := json.Unmarshal(data, &s); err != nil {
			return nil, fmt.Errorf("site %s: decode status: %w", site, err)
		}
		all = append(all, s)
	}
	return all, nil
}
