package auth

import (
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"

	"github.com/dataverket/avstem/bus"
)

// name stands in a scoped signing key's template for the name of the user that it
// signed: a host's ID.
const name = "{{name()}}"

// hostPermissions are what the key of a site may sign. No subject of JetStream's
// API is among them: its answers go to any reply subject, in the server's own
// right, so that whoever may read one document could write it anywhere.
func hostPermissions(site string, sources []string) jwt.Permissions {
	var p jwt.Permissions
	for _, source := range sources {
		p.Pub.Allow.Add(subject("observed", site, name, source))
	}
	p.Pub.Allow.Add(subject("heartbeat", site, name), subject("held", site, name))
	p.Sub.Allow.Add(
		bus.InboxPrefix(name)+".>",
		subject("heartbeat", site, name), // to hear who else speaks under its name
		subject("agent", site, name, "resync"), subject("agent", site, name, "rescan"), subject("agent", site, name, "describe"),
	)
	return p
}

// reconcilerPermissions let a site's reconciler read everything, write what it
// concludes, ask agents, read for them, and make the streams. What a host says is
// not for it to say, and what hosts said is not for it to remove.
func reconcilerPermissions(site, user string) jwt.Permissions {
	var p jwt.Permissions
	p.Pub.Allow.Add(
		subject("finding", site, "*"), subject("drift", site, ">"), subject("intended", site), subject("intended", site, ">"),
		subject("fence", site, "*"), "$KV."+bus.BucketLeases+"."+site, // to lead, and to be the only one
		subject("agent", site, "*", "*"), subject("reconcile", site, "*"),
		"$SRV.INFO.>", "$SRV.PING.>",
	)
	for _, verb := range []string{
		"INFO", "STREAM.NAMES", "STREAM.LIST", "STREAM.INFO.*", "STREAM.CREATE.*", "STREAM.UPDATE.*", "STREAM.MSG.GET.*", "DIRECT.GET.*", "DIRECT.GET.*.>",
		"CONSUMER.CREATE.>", "CONSUMER.DURABLE.CREATE.>", "CONSUMER.INFO.*.*", "CONSUMER.DELETE.*.*", "CONSUMER.MSG.NEXT.*.*",
		"STREAM.PURGE." + bus.StreamFindings, "STREAM.PURGE." + bus.StreamIntended,
	} {
		p.Pub.Allow.Add("$JS.API." + verb)
	}
	p.Pub.Allow.Add("$JS.ACK.>", "$JS.FC.>")
	p.Sub.Allow.Add(
		bus.InboxPrefix(user)+".>", "avstem.v1.>", "maskin.v1.>", "$KV.>",
		"$SRV.PING", "$SRV.PING.>", "$SRV.INFO", "$SRV.INFO.>", "$SRV.STATS", "$SRV.STATS.>",
	)
	// It answers who asks, agents in their own inboxes among them.
	p.Resp = &jwt.ResponsePermission{MaxMsgs: 1, Expires: time.Minute}
	return p
}

// readerPermissions are for people and dashboards: they read, and ask reconcilers.
func readerPermissions(user string) jwt.Permissions {
	var p jwt.Permissions
	for _, endpoint := range readerEndpoints {
		p.Pub.Allow.Add(subject("reconcile", "*", endpoint))
	}
	p.Pub.Allow.Add("$SRV.INFO", "$SRV.INFO.>", "$SRV.PING", "$SRV.PING.>")
	for _, verb := range []string{"INFO", "STREAM.NAMES", "STREAM.LIST", "STREAM.INFO.*", "CONSUMER.INFO.*.*", "CONSUMER.MSG.NEXT.*.*", "CONSUMER.DELETE.*.*"} {
		p.Pub.Allow.Add("$JS.API." + verb)
	}
	for _, stream := range []string{bus.StreamObserved, bus.StreamFindings, bus.StreamDrift, bus.StreamIntended} {
		p.Pub.Allow.Add("$JS.API.CONSUMER.CREATE."+stream+".>", "$JS.API.DIRECT.GET."+stream, "$JS.API.DIRECT.GET."+stream+".>", "$JS.API.STREAM.MSG.GET."+stream)
	}
	p.Sub.Allow.Add(bus.InboxPrefix(user)+".>", "avstem.v1.>")
	return p
}

// oncallPermissions are for people who also decide: they acknowledge findings, and
// confirm that much is gone, which a reconciler writes down.
func oncallPermissions(user string) jwt.Permissions {
	p := readerPermissions(user)
	p.Pub.Allow.Add(subject("reconcile", "*", "acknowledge"), subject("reconcile", "*", "confirm"))
	return p
}

// readerEndpoints are the reconciler's endpoints that change nothing.
var readerEndpoints = []string{"explain", "status", "numbers", "health", "input", "places"}

// systemPermissions let `avstem auth` hand a changed account to running servers.
func systemPermissions(user string) jwt.Permissions {
	var p jwt.Permissions
	p.Pub.Allow.Add("$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.SERVER.PING")
	p.Sub.Allow.Add(bus.InboxPrefix(user) + ".>")
	return p
}

func subject(tokens ...string) string { return "avstem.v1." + strings.Join(tokens, ".") }
