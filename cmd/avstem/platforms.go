package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/cmd/internal/choiceflag"
	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/report"
)

const platformsLong = `Show how well each runtime can be seen and reconciled, side by side.

Observability is the share of a runtime's guests on which each field was really
seen, and reconcilability the share on which both sides could be compared, each
as the mean over the fields; then come the fields one by one, and the reason for
every gap: we may not read it, the runtime doesn't have it, avstem doesn't read
it, or nobody has set it. Everything is counted from what hosts reported.

A VM that two runtimes on one host show counts with each of them for
observability, and with the one that can say more for reconcilability.`

func newPlatformsCommand(a *app) *cobra.Command {
	var (
		books              booksFlags
		by, format, wanted string
		all                bool
	)
	c := &cobra.Command{
		Use:   "platforms",
		Short: "Show how well each runtime can be seen and reconciled",
		Long:  platformsLong,
		Example: `  avstem platforms
  avstem platforms --by host --platform libvirt
  avstem platforms -o json

  # over files, without a server
  avstem platforms --intended ./inventory --observed hv-osl1-01.json`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := books.check(); err != nil {
				return err
			}
			numbers, _, err := a.numbers(c.Context(), &books, evaluate.By(by), wanted)
			if err != nil {
				return fmt.Errorf("show platforms: %w", err)
			}
			switch format {
			case "json":
				err = report.PlatformsJSON(a.stdout, numbers)
			case "csv":
				err = report.PlatformsCSV(a.stdout, numbers)
			case "markdown":
				err = report.PlatformsMarkdown(a.stdout, numbers)
			default:
				err = report.Platforms(a.stdout, numbers, report.PlatformsOptions{Width: a.width, Color: a.color, All: all})
			}
			if err != nil {
				return fmt.Errorf("show platforms: %w", err)
			}
			return nil
		},
	}
	flags := c.Flags()
	flags.StringVar(&wanted, "platform", "", "only `PLATFORM`, such as libvirt")
	flags.Var(choiceflag.New(&by, string(evaluate.ByPlatform), string(evaluate.ByVersion), string(evaluate.ByHost)), "by", "one column for each `GROUP`: platform, version or host")
	flags.BoolVar(&all, "all", false, "show fields that reconciling doesn't need, too")
	books.addFlags(c, a.now)
	flags.VarP(choiceflag.New(&format, "table", "json", "csv", "markdown"), "output", "o", "`FORMAT`: table, json, csv or markdown")
	return c
}
