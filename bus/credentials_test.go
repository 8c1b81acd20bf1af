package bus

import (
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// An agent needs no more than this: its own subjects, enumerated, its own last
// documents, its own inbox, its own heartbeat and to be asked.
func TestAgentWorksWithCredentialsForItsOwnSubjectsAlone(t *testing.T) {
	host := hostA.String()
	agent := &server.User{Username: "agent", Password: "a", Permissions: &server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{
			"avstem.v1.observed.default." + host + ".network", "avstem.v1.heartbeat.default." + host,
			"$JS.API.DIRECT.GET.AVSTEM_OBSERVED.avstem.v1.observed.default." + host + ".network"}},
		Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX_" + host + ".>", "avstem.v1.heartbeat.default." + host,
			"avstem.v1.agent.default." + host + ".resync"}},
	}}
	n := startServer(t, func(o *server.Options) { o.Users = []*server.User{{Username: "site", Password: "s"}, agent} })
	dial := func(options ...nats.Option) *Conn {
		t.Helper()
		c, err := Dial(n.ClientURL(), slog.New(slog.DiscardHandler), "", options...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	site := dial(nats.UserInfo("site", "s"))
	ensure(t, site)
	publish(t, site.NewPublisher(startB), observation(t, 1, 9)) // an earlier start's
	c := dial(nats.UserInfo("agent", "a"), nats.CustomInboxPrefix("_INBOX_"+host))
	p := c.NewPublisher(startA)
	publish(t, p, observation(t, 2, 1))
	p.Forget()
	publish(t, p, observation(t, 2, 1))
	wantStored(t, site, [2]uint64{1, 9}, [2]uint64{2, 1})
	heard := make(chan Heartbeat, 1)
	if _, err := c.HeartbeatsOf(DefaultSite, hostA, HeartbeatHandler{Beat: func(h Heartbeat) { heard <- h }}); err != nil {
		t.Fatal(err)
	}
	if err := c.Beat(Heartbeat{Host: hostA, Site: DefaultSite}); err != nil {
		t.Fatal(err)
	}
	take(t, heard)

	asked := make(chan struct{}, 1)
	if _, err := c.Asked(DefaultSite, hostA, func() { asked <- struct{}{} }); err != nil {
		t.Fatal(err)
	}
	if err := c.nc.FlushTimeout(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	if err := site.Ask(DefaultSite, hostA); err != nil {
		t.Fatal(err)
	}
	take(t, asked)

	forged := observation(t, 2, 1)
	forged.Host = uuid.MustParse("6f1c0000-0000-4000-8000-00000000000b")
	if err := p.Publish(within(t, time.Second), forged); err == nil {
		t.Error("it spoke for another host")
	}
}
