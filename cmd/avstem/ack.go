package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/cmd/avstem/internal/server"
	"github.com/dataverket/avstem/cmd/internal/choiceflag"
	"github.com/dataverket/avstem/inventory/duration"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/policy"
	"github.com/dataverket/avstem/report"
)

const ackLong = `Say that a finding is known and looked after: who does, why, and until when. It
stays open and is shown as such; nothing else about it changes. When the time is
over, the acknowledgement ends by itself. It is kept with the finding, over
restarts, and while that comes and goes.

A finding is named by its ID: avstem drift -o wide shows it, and avstem ack VM
lists those of a VM or a host.

What is accepted for good, as it is, wants a suppression in the policy instead
(/usr/share/doc/avstem/policy.md).`

const ackExample = `  avstem ack f-3k9x0a1b2c3d4e5f --until 8h --reason "moved in tonight's window"
  avstem ack f-3k9x0a1b2c3d4e5f --until 2026-12-01 --reason "new disks are ordered" --by kari`

type ackFlags struct {
	until, reason, by, format string
}

func newAckCommand(a *app) *cobra.Command {
	var flags ackFlags
	c := &cobra.Command{
		Use:     "ack FINDING --until TIME --reason TEXT",
		Short:   "Say that a finding is known and looked after",
		Long:    ackLong,
		Example: ackExample,
		Args:    oneArgument("finding"),
		RunE: func(c *cobra.Command, args []string) error {
			doing := "acknowledge " + args[0]
			if !strings.HasPrefix(args[0], "f-") { // what is asked for is the ID, first of all
				if err := a.lookForFinding(c.Context(), args[0]); err != nil {
					return fmt.Errorf("%s: %w", doing, err)
				}
			}
			if err := flags.check(); err != nil {
				return err
			}
			until, err := a.parseUntil(flags.until)
			if err != nil {
				return err
			}
			return a.acknowledge(c.Context(), doing, &server.AckRequest{Finding: args[0], Reason: flags.reason, Until: until}, &flags)
		},
	}
	c.Flags().StringVar(&flags.until, "until", "", "how long (8h, 3d), or until which day or `TIME` (2026-12-31, RFC 3339)")
	c.Flags().StringVar(&flags.reason, "reason", "", "why, as `TEXT`")
	addAckFlags(c, &flags)
	return c
}

func newUnackCommand(a *app) *cobra.Command {
	var flags ackFlags
	c := &cobra.Command{
		Use:     "unack FINDING",
		Short:   "Take back that a finding is looked after",
		Example: `  avstem unack f-3k9x0a1b2c3d4e5f`,
		Args:    oneArgument("finding"),
		RunE: func(c *cobra.Command, args []string) error {
			doing := "take back the acknowledgement of " + args[0]
			return a.acknowledge(c.Context(), doing, &server.AckRequest{Finding: args[0], TakeBack: true}, &flags)
		},
	}
	addAckFlags(c, &flags)
	return c
}

func addAckFlags(c *cobra.Command, flags *ackFlags) {
	c.Flags().StringVar(&flags.by, "by", "", "`NAME` of who says so; the user's by default")
	c.Flags().VarP(choiceflag.New(&flags.format, "text", "json"), "output", "o", "`FORMAT`: text or json")
}

// check asks for everything that is missing at once.
func (f *ackFlags) check() error {
	var missing []string
	if f.until == "" {
		missing = append(missing, "--until TIME: when somebody is to look at it again, such as 8h, 3d or 2026-12-31")
	}
	if f.reason == "" {
		missing = append(missing, "--reason TEXT: why it is left as it is for now")
	}
	if len(missing) == 0 {
		return nil
	}
	return usageError{errors.New("avstem ack wants " + strings.Join(missing, ", and "))}
}

// parseUntil reads a length of time from now, a day or a time.
func (a *app) parseUntil(text string) (time.Time, error) {
	if d, err := duration.Parse(text); err == nil {
		return a.now().UTC().Add(d), a.checkUntil(a.now().Add(d))
	}
	at, err := policy.ParseMoment(text)
	if err != nil {
		return time.Time{}, usageError{fmt.Errorf("ack --until %q is neither a length of time such as 8h or 3d nor a date such as 2026-12-31", text)}
	}
	return at, a.checkUntil(at)
}

// maxAck is how long an acknowledgement may last: who gave it has to look again.
const maxAck = 366 * 24 * time.Hour

func (a *app) checkUntil(at time.Time) error {
	if at.Sub(a.now()) > maxAck {
		return usageError{fmt.Errorf("ack --until %s is more than a year ahead: what is accepted for good wants a suppression in the policy (/usr/share/doc/avstem/policy.md)", at.UTC().Format(time.DateOnly))}
	}
	return nil
}

// who is the person at the keyboard, who may be root by sudo.
func (a *app) who(named string) (string, error) {
	for _, name := range []string{named, a.env("SUDO_USER"), a.env("USER"), a.env("LOGNAME")} {
		if name != "" {
			return name, nil
		}
	}
	return "", usageError{errors.New("nothing says who you are: give --by NAME")}
}

func (a *app) acknowledge(ctx context.Context, doing string, request *server.AckRequest, flags *ackFlags) error {
	by, nobody := a.who(flags.by)
	if nobody != nil {
		// That there is no such finding is said first: a name alone wouldn't help.
		if err := a.lookForFinding(ctx, request.Finding); err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
		return nobody
	}
	request.By = by
	data, err := a.request(ctx, doing, "acknowledge", request)
	if answer, is := errors.AsType[*answerError](err); is {
		if answer.code == "404" {
			missing := a.lookForFinding(ctx, request.Finding)
			if _, told := errors.AsType[noFindingError](missing); !told {
				missing = noFindingError{} // it went meanwhile, or findings can't be read
			}
			return fmt.Errorf("%s: %w", doing, missing)
		}
		return fmt.Errorf("%s: %w", doing, withoutDoing(err, "acknowledge "+request.Finding+": "))
	} else if err != nil {
		return err
	}
	var f reconcile.Finding
	if err := json.Unmarshal(data, &f); err != nil {
		return fmt.Errorf("%s: decode the answer: %w", doing, err)
	}
	switch {
	case flags.format == "json":
		encoder := json.NewEncoder(a.stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(&f)
	case f.Acknowledged == nil:
		_, err = fmt.Fprintf(a.stdout, "%s is acknowledged no more: %s\n", f.ID, report.Printable(f.Message))
	default:
		_, err = fmt.Fprintf(a.stdout, "%s is acknowledged by %s until %s: %s\n", f.ID, report.Printable(f.Acknowledged.By),
			f.Acknowledged.Until.Format(time.RFC3339), report.Printable(f.Message))
	}
	return err
}

// noFindingError says that there is no finding of an ID, and lists those that may be
// meant, where that is the name of what they are about.
type noFindingError struct {
	of    string // the name
	meant []reconcile.Finding
}

func (e noFindingError) Error() string {
	if len(e.meant) == 0 {
		return "there is no such finding: avstem drift -o wide has the ID of each"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "a finding is named by its ID, and those of %s are:", report.Printable(e.of))
	for i := range e.meant {
		f := &e.meant[i]
		fmt.Fprintf(&b, "\n  %s  %-8s  %s: %s", f.ID, f.Severity, f.Kind, report.Printable(f.Message))
	}
	return b.String()
}

// lookForFinding says what there is where there is no finding of this ID.
func (a *app) lookForFinding(ctx context.Context, id string) error {
	conn, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	findings, err := readFindings(ctx, conn)
	if err != nil {
		return err
	}
	wrong := noFindingError{of: id}
	for _, f := range findings {
		s := &f.Subject
		named := []string{s.ID, s.Name, s.Tenant + "/" + s.Project + "/" + s.Name}
		switch {
		case f.ID == id:
			return nil
		case f.State != reconcile.Resolved && id != "" && slices.Contains(named, id):
			wrong.meant = append(wrong.meant, f)
		}
	}
	reconcile.SortFindings(wrong.meant)
	return wrong
}

// request asks the reconciler of each site that is meant for a change, until one
// carries it out.
func (a *app) request(ctx context.Context, what, endpoint string, request any) ([]byte, error) {
	question, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	conn, err := a.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	defer conn.Close()
	names, err := sites(ctx, conn, a.site())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	var failed error
	for _, site := range names {
		data, err := ask(ctx, conn, site, endpoint, question)
		if err == nil {
			return data, nil
		}
		failed = moreTelling(failed, err)
	}
	if _, answered := errors.AsType[*answerError](failed); answered { // in the reconciler's own words
		return nil, failed
	}
	return nil, fmt.Errorf("%s: %w", what, failed)
}
