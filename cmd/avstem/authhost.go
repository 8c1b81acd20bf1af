package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nkeys"
	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/bus/auth"
	"github.com/dataverket/avstem/cmd/avstem/internal/names"
	"github.com/dataverket/avstem/cmd/internal/durationflag"
	"github.com/dataverket/avstem/enroll"
	"github.com/dataverket/avstem/statefile"
	"github.com/dataverket/avstem/statefile/asuser"
)

const authHostLong = `Makes credentials for one host, in a directory that is to be copied into the
host's state directory: with them its agent needs no flag to find the server.
NAME is a name, for which a host ID is made, or the ID of a host that has one
("avstem-agent identity show").

The host's key is made here and has to be carried. Where it is to be made on the
host, and never leave it, use "avstem enroll token".`

type authHostFlags struct {
	id, out string
	ttl     time.Duration
	replace bool
}

func newAuthHostCommand(a *app) *cobra.Command {
	var flags authHostFlags
	c := &cobra.Command{
		Use:   "host NAME",
		Short: "Make one host's credentials, ready to copy",
		Long:  authHostLong,
		Example: `  avstem auth host hv-osl1-01
  scp -p /var/lib/avstem/auth/hosts/hv-osl1-01/* root@hv-osl1-01:/var/lib/avstem/`,
		Args: oneArgument("host"),
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&flags.id, "id", "", "host `ID`, if the host has one and NAME is its name")
	c.Flags().StringVar(&flags.out, "out", "", "`DIR` to write (default hosts/NAME in --dir)")
	durationflag.Var(c.Flags(), &flags.ttl, "ttl", 0, "`DURATION` that the credentials hold; nothing renews them (default until revoked)")
	c.Flags().BoolVar(&flags.replace, "replace", false, "revoke the credentials that the host has, and make others")
	output := addAuthOutput(c)
	c.RunE = func(c *cobra.Command, args []string) error { return a.authHost(c.Context(), args[0], flags, *output) }
	return c
}

func (a *app) authHost(ctx context.Context, name string, flags authHostFlags, format string) error {
	dir, err := auth.Open(a.authPath())
	if err != nil {
		return err
	}
	issue, err := a.hostToIssue(dir, name, flags)
	if err != nil {
		return err
	}
	key, err := nkeys.CreateUser()
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	if issue.Key, err = key.PublicKey(); err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	token, h, err := dir.Issue(issue)
	if err != nil {
		return err
	}
	out := cmp.Or(flags.out, filepath.Join(dir.Path(), "hosts", cmp.Or(h.Name, h.ID.String())))
	if err := writeBundle(dir, out, token, key, h); err != nil {
		return fmt.Errorf("write credentials of host %s: %w", h.ID, err)
	}
	if format == "json" {
		return a.writeJSON(struct {
			auth.Host
			Dir string `json:"dir"`
		}{h, out})
	}
	fmt.Fprintf(a.stdout, "host %s of site %s has its credentials in %s\n", h.ID, h.Site, out)
	if !h.Expires.IsZero() {
		fmt.Fprintf(a.stdout, "they end at %s\n", h.Expires.Format(time.RFC3339))
	}
	fmt.Fprintf(a.stdout, "copy what is in it into the state directory of the host's agent (/var/lib/avstem), mode 0600, and start that again\n")
	if flags.replace {
		return a.push(ctx, dir)
	}
	return nil
}

// hostToIssue says who NAME is.
func (a *app) hostToIssue(dir *auth.Dir, name string, flags authHostFlags) (auth.Issue, error) {
	issue := auth.Issue{Site: a.site(), TTL: flags.ttl, By: "auth host", Replace: flags.replace}
	id, err := uuid.Parse(name)
	switch {
	case err == nil:
		issue.ID = id
	case bus.CheckName("host", name) != nil:
		return issue, usageError{bus.CheckName("host", name)}
	default:
		issue.Name = name
	}
	if flags.id != "" {
		if issue.ID, err = uuid.Parse(flags.id); err != nil {
			return issue, usageError{fmt.Errorf("--id %q is no host ID: %w", flags.id, err)}
		}
	}
	if known, err := dir.FindHost(name); err == nil {
		issue.ID = cmp.Or(issue.ID, known.ID)
		issue.Site = cmp.Or(issue.Site, known.Site)
	}
	if issue.ID == uuid.Nil {
		issue.ID = uuid.New()
	}
	if sites := dir.Sites(); issue.Site == "" && len(sites) == 1 {
		issue.Site = sites[0]
	}
	if issue.Site == "" {
		return issue, usageError{fmt.Errorf("name the site of host %s with --site: there are %v", name, dir.Sites())}
	}
	return issue, nil
}

// writeBundle writes what a host's state directory needs.
func writeBundle(dir *auth.Dir, out, token string, key nkeys.KeyPair, h auth.Host) error {
	if err := statefile.MkdirAll(out); err != nil {
		return err
	}
	seed, err := key.Seed()
	if err != nil {
		return err
	}
	if err := enroll.WriteCreds(out, token, seed); err != nil {
		return err
	}
	if ca := dir.CA(); ca != "" {
		var pem []byte
		// The directory says which file that is: root must not read another for it.
		err := asuser.Below(dir.Path(), func() (err error) { pem, err = os.ReadFile(ca); return err })
		if err != nil {
			return err
		}
		if err := enroll.WriteCA(out, pem); err != nil {
			return err
		}
	}
	if err := statefile.Write(filepath.Join(out, "host-id"), []byte(h.ID.String()+"\n")); err != nil {
		return err
	}
	return enroll.Member{Host: h.ID, Site: h.Site, Server: dir.Server(), Issued: h.Issued, Expires: h.Expires}.Write(out)
}

// push hands a changed account to the running server, and says what is to do where
// that can't be: the revocation stands, and holds from the server's next start.
func (a *app) push(ctx context.Context, dir *auth.Dir) error {
	if err := dir.Push(ctx, a.where.Server); err != nil {
		return fmt.Errorf("%w: who is connected stays so until the server has it: "+
			"run `avstem auth revoke` again when it can be reached (--server), or restart it with %s", err, dir.Config())
	}
	return nil
}

func newAuthRevokeCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "revoke HOST",
		Short: "End a host's credentials, on live connections too",
		Long: `Ends the credentials of a host, given by name or ID, and hands that to the
running server: who is connected with them is disconnected. Said again it is
handed over again. The host can only come back with a new key.`,
		Args: oneArgument("host"),
	}
	output := addAuthOutput(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		dir, err := auth.Open(a.authPath())
		if err != nil {
			return err
		}
		h, err := dir.FindHost(args[0])
		if err != nil {
			return err
		}
		if h, err = dir.Revoke(h.ID); err != nil {
			return err
		}
		if err := a.push(c.Context(), dir); err != nil {
			return err
		}
		if *output == "json" {
			return a.writeJSON(h)
		}
		fmt.Fprintf(a.stdout, "host %s is revoked: the server has disconnected it\n", cmp.Or(h.Name, h.ID.String()))
		return nil
	}
	return c
}

// listed is a host as auth list prints it.
type listed struct {
	auth.Host
	State string `json:"state"`
}

func newAuthListCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List what was issued to hosts",
		Args:  noArguments,
	}
	output := addAuthOutput(c)
	c.RunE = func(*cobra.Command, []string) error {
		dir, err := auth.Open(a.authPath())
		if err != nil {
			return err
		}
		hosts, err := dir.Hosts()
		if err != nil {
			return err
		}
		if site := a.site(); site != "" {
			if err := names.Check("site", site, dir.Sites()); err != nil {
				return usageError{fmt.Errorf("list hosts: %w", err)}
			}
			hosts = slices.DeleteFunc(hosts, func(h auth.Host) bool { return h.Site != site })
		}
		now := a.now()
		if *output == "json" {
			all := make([]listed, 0, len(hosts))
			for _, h := range hosts {
				all = append(all, listed{h, h.State(now)})
			}
			return a.writeJSON(all)
		}
		if len(hosts) == 0 {
			_, err := fmt.Fprintln(a.stdout, "no host has credentials yet")
			return err
		}
		w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "SITE\tHOST\tID\tSTATE\tEXPIRES\tBY")
		for _, h := range hosts {
			expires := "never"
			if !h.Expires.IsZero() {
				expires = h.Expires.Format(time.RFC3339)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", h.Site, cmp.Or(h.Name, "–"), h.ID, h.State(now), expires, h.By)
		}
		return w.Flush()
	}
	return c
}

func newAuthTLSCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "tls",
		Short: "Show or renew the server's certificate",
		Args:  noArguments,
	}
	output := addAuthOutput(c)
	type ends struct {
		Certificate time.Time `json:"certificate"`
		CA          time.Time `json:"ca,omitzero"`
		File        string    `json:"file"`
	}
	show := func(format string) error {
		dir, err := auth.Open(a.authPath())
		if err != nil {
			return err
		}
		leaf, ca, err := dir.CertificateEnds()
		if err != nil {
			return err
		}
		cert, _ := dir.Certificate()
		if format == "json" {
			return a.writeJSON(ends{leaf.UTC(), ca.UTC(), cert})
		}
		fmt.Fprintf(a.stdout, "%s ends at %s\n", cert, leaf.UTC().Format(time.RFC3339))
		if !ca.IsZero() {
			fmt.Fprintf(a.stdout, "%s ends at %s\n", dir.CA(), ca.UTC().Format(time.RFC3339))
		}
		return nil
	}
	c.RunE = func(*cobra.Command, []string) error { return show(*output) }
	renew := &cobra.Command{
		Use:   "renew",
		Short: "Make a new certificate of the private CA",
		Long: `Makes a new key and certificate of the private CA, for the same names. Clients
need nothing. "avstem serve --with-nats" takes it up by itself; nats-server,
when it is told to reload (SIGHUP).`,
		Args: noArguments,
	}
	renewOutput := addAuthOutput(renew)
	renew.RunE = func(*cobra.Command, []string) error {
		dir, err := auth.Open(a.authPath())
		if err != nil {
			return err
		}
		if _, err := dir.RenewCertificate(); err != nil {
			return err
		}
		return show(*renewOutput)
	}
	c.AddCommand(renew)
	return c
}
