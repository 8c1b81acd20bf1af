package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

What is accepted for good, as it is, wants a suppression in the policy instead
(docs/policy.md).`

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
			if err := flags.check(); err != nil {
				return err
			}
			until, err := a.parseUntil(flags.until)
			if err != nil {
				return err
			}
			doing := "acknowledge " + args[0]
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
		return a.now().UTC().Add(d), nil
	}
	at, err := policy.ParseMoment(text)
	if err != nil {
		return time.Time{}, usageError{fmt.Errorf("ack --until %q is neither a length of time such as 8h or 3d nor a date such as 2026-12-31", text)}
	}
	return at, nil
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
	var err error
	if request.By, err = a.who(flags.by); err != nil {
		return err
	}
	data, err := a.request(ctx, doing, "acknowledge", request)
	if answer, is := errors.AsType[*answerError](err); is {
		if answer.code == "404" {
			return fmt.Errorf("%s: there is no such finding: avstem drift -o csv has the IDs of all", doing)
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
