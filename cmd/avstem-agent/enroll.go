package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/nats-io/nkeys"
	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/agent/hostid"
	"github.com/dataverket/avstem/cmd/internal/durationflag"
	"github.com/dataverket/avstem/enroll"
)

// askAgain is between two questions whether somebody has approved.
const askAgain = 3 * time.Second

const agentEnrollLong = `Makes a key for this host in the state directory, which never leaves it, and
asks for credentials with the token that "avstem enroll token" made on the
server. The server must be the one that the token names: the token has the hash
of its CA.

Where somebody has to approve, it waits. Afterwards "avstem-agent run" needs no
flag, and renews the credentials by itself.

With --keep-trying, as the service that enrolls a host at its first boot has it, it
goes on while the server is away or answers that it can't decide: at first after
seconds, later after minutes, and once in an hour where the server doesn't let it in
for now. It ends where trying can't help: the server refuses the token.`

type enrollFlags struct {
	server, token, tokenFile, ca string
	wait                         time.Duration
	noStart, keepTrying          bool
}

func (a *app) enrollCommand() *cobra.Command {
	var flags enrollFlags
	c := &cobra.Command{
		Use:     "enroll --token TOKEN",
		Short:   "Get credentials of its own for this host",
		Long:    agentEnrollLong,
		Example: `  avstem-agent enroll --token avstem1.eyJ…`,
		Args:    noArguments,
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&flags.token, "token", "", "`TOKEN` of avstem enroll token")
	c.Flags().StringVar(&flags.tokenFile, "token-file", "", "`FILE` with the token, or - for standard input")
	c.Flags().StringVar(&flags.server, "server", "", "`HOST[:PORT]` of the issuer, if this host reaches it otherwise than the token says")
	c.Flags().StringVar(&flags.ca, "ca", "", "`FILE` of the certificate authority, instead of the token's hash")
	durationflag.Var(c.Flags(), &flags.wait, "wait", 15*time.Minute, "`DURATION` to wait for somebody who approves")
	c.Flags().BoolVar(&flags.keepTrying, "keep-trying", false, "try again until the host is in or the token is refused")
	c.Flags().BoolVar(&flags.noStart, "no-start", false, "don't start avstem-agent.service afterwards, where root runs this")
	output := addOutput(c, "text", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		token, err := readToken(flags, c.InOrStdin())
		if err != nil {
			return err
		}
		enroll := a.enroll
		if flags.keepTrying {
			enroll = a.keepTrying
		}
		m, err := enroll(c.Context(), flags, token)
		if err != nil {
			return err
		}
		next := "start its agent"
		if !flags.noStart && a.isService() {
			if out, err := exec.CommandContext(c.Context(), "systemctl", "enable", "--now", unitName).CombinedOutput(); err != nil {
				return fmt.Errorf("the host is enrolled, and its agent doesn't start: systemctl enable --now %s: %w: %s", unitName, err, bytes.TrimSpace(out))
			}
			next = unitName + " runs"
		}
		if *output == "json" {
			return a.writeJSON(m)
		}
		_, err = fmt.Fprintf(a.stdout, "host %s of site %s has credentials until %s: %s\n", m.Host, m.Site, m.Expires.Format(time.RFC3339), next)
		return err
	}
	return c
}

// unitName is the agent as a service, and serviceState its state directory.
const (
	unitName     = "avstem-agent.service"
	serviceState = "/var/lib/avstem"
)

// isService says whether the package's service is what uses the state directory, and
// is ours to start.
func (a *app) isService() bool {
	for _, need := range []string{"/run/systemd/system", "/usr/lib/systemd/system/" + unitName} {
		if _, err := os.Stat(need); err != nil {
			return false
		}
	}
	return os.Geteuid() == 0 && a.host.StateDir == serviceState
}

// readToken reads it from where it was given.
func readToken(flags enrollFlags, stdin io.Reader) (enroll.Token, error) {
	text := flags.token
	switch {
	case (flags.token == "") == (flags.tokenFile == ""):
		return enroll.Token{}, usageError{errors.New("avstem-agent enroll wants --token or --token-file")}
	case flags.tokenFile == "-":
		data, err := io.ReadAll(io.LimitReader(stdin, 4096))
		if err != nil {
			return enroll.Token{}, fmt.Errorf("read token: %w", err)
		}
		text = string(data)
	case flags.tokenFile != "":
		data, err := os.ReadFile(flags.tokenFile)
		if err != nil {
			return enroll.Token{}, fmt.Errorf("read token: %w", err)
		}
		text = string(data)
	}
	t, err := enroll.ParseToken(text)
	if err != nil {
		return enroll.Token{}, usageError{err}
	}
	if flags.server == "" {
		return t, nil
	}
	u, err := url.Parse(t.Issuer)
	if err != nil {
		return enroll.Token{}, usageError{err}
	}
	host := strings.TrimPrefix(flags.server, "https://")
	if !strings.Contains(strings.TrimPrefix(host, "["), "]") && !strings.Contains(host, ":") {
		host += ":" + u.Port()
	}
	t.Issuer = "https://" + host
	if err := enroll.CheckIssuer(t.Issuer); err != nil {
		return enroll.Token{}, usageError{fmt.Errorf("--server: %w", err)}
	}
	return t, nil
}

func (a *app) enroll(ctx context.Context, flags enrollFlags, token enroll.Token) (enroll.Member, error) {
	trust := enroll.Trust{CAFile: flags.ca, CAHash: token.CAHash}
	client, err := enroll.NewClient(token.Issuer, trust)
	if err != nil {
		return enroll.Member{}, err
	}
	self, _, err := a.see(ctx)
	if err != nil {
		return enroll.Member{}, err
	}
	seen := hostid.EvidenceOf(self)
	// Nobody else may use the state directory meanwhile, an agent least of all.
	identity, err := hostid.Open(a.host.StateDir, seen, time.Now())
	if err != nil {
		err = fmt.Errorf("open host identity: %w", err)
		if m, in := a.isIn(); in {
			err = fmt.Errorf("%w: this host is in already, with credentials for site %s until %s; to have it enroll anew, stop its agent first", err, m.Site, m.Expires.Format(time.RFC3339))
		}
		return enroll.Member{}, err
	}
	defer identity.Close()
	key, public, err := hostKey(a.host.StateDir)
	if err != nil {
		return enroll.Member{}, err
	}
	request := enroll.Request{Code: token.Code, Key: public, Host: identity.ID(), Evidence: seen}
	request.Hostname, _ = os.Hostname()
	answer, err := a.askUntilDecided(ctx, client, request, key, flags.wait)
	if err != nil {
		return enroll.Member{}, err
	}
	return enroll.Member{Host: identity.ID(), Issuer: token.Issuer}.Take(a.host.StateDir, answer, key)
}

// hostKey is the host's, which is made the first time.
func hostKey(dir string) (nkeys.KeyPair, string, error) {
	key, err := enroll.Key(dir)
	if err != nil {
		return nil, "", err
	}
	public, err := key.PublicKey()
	if err != nil {
		return nil, "", fmt.Errorf("read key: %w", err)
	}
	return key, public, nil
}

func (a *app) askUntilDecided(ctx context.Context, client *enroll.Client, r enroll.Request, key nkeys.KeyPair, wait time.Duration) (enroll.Answer, error) {
	said := false
	for until := time.Now().Add(wait); ; {
		answer, err := client.Enroll(ctx, r, key)
		refused, isRefused := errors.AsType[*enroll.RefusedError](err)
		switch {
		case isRefused && refused.Status == http.StatusServiceUnavailable:
		case err != nil:
			return enroll.Answer{}, a.explainRefusal(err)
		case answer.JWT != "":
			return answer, nil
		case !said:
			a.tell(fmt.Sprintf("host %s waits to be approved, on the server: avstem enroll approve %s", r.Host, answer.Waiting))
			said = true
		}
		if time.Now().Add(askAgain).After(until) {
			return enroll.Answer{}, fmt.Errorf("enroll: nobody approved within %s: run this again with the same token when somebody has", wait)
		}
		select {
		case <-ctx.Done():
			return enroll.Answer{}, fmt.Errorf("enroll: wait for somebody who approves: %w; run this again with the same token, when somebody has", context.Cause(ctx))
		case <-time.After(askAgain):
		}
	}
}

// explainRefusal adds what helps where the key, the token or the address is at fault.
func (a *app) explainRefusal(err error) error {
	if isFinal(err) {
		name, _ := os.Hostname()
		return fmt.Errorf("%w: it takes another token, of the server's: avstem enroll token --host %s", err, cmp.Or(name, "NAME"))
	}
	if name, is := errors.AsType[*net.DNSError](err); is {
		return fmt.Errorf("%w: is %s right? --server names it otherwise, by an address perhaps", err, name.Name)
	}
	if _, is := errors.AsType[tls.RecordHeaderError](err); is {
		return fmt.Errorf("%w: something else listens there: hosts enroll at another port than NATS's, 4223 if nobody chose another", err)
	}
	if refused, is := errors.AsType[*enroll.RefusedError](err); !is || refused.Status != enroll.StatusRevoked {
		return err
	}
	if drop := enroll.DropKey(a.host.StateDir); drop != nil {
		return errors.Join(err, drop)
	}
	return fmt.Errorf("%w: this host has let go of its key: run this again, and it makes another", err)
}

// evidence is what this machine shows now, for renewals.
func (a *app) evidence(ctx context.Context) hostid.Evidence {
	self, _, err := a.see(ctx)
	if err != nil {
		return hostid.Evidence{}
	}
	return hostid.EvidenceOf(self)
}
