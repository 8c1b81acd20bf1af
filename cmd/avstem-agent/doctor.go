package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/internal/doctor"
	"github.com/dataverket/avstem/cmd/internal/hostagent"
	"github.com/dataverket/avstem/enroll"
	"github.com/dataverket/avstem/inventory"
)

const doctorLong = `Tries everything that the agent needs, and says of each what was tried, what
happened, what that means and what to type. It changes nothing and publishes
nothing; it may run beside the agent.

Root's rights are given up first for those of the service: of the user to whom the
state directory belongs. What is seen is what the service sees, but for its sandbox.

Exit status: 0 nothing is broken, though there may be warnings; 1 something is.`

func (a *app) doctorCommand() *cobra.Command {
	var offline bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say what works on this host, what doesn't, and what to do",
		Long:  doctorLong,
		Args:  noArguments,
	}
	output := addOutput(c, "text", "json")
	c.Flags().BoolVar(&offline, "offline", false, "leave out everything that needs the NATS server")
	a.where.Add(c.Flags())
	c.RunE = func(c *cobra.Command, _ []string) error {
		results, err := a.actAsService(c.Context())
		if err != nil {
			return fmt.Errorf("examine this host: %w", err)
		}
		results = append(results, a.examineHost(c.Context())...)
		results = append(results, a.examineToken(c.Context())...)
		if !offline {
			results = append(results, a.examineNATS(c.Context())...)
		}
		if c.Context().Err() != nil {
			return fmt.Errorf("examine this host: %w", context.Cause(c.Context()))
		}
		return doctor.Write(a.stdout, results, *output == "json", columns(a.stdout))
	}
	return c
}

// examineHost tries what needs no server.
func (a *app) examineHost(ctx context.Context) []doctor.Result {
	file := "none; defaults are in effect"
	if a.file != nil {
		file = fmt.Sprintf("%s, keys set: %d", a.file.Path, len(a.file.Values))
	}
	results := []doctor.Result{
		a.examineFile(file),
		doctor.StateDirectory(a.host.StateDir, "avstem-agent", "identity and epoch can't be kept, so nothing is published"),
		a.examineIdentity(ctx),
		doctor.KernelClock(),
	}
	pass, err := hostagent.Collect(ctx, a.host, "")
	if err != nil {
		return append(results, doctor.Bad("sources", "pass over every source", err, "this host is not observed", "avstem-agent collect"))
	}
	runtimes := 0
	for _, o := range pass.Observations {
		results = append(results, judgeSource(o))
		if strings.HasPrefix(o.Source, "runtime-") && o.Outcome != inventory.OutcomeAbsent {
			runtimes++
		}
	}
	if runtimes == 0 {
		results = append(results, doctor.Weak("runtime", "find what runs VMs here", "nothing",
			"host, network and storage are observed, and no VM", "start libvirtd or the like, or name its socket (libvirt-socket: in the configuration file)"))
	}
	return results
}

// examineFile says whether the service may read what has been read already.
func (a *app) examineFile(found string) doctor.Result {
	const check, tried = "configuration", "read the configuration file"
	if a.file != nil {
		if f, err := os.Open(a.file.Path); err != nil {
			return doctor.Bad(check, tried, err, "the agent doesn't start", "chmod o+r "+a.file.Path)
		} else {
			f.Close()
		}
	}
	return doctor.Good(check, tried, found)
}

func (a *app) examineIdentity(ctx context.Context) doctor.Result {
	const check, tried = "identity", "hold this machine against the state directory"
	id, err := a.readIdentity(ctx)
	switch {
	case err != nil:
		return doctor.Bad(check, tried, err, "the agent doesn't start", "avstem-agent identity show")
	case id.Clone != "":
		return doctor.Bad(check, tried, errors.New(id.Clone), "nothing is published as that host",
			"avstem-agent identity adopt (the hardware was exchanged), or avstem-agent identity renew (this is a copy)")
	case id.Provisional:
		return doctor.Weak(check, tried, "no agent has run with "+a.host.StateDir+" yet", "the host gets its ID at the agent's first start", "systemctl start avstem-agent")
	}
	return doctor.Good(check, tried, fmt.Sprintf("host %s, epoch %d", id.ID, id.Epoch))
}

// judgeSource says what one pass over a source means.
func judgeSource(o *inventory.Observation) doctor.Result {
	check, tried := "source "+o.Source, "pass over it"
	var p inventory.Problem
	if len(o.Problems) > 0 {
		p = o.Problems[0]
	}
	what := strings.TrimSpace(p.Call + ": " + p.Error)
	see := "avstem-agent collect --source " + o.Source
	do := p.Remedy
	if do == "" {
		do = see
	}
	r := doctor.Good(check, tried, "seen whole")
	switch o.Outcome {
	case inventory.OutcomeComplete:
		if strings.HasPrefix(o.Source, "runtime-") {
			r.Found += fmt.Sprintf(", VMs: %d", len(o.VMs))
		}
	case inventory.OutcomeAbsent:
		r = doctor.Skip(check, tried, "not on this host: "+what)
	case inventory.OutcomePartial:
		r = doctor.Weak(check, tried, fmt.Sprintf("problems: %d, the first: %s", len(o.Problems), what), "what couldn't be read is unknown to the reconciler ("+see+" lists it)", do)
	default:
		r = doctor.Bad(check, tried, errors.New(what), "nothing can be said of it, and nothing is concluded", do)
	}
	return r.Lasting(o.Took)
}

// examineNATS tries what the agent does with the server.
func (a *app) examineNATS(ctx context.Context) []doctor.Result {
	const tried = "connect as the agent does"
	where, member, err := a.reach()
	if err != nil {
		return []doctor.Result{doctor.Bad("credentials", "read the files that are named", err, "the agent doesn't start", "see what it says")}
	}
	where.Name, where.Logger = "avstem-agent doctor", slog.New(slog.DiscardHandler)
	began := time.Now()
	conn, err := bus.Connect(ctx, where)
	reached := doctor.Connection(tried, conn, err)
	if _, none := errors.AsType[*bus.NoServerError](err); none && a.host.StateDir == serviceState {
		reached = doctor.Bad(reached.Check, tried, errors.New("this host isn't enrolled, and no server is named"), reached.Means,
			"avstem-agent enroll --token TOKEN, with one that avstem enroll token --host NAME makes on the server; or name a server of your own in "+defaultConfig+": server: tls://nats.example.net")
	}
	results := []doctor.Result{reached.Lasting(time.Since(began))}
	if err != nil {
		return append(results, doctor.Skip("publishing", "publish as this host", "there is no connection"))
	}
	defer conn.Close()
	if member.Issuer != "" {
		results = append(results, examineClock(ctx, member.Issuer, where.CA))
	}
	host, err := a.readIdentity(ctx)
	results = append(results, doctor.TLS(conn, 14*24*time.Hour, time.Now()), doctor.Version(conn), doctor.Payload(conn.NATS().MaxPayload()))
	if err != nil || host.Clone != "" {
		return append(results, doctor.Skip("publishing", "publish as this host", "it has no identity: see above"))
	}
	own, err := conn.MayPublish(ctx, bus.Key{Site: a.host.Site, Host: host.ID, Source: "identity"})
	results = append(results, judgeOwn(a.host.Site, host.ID, own, err))
	if err != nil {
		return results
	}
	other, err := conn.MayPublish(ctx, bus.Key{Site: a.host.Site, Host: uuid.New(), Source: "identity"})
	return append(results, judgeOther(other, err))
}

// examineClock holds this host's clock against the issuer's, which tells whole seconds.
func examineClock(ctx context.Context, issuer, ca string) doctor.Result {
	tried := "compare this clock with that of " + issuer
	client, err := enroll.NewClient(issuer, enroll.Trust{CAFile: ca})
	if err != nil {
		return doctor.Skip("clock", tried, err.Error())
	}
	asked := time.Now()
	theirs, err := client.Clock(ctx)
	if err != nil {
		return doctor.Weak("clock", tried, err.Error(), "credentials can't be renewed either, and end", "see that the server's port is open: nc -zv "+strings.NewReplacer("https://", "", ":", " ").Replace(issuer))
	}
	took := time.Since(asked)
	return doctor.Clock(tried, asked.Add(took/2), theirs.Add(time.Second/2), took/2+time.Second/2)
}

func judgeOwn(site string, host uuid.UUID, may bool, err error) doctor.Result {
	const check, tried = "publishing", "ask to publish as this host, and publish nothing"
	const means = "the reconciler hears nothing of this host"
	switch {
	case errors.Is(err, bus.ErrNoStream):
		return doctor.Bad(check, tried, err, means, "start avstem serve (or avstem up) once with this server")
	case err != nil:
		return doctor.Bad(check, tried, err, means, "see the NATS server's log; its disk may be full")
	case !may:
		return doctor.Bad(check, tried, fmt.Errorf("the server refuses host %s in site %s", host, site), means,
			"ask for credentials of this very host and site; avstem-agent identity show tells its ID")
	}
	return doctor.Good(check, tried, "allowed")
}

func judgeOther(may bool, err error) doctor.Result {
	const check, tried = "other hosts", "ask to publish as another host, and publish nothing"
	switch {
	case err != nil:
		return doctor.Weak(check, tried, err.Error(), "it isn't known whether this host can speak for others", "try again")
	case may:
		return doctor.Weak(check, tried, "allowed", "these credentials can speak for any host: a host that is broken into can hide what others show",
			"give each host credentials of its own; fine in a lab with one token")
	}
	return doctor.Good(check, tried, "refused, as it should be")
}

// columns is how wide a terminal is, 0 where there is none.
func columns(w io.Writer) int {
	if file, is := w.(*os.File); is {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil {
			return width
		}
	}
	return 0
}
