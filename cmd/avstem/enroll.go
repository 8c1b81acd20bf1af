package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/bus/auth"
	"github.com/dataverket/avstem/cmd/internal/durationflag"
	"github.com/dataverket/avstem/enroll/issuer"
	"github.com/dataverket/avstem/inventory/duration"
	"github.com/dataverket/avstem/reconcile"
)

// issuerPort is where hosts enroll unless told otherwise.
const issuerPort = "4223"

const enrollLong = `Lets hosts in that make their own keys: a token is made here and given to the
host, where "avstem-agent enroll --token" makes a key that never leaves it, and
gets credentials for a week, which the agent renews.

A token that names its host or its hardware lets that one in; any other waits
for approval, as does every host that has credentials already. A code that is
used twice, late or on other hardware is refused, and is a finding
(observe.refused).`

func newEnrollCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "enroll",
		Short: "Let hosts in that make their own keys",
		Long:  enrollLong,
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.PersistentFlags().StringVar(&a.authDir, "dir", "", "`DIR` of keys and credentials (default auth in the state directory; AVSTEM_AUTH_DIR)")
	list := &cobra.Command{Use: "list", Short: "List hosts that asked, and what became of it", Args: noArguments}
	output := addAuthOutput(list)
	list.RunE = func(*cobra.Command, []string) error { return a.enrollList(*output) }
	c.AddCommand(newEnrollTokenCommand(a), list,
		a.decideCommand("approve ID", "Let a waiting host in", "is approved: it gets its credentials when it asks again, in seconds", (*issuer.Issuer).Approve),
		a.decideCommand("deny ID", "Turn a waiting host away", "is denied", (*issuer.Issuer).Deny))
	return c
}

type tokenFlags struct {
	host, hardware, issuer string
	ttl                    time.Duration
	auto                   bool
}

func newEnrollTokenCommand(a *app) *cobra.Command {
	var flags tokenFlags
	c := &cobra.Command{
		Use:   "token",
		Short: "Make a token that lets one host in, once",
		Long: `Makes a token that one host may use, once, within its time. The code in it is
kept as a hash only: it can't be shown again.`,
		Example: `  avstem enroll token --host hv-osl1-01 --hardware ABC123
  avstem-agent enroll --token avstem1.…        # on the host`,
		Args: noArguments,
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&flags.host, "host", "", "`NAME` that the host gets here, or the ID that it must have")
	c.Flags().StringVar(&flags.hardware, "hardware", "", "serial, system UUID or MAC `ADDRESS` that the host must show")
	durationflag.Var(c.Flags(), &flags.ttl, "ttl", time.Hour, "`DURATION` that it may be used within")
	c.Flags().BoolVar(&flags.auto, "auto-approve", false, "let whoever comes with it in, without --hardware and without a person")
	c.Flags().StringVar(&flags.issuer, "issuer", "", "`URL` where hosts enroll (default https://SERVER:"+issuerPort+")")
	output := addAuthOutput(c)
	c.RunE = func(*cobra.Command, []string) error { return a.enrollToken(flags, *output) }
	return c
}

func (a *app) enrollToken(flags tokenFlags, format string) error {
	dir, err := auth.Open(a.authPath())
	if err != nil {
		return err
	}
	terms := issuer.Terms{Site: a.site(), Name: flags.host, Hardware: flags.hardware, TTL: flags.ttl}
	if id, err := uuid.Parse(flags.host); err == nil {
		terms.Name, terms.Host = "", id
	}
	terms.Person = terms.Host == uuid.Nil && terms.Hardware == "" && !flags.auto
	sites := dir.Sites()
	if terms.Site == "" && len(sites) == 1 {
		terms.Site = sites[0]
	}
	if terms.Site == "" {
		return usageError{fmt.Errorf("name the site of the host with --site: there are %v", sites)}
	}
	if flags.ttl < time.Minute || flags.ttl > issuer.Lives {
		return usageError{fmt.Errorf("--ttl %s: want 1m at least and %s at most", duration.Text(flags.ttl), duration.Text(issuer.Lives))}
	}
	where := cmp.Or(flags.issuer, issuerURL(dir, a.setting("enroll-listen", "AVSTEM_ENROLL_LISTEN")))
	token, ticket, err := issuer.Open(dir).NewToken(where, terms)
	if err != nil {
		return err
	}
	if format == "json" {
		return a.writeJSON(struct {
			Token   string    `json:"token"`
			Issuer  string    `json:"issuer"`
			Site    string    `json:"site"`
			Person  bool      `json:"person"`
			Expires time.Time `json:"expires"`
		}{token.String(), token.Issuer, ticket.Site, ticket.Person, ticket.Expires})
	}
	fmt.Fprintf(a.stdout, "On the host, once, before %s:\n\n  avstem-agent enroll --token %s\n\n", ticket.Expires.Format(time.RFC3339), token)
	if ticket.Person {
		fmt.Fprintf(a.stdout, "then here: avstem enroll list, and avstem enroll approve\n")
	}
	return nil
}

// issuerURL is where hosts enroll: at the server's name, and the port of the address
// that is listened on, "" for the usual one.
func issuerURL(dir *auth.Dir, listen string) string {
	port := issuerPort
	if _, other, err := net.SplitHostPort(listen); err == nil && other != "" {
		port = other
	}
	host := dir.Server()
	if server, err := url.Parse(host); err == nil {
		host = server.Hostname()
	}
	return "https://" + net.JoinHostPort(host, port)
}

func (a *app) enrollList(format string) error {
	dir, err := auth.Open(a.authPath())
	if err != nil {
		return err
	}
	all, err := issuer.Open(dir).Requests()
	if err != nil {
		return err
	}
	if format == "json" {
		if all == nil {
			all = []issuer.Pending{}
		}
		return a.writeJSON(all)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(a.stdout, "no host has asked")
		return err
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATE\tSITE\tHOST\tHOST ID\tFROM\tSINCE\tWHY")
	for _, p := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.ID, p.State, p.Site, cmp.Or(p.Name, p.Hostname, "–"), p.Host, p.From, p.At.Format(time.RFC3339), p.Why)
	}
	return w.Flush()
}

func (a *app) decideCommand(use, short, did string, decide func(*issuer.Issuer, string) (issuer.Pending, error)) *cobra.Command {
	c := &cobra.Command{
		Use:   use,
		Short: short,
		Long:  short + ".\n\nID is the one of \"avstem enroll list\", the name of the host, or its host ID.",
		Args:  oneArgument("enrolment"),
	}
	output := addAuthOutput(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		dir, err := auth.Open(a.authPath())
		if err != nil {
			return err
		}
		p, err := decide(issuer.Open(dir), args[0])
		if err != nil {
			return err
		}
		if *output == "json" {
			return a.writeJSON(p)
		}
		_, err = fmt.Fprintf(a.stdout, "host %s (%s) %s\n", cmp.Or(p.Name, p.Hostname, "–"), p.Host, did)
		return err
	}
	return c
}

// gate is where hosts enroll, in a reconciler's process.
type gate struct {
	listener net.Listener
	server   *http.Server
	issuer   *issuer.Issuer
}

// openGate listens for hosts that enroll, with the NATS server's certificate.
func (a *app) openGate(listen string, log *slog.Logger) (*gate, error) {
	dir, err := auth.Open(a.authPath())
	if err != nil {
		return nil, err
	}
	certificate := &keyPair{ca: dir.CA()}
	certificate.cert, certificate.key = dir.Certificate()
	if _, err := certificate.get(nil); err != nil {
		return nil, fmt.Errorf("let hosts enroll: %w", err)
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("let hosts enroll (--enroll-listen): %w", err)
	}
	g := &gate{listener: listener, issuer: issuer.Open(dir)}
	g.issuer.Log = log
	g.issuer.Push = func(ctx context.Context) error { return dir.Push(ctx, "") }
	g.server = &http.Server{
		Handler: g.issuer.Handler(), TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificate.get},
		ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	log.Info("hosts may enroll", "listen", listener.Addr().String())
	return g, nil
}

// tell hands refusals on to a reconciler.
func (g *gate) tell(site string, refuse func(reconcile.Refusal)) {
	g.issuer.Refused = func(r issuer.Refusal) {
		if r.Site == site {
			refuse(reconcile.Refusal{Host: r.Host, Site: r.Site, Source: reconcile.RefusedEnrolment, Reason: r.Reason, At: r.At})
		}
	}
}

func (g *gate) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { g.server.Close() })
	defer stop()
	if err := g.server.ServeTLS(g.listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("let hosts enroll: %w", err)
	}
	return nil
}

// keyPair is a certificate that is read again when its file changed. The CA goes with
// it, since its hash is all that the host which enrolls knows it by, and the file of a
// certificate of one's own need not have it.
type keyPair struct {
	cert, key, ca string

	mu    sync.Mutex
	taken time.Time
	pair  *tls.Certificate
}

func (k *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := changedAt(k.cert); k.pair == nil || !now.Equal(k.taken) {
		pair, err := k.read()
		if err != nil && k.pair == nil {
			return nil, fmt.Errorf("read certificate: %w", err)
		}
		if err == nil { // else it is being replaced, or was broken: the one that we have will do
			k.pair, k.taken = &pair, now
		}
	}
	return k.pair, nil
}

func (k *keyPair) read() (tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(k.cert, k.key)
	if err != nil || k.ca == "" {
		return pair, err
	}
	data, err := os.ReadFile(k.ca)
	if err != nil {
		return pair, fmt.Errorf("read CA: %w", err)
	}
	// The first is the one that tokens name.
	block, _ := pem.Decode(data)
	if block == nil {
		return pair, fmt.Errorf("read CA %s: there is no certificate in it", k.ca)
	}
	if !slices.ContainsFunc(pair.Certificate, func(sent []byte) bool { return bytes.Equal(sent, block.Bytes) }) {
		pair.Certificate = append(pair.Certificate, block.Bytes)
	}
	return pair, nil
}
