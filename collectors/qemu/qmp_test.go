package qemu

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dataverket/avstem/inventory"
)

// TestHostilePeers holds a pass to its deadline and to a problem that says what
// was wrong, whatever listens on the socket.
func TestHostilePeers(t *testing.T) {
	greet := func(p *peer) { p.say(hello); p.hear(); p.say(`{"return": {}, "id": 1}`) }
	endless := bytes.Repeat([]byte("x"), 1<<16)
	for name, tt := range map[string]struct {
		behave func(*peer)
		why    inventory.Why
		says   string
	}{
		"silent":              {func(p *peer) { p.hear() }, inventory.WhyTimedOut, "no greeting"},
		"closes at once":      {func(p *peer) { p.Close() }, inventory.WhyBroken, "EOF"},
		"an ssh server":       {func(p *peer) { p.say("SSH-2.0-OpenSSH_9.2"); p.hear() }, inventory.WhyBroken, "doesn't speak QMP"},
		"a human monitor":     {func(p *peer) { p.say("QEMU 7.2.22 monitor - type 'help'"); p.hear() }, inventory.WhyBroken, "doesn't speak QMP"},
		"JSON of another":     {func(p *peer) { p.say(`{"jsonrpc":"2.0"}`); p.hear() }, inventory.WhyBroken, "doesn't speak QMP"},
		"no greeting":         {func(p *peer) { p.say(`{"event":"STOP"}`); p.hear() }, inventory.WhyBroken, "without a greeting"},
		"never ends its line": {func(p *peer) { flood(p, endless) }, inventory.WhyBroken, "larger than"},
		"refuses":             {func(p *peer) { p.say(hello); p.hear(); p.say(`{"id":1,"error":{"class":"E","desc":"no"}}`); p.hear() }, inventory.WhyBroken, "no"},
		"goes silent":         {func(p *peer) { greet(p); p.hear() }, inventory.WhyTimedOut, "deadline"},
		"goes away":           {func(p *peer) { greet(p); p.hear(); p.Close() }, inventory.WhyBroken, "closed"},
		"answers another's":   {func(p *peer) { greet(p); p.hear(); p.say(`{"return":{},"id":999}`); p.hear() }, inventory.WhyTimedOut, "deadline"},
		"answers nobody":      {func(p *peer) { greet(p); p.hear(); p.say(`{"return":{}}`); p.hear() }, inventory.WhyBroken, "doesn't speak QMP"},
		"answers another type": {func(p *peer) {
			greet(p)
			for id := 2; p.hear(); id++ {
				p.say(fmt.Sprintf(`{"return":"text","id":%d}`, id))
			}
		}, inventory.WhyBroken, "read the reply"},
		"floods with events": {func(p *peer) { greet(p); flood(p, []byte(`{"event":"RTC_CHANGE"}`+"\n")) }, inventory.WhyTimedOut, "deadline"},
		"answers slowly": {func(p *peer) {
			greet(p)
			for id := 2; p.hear(); id++ {
				time.Sleep(300 * time.Millisecond) // slower than a deadline allows for all
				p.say(fmt.Sprintf(`{"return":{},"id":%d}`, id))
			}
		}, inventory.WhyTimedOut, "deadline"},
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, fakePeer(t, tt.behave))
			c.CallTimeout = 500 * time.Millisecond
			if strings.Contains(name, "line") {
				c.CallTimeout = 30 * time.Second
			}
			o := collect(t, c)
			if !o.Complete || len(o.Problems) != 1 {
				t.Fatalf("complete %v, problems %v: want one", o.Complete, o.Problems)
			}
			if p := o.Problems[0]; p.Why != tt.why || !strings.Contains(p.Error, tt.says) || p.Remedy == "" {
				t.Errorf("problem %+v: want %s, %q and a remedy", p, tt.why, tt.says)
			}
		})
	}
}

// flood writes the same until nobody listens.
func flood(p *peer, data []byte) {
	for {
		if _, err := p.Write(data); err != nil {
			return
		}
	}
}

// Replies find the calls that wait for them, in whatever order they come and with
// events between.
func TestRepliesAreMatched(t *testing.T) {
	var events []string
	path := fakePeer(t, func(p *peer) {
		p.say(hello)
		p.hear()
		p.say(`{"return": {}, "id": 1}`)
		for range 2 {
			p.hear()
		}
		p.say(`{"event":"STOP"}`)
		p.say(`{"return":{"n":3},"id":3}`)
		p.say(`{"return":{"n":2},"id":2}`)
		p.hear()
	})
	c, err := dial(deadline(t), path, func(event string) { events = append(events, event) })
	if err != nil {
		t.Fatal(err)
	}
	var calls sync.WaitGroup
	results := make([]int, 2)
	for i := range results {
		calls.Go(func() {
			var reply struct{ N int }
			if err := c.call(deadline(t), "x", nil, &reply); err != nil {
				t.Error(err)
			}
			results[i] = reply.N
		})
	}
	calls.Wait()
	c.close()
	if results[0]+results[1] != 5 || len(events) != 1 {
		t.Errorf("replies %v, events %v", results, events)
	}
	if err := c.call(deadline(t), "y", nil, nil); err == nil {
		t.Error("a closed monitor answered")
	}
}

// A call that was given up doesn't take the next one's reply.
func TestLateReplyIsNobodys(t *testing.T) {
	late := make(chan struct{})
	path := fakePeer(t, func(p *peer) {
		p.say(hello)
		p.hear()
		p.say(`{"return": {}, "id": 1}`)
		p.hear()
		<-late
		p.say(`{"return":{"n":2},"id":2}`)
		p.hear()
		p.say(`{"return":{"n":3},"id":3}`)
		p.hear()
	})
	c, err := dial(deadline(t), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.call(short, "slow", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a late reply gives %v", err)
	}
	close(late)
	var reply struct{ N int }
	if err := c.call(deadline(t), "next", nil, &reply); err != nil || reply.N != 3 {
		t.Errorf("the next reply is %d, %v", reply.N, err)
	}
}

func FuzzMessages(f *testing.F) {
	f.Add([]byte(hello + "\n" + `{"return": {}, "id": 1}` + "\n" + `{"event":"STOP","data":{}}` + "\n"))
	f.Add([]byte(`{"id":"x","return":null}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(data), 16)
		for {
			line, err := readLine(r)
			if err != nil {
				return
			}
			m, err := decodeMessage(line)
			if err == nil && m.QMP == nil && m.Event == "" && m.Return == nil && m.Error == nil {
				t.Errorf("%q is taken for a message", line)
			}
		}
	})
}
