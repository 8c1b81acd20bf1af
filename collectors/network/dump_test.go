package network

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// fakeKernel answers the first dumps of links with these errors, and then, as
// all others, with nothing wrong.
type fakeKernel struct {
	links  [][]byte
	errors []error
	dumps  int
}

func (k *fakeKernel) dump(_ context.Context, what request) ([][]byte, error) {
	if what != linkRequest {
		return nil, nil
	}
	k.dumps++
	if k.dumps <= len(k.errors) {
		if err := k.errors[k.dumps-1]; !errors.Is(err, errInterrupted) {
			return nil, err
		}
		return k.links[:1], errInterrupted
	}
	return k.links, nil
}

// collectFrom is a collector whose links come from a dumper.
type collectFrom struct {
	Collector
	dumper
}

func (c *collectFrom) Collect(ctx context.Context, b *collectors.Builder) error {
	links, whole, err := c.linksFrom(ctx, c.dumper, b)
	if err != nil {
		return err
	}
	for i := range links {
		b.Link(links[i].Link)
	}
	if whole {
		b.Enumerated()
	}
	return nil
}

func observeFrom(t *testing.T, root string, dump dumper) *inventory.Observation {
	t.Helper()
	return (&collectors.Runner{Collector: &collectFrom{Collector{Root: root}, dump}}).Run(t.Context())
}

func TestInterruptedDumpIsReadAgain(t *testing.T) {
	interrupted := slicesRepeat(errInterrupted, 100)
	tests := []struct {
		name    string
		errors  []error
		outcome inventory.Outcome
		links   int
		why     inventory.Why
	}{
		{"whole at once", nil, inventory.OutcomeComplete, 2, ""},
		{"interrupted four times", interrupted[:4], inventory.OutcomeComplete, 2, ""},
		{"overrun, then interrupted", []error{unix.ENOBUFS, errInterrupted}, inventory.OutcomeComplete, 2, ""},
		{"interrupted for ever", interrupted, inventory.OutcomePartial, 1, inventory.WhyBroken},
		{"overrun for ever", slicesRepeat(error(unix.ENOBUFS), 100), inventory.OutcomeFailed, 0, inventory.WhyBroken},
		{"refused", []error{unix.EACCES}, inventory.OutcomeFailed, 0, inventory.WhyRefused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kernel := &fakeKernel{links: [][]byte{linkMessage("tap0"), linkMessage("tap1")}, errors: tt.errors}
				o := observeFrom(t, "", kernel.dump)
				if o.Outcome != tt.outcome || len(o.Links) != tt.links {
					t.Errorf("outcome %s with %d links, want %s with %d", o.Outcome, len(o.Links), tt.outcome, tt.links)
				}
				if o.Complete != (tt.why == "") {
					t.Errorf("complete is %t", o.Complete)
				}
				if tt.why != "" && (len(o.Problems) != 1 || o.Problems[0].Why != tt.why || o.Problems[0].Remedy == "" || o.Problems[0].Call != linkRequest.name) {
					t.Errorf("problems %+v, want one that is %s", o.Problems, tt.why)
				}
			})
		})
	}
}

func slicesRepeat(err error, n int) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// A link that was renamed while links were listed is there under both names, or
// two are there under one.
func TestNameTwiceInOneDumpIsReadAgain(t *testing.T) {
	first := true
	o := observeFrom(t, "", func(_ context.Context, what request) ([][]byte, error) {
		switch {
		case what != linkRequest:
			return nil, nil
		case first:
			first = false
			return [][]byte{linkMessage("tap0"), linkMessage("tap0")}, nil
		}
		return [][]byte{linkMessage("tap0"), linkMessage("tap1")}, nil
	})
	if len(o.Links) != 2 || o.Outcome != inventory.OutcomeComplete {
		t.Errorf("outcome %s, links %v", o.Outcome, o.Links)
	}
}

// One link that can't be read must not hide the others.
func TestOneBrokenLink(t *testing.T) {
	broken := append(linkMessage("tap1"), 0xff, 0xff, 1, 0)
	o := observeFrom(t, "", (&fakeKernel{links: [][]byte{linkMessage("tap0"), broken}}).dump)
	if len(o.Links) != 2 || !o.Complete || len(o.Problems) != 1 || o.Problems[0].Entity != "link:tap1" {
		t.Errorf("%d links, complete %t, problems %+v", len(o.Links), o.Complete, o.Problems)
	}
	o = observeFrom(t, "", (&fakeKernel{links: [][]byte{linkMessage("tap0"), {1, 2, 3}}}).dump)
	if len(o.Links) != 1 || o.Complete || len(o.Problems) != 1 {
		t.Errorf("nameless: %d links, complete %t, problems %+v", len(o.Links), o.Complete, o.Problems)
	}
}

// Without addresses or VLANs a link is still a link.
func TestOtherDumpsFail(t *testing.T) {
	o := observeFrom(t, "", func(ctx context.Context, what request) ([][]byte, error) {
		if what == linkRequest {
			return recorded(t, "links.hex"), nil
		}
		return nil, unix.EPERM
	})
	if !o.Complete || len(o.Links) == 0 {
		t.Errorf("complete %t with %d links", o.Complete, len(o.Links))
	}
	for _, field := range []inventory.Field{"link.addresses", "link.portVLANs"} {
		if p, hidden := o.ProblemOf("link:br0", field); !hidden || p.Why != inventory.WhyRefused {
			t.Errorf("%s: problem %+v", field, p)
		}
	}
}

// Links that come and go all the time interrupt the kernel's dumps. Those that
// stay must be in every pass that says it is complete.
func TestPassesWhileLinksComeAndGo(t *testing.T) {
	n := newNamespace(t)
	for i := range 100 { // more than fit one datagram
		n.add(&netlink.Bridge{LinkAttrs: attrs(fmt.Sprintf("stays%d", i), byte(i))})
	}
	ctx, cancel := context.WithCancel(t.Context())
	var churn sync.WaitGroup
	churn.Go(func() {
		for ctx.Err() == nil {
			comer := &netlink.Bridge{LinkAttrs: attrs("comes", 200)}
			if err := errors.Join(n.LinkAdd(comer), n.LinkDel(comer)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	socket, err := openRoute(n.path())
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	complete, interrupted := 0, 0
	counting := func(ctx context.Context, what request) ([][]byte, error) {
		messages, err := socketDumper(socket)(ctx, what)
		if errors.Is(err, errInterrupted) {
			interrupted++
		}
		return messages, err
	}
	for pass := 0; pass < 5000 && (complete < 20 || interrupted < 5); pass++ {
		o := observeFrom(t, "/nonexistent", counting)
		stays := 0
		for _, l := range o.Links {
			if strings.HasPrefix(l.Name, "stays") {
				stays++
			}
		}
		if o.Complete {
			complete++
			if stays != 100 {
				t.Errorf("pass %d is complete with %d links of 100", pass, stays)
			}
		}
	}
	cancel()
	churn.Wait()
	if complete < 20 || interrupted < 5 {
		t.Errorf("%d passes were complete, %d dumps interrupted: want some of each", complete, interrupted)
	}
}

func TestCancelledPassEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := (&collectors.Runner{Collector: &Collector{}}).Run(ctx)
	if o.Complete || o.Outcome != inventory.OutcomeFailed {
		t.Errorf("outcome %s of a pass that was cancelled", o.Outcome)
	}
}

// A kernel that doesn't answer (a lock that is held) must not hold the pass.
func TestReceiveEndsWithItsContext(t *testing.T) {
	socket, err := openRoute("")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	defer context.AfterFunc(ctx, socket.Close)()
	// Nothing was asked with this sequence number, so no answer will come.
	if _, err := receive(socket, unix.RTM_NEWLINK, 1); err == nil || ctx.Err() == nil {
		t.Errorf("received with error %v", err)
	}
}

func TestDumpError(t *testing.T) {
	tests := map[string]struct {
		data []byte
		want error
	}{
		"done":      {[]byte{0, 0, 0, 0}, nil},
		"nothing":   {nil, nil},
		"no memory": {[]byte{0xf4, 0xff, 0xff, 0xff}, unix.ENOMEM},
	}
	for name, tt := range tests {
		if diff := cmp.Diff(tt.want, dumpError(tt.data), cmp.Comparer(errors.Is)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// An adapter with some hundred virtual functions fills a message of 64 KiB.
func TestLinksWithoutTooManyFunctions(t *testing.T) {
	for _, refusal := range []error{unix.EINVAL, fmt.Errorf("broken off by the kernel: %w", unix.EMSGSIZE)} {
		o := observeFrom(t, t.TempDir(), func(_ context.Context, what request) ([][]byte, error) {
			switch {
			case what.reply != unix.RTM_NEWLINK || what.family != unix.AF_UNSPEC:
				return nil, nil
			case what.extMask&rtnlVFs != 0:
				return nil, refusal
			}
			return recorded(t, "links.hex"), nil
		})
		told := slices.ContainsFunc(o.Problems, func(p inventory.Problem) bool { return p.Field == "link.vfs" && p.Call == linkRequest.name })
		if len(o.Links) == 0 || !told {
			t.Errorf("%v: %d links, told of their functions: %t; problems %v", refusal, len(o.Links), told, o.Problems)
		}
	}
}
