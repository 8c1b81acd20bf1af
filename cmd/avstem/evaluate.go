package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/cmd/avstem/internal/names"
	"github.com/dataverket/avstem/cmd/internal/choiceflag"
	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/report"
)

const evaluateLong = `Hold platforms against MASKIN 014, the record by which Dataverket's first VM
platform is to be chosen: each of its requirements at level 0 to 3, by evidence.

Evidence is counted from the fleet (see avstem platforms), measured by a probe
(--probe, the files that avstem-probe writes), or attested by people
(--attested, for what no agent can measure: a level with its source and date).
Where there is none the answer is unknown. A requirement is at the lowest level
of its checks, and a platform is selectable where every dimension is acceptable:
there is no total that could hide one that is not.

A file of attestations:

  attestations:
    - platform: libvirt
      requirement: support      # the first column of the table
      level: 2                  # 0 not there, 1 in part, 2 acceptable, 3 whole
      says: two suppliers answer within four hours
      source: contracts/2026-17.pdf
      date: 2026-10-01          # counts for a year
      by: Kari Nordmann`

func newEvaluateCommand(a *app) *cobra.Command {
	var (
		books             booksFlags
		probes, attested  []string
		platforms         []string
		format            string
		noFleet, evidence bool
	)
	c := &cobra.Command{
		Use:   "evaluate",
		Short: "Hold platforms against MASKIN 014 by evidence",
		Long:  evaluateLong,
		Example: `  avstem evaluate
  avstem evaluate --platform libvirt --evidence
  avstem evaluate --probe libvirt.json --probe lxd.json --attested attested.yaml -o html > maskin014.html

  # over files, without a server
  avstem evaluate --intended ./inventory --observed hv-osl1-01.json --platform libvirt`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := books.check(); err != nil {
				return err
			}
			if noFleet && books.files.intended != "" {
				return usageError{errors.New("--no-fleet and --intended exclude each other")}
			}
			card, sources, err := a.scorecard(c.Context(), &books, noFleet, probes, attested, platforms)
			if err != nil {
				return fmt.Errorf("evaluate platforms: %w", err)
			}
			switch format {
			case "json":
				err = report.ScorecardJSON(a.stdout, card)
			case "markdown":
				err = report.ScorecardMarkdown(a.stdout, card)
			case "html":
				err = report.ScorecardHTML(a.stdout, card, sources)
			default:
				err = report.Scorecard(a.stdout, card, report.ScorecardOptions{Width: a.width, Color: a.color, Evidence: evidence})
			}
			if err != nil {
				return fmt.Errorf("write the scorecard: %w", err)
			}
			return nil
		},
	}
	flags := c.Flags()
	flags.StringSliceVar(&platforms, "platform", nil, "only `PLATFORM`, such as libvirt; may be given several times")
	flags.StringArrayVar(&probes, "probe", nil, "`FILE` that avstem-probe wrote; may be given several times, the newest of a platform counts")
	flags.StringArrayVar(&attested, "attested", nil, "`FILE` of attestations; may be given several times")
	flags.BoolVar(&evidence, "evidence", false, "show what each score rests on, too (the other formats always do)")
	flags.BoolVar(&noFleet, "no-fleet", false, "ask no server: only what --probe and --attested say")
	books.addFlags(c, a.now)
	flags.VarP(choiceflag.New(&format, "table", "markdown", "html", "json"), "output", "o", "`FORMAT`: table, markdown, html or json")
	return c
}

// scorecard gathers the evidence and judges; it gives both.
func (a *app) scorecard(ctx context.Context, books *booksFlags, noFleet bool, probes, attested, platforms []string) (*evaluate.Scorecard, *evaluate.Sources, error) {
	criteria, err := evaluate.MASKIN014()
	if err != nil {
		return nil, nil, err
	}
	sources := &evaluate.Sources{}
	for _, name := range probes {
		run, err := readProbe(name)
		if err != nil {
			return nil, nil, fmt.Errorf("read probe result %s: %w", name, err)
		}
		sources.Probes = append(sources.Probes, evaluate.ProbeFile{Name: filepath.Base(name), Run: run})
	}
	for _, name := range attested {
		read, err := readAttestations(name, criteria)
		if err != nil {
			return nil, nil, fmt.Errorf("read attestations %s: %w", name, errors.New(strings.ReplaceAll(err.Error(), "\n", "\n  ")))
		}
		sources.Attested = append(sources.Attested, read...)
	}
	if !noFleet {
		if sources.Numbers, sources.NumbersAt, err = a.numbers(ctx, books, evaluate.ByPlatform, ""); err != nil {
			return nil, nil, err
		}
	}
	var known []string
	for _, seen := range evaluate.Score(criteria, sources, nil, a.now()).Platforms {
		known = append(known, seen.Platform)
	}
	for _, platform := range platforms {
		// Where no evidence names any, that all is unknown is an answer.
		if err := names.Check("platform", platform, known); err != nil && len(known) > 0 {
			return nil, nil, usageError{err}
		}
	}
	return evaluate.Score(criteria, sources, platforms, a.now()), sources, nil
}

func readProbe(name string) (*evaluate.ProbeRun, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return evaluate.ReadProbe(f)
}

func readAttestations(name string, criteria *evaluate.Criteria) ([]evaluate.Attestation, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return evaluate.ReadAttestations(f, filepath.Base(name), criteria)
}
