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

	"github.com/dataverket/avstem/cmd/avstem/internal/names"
	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/reconcile"
)

// booksFlags say where numbers come from: from the reconcilers that run, or,
// where both sides are named, from files.
type booksFlags struct {
	files diffFlags
}

func (f *booksFlags) addFlags(c *cobra.Command, now func() time.Time) {
	c.Flags().StringVar(&f.files.intended, "intended", "", "inventory `DIR`, or another place as in avstem diff, to count over files and without a server")
	c.Flags().StringArrayVar(&f.files.observed, "observed", nil, "`FILE` of observations for --intended; may be given several times, - is standard input")
	c.Flags().Var(&moment{at: &f.files.at, now: now}, "at", "judge files as of a `TIME`: 2026-11-24T10:00:00Z, or how long ago, such as 90m")
}

func (f *booksFlags) check() error {
	switch {
	case f.files.intended != "" && len(f.files.observed) == 0:
		return usageError{errors.New("--intended wants --observed FILE beside it")}
	case f.files.intended == "" && len(f.files.observed) > 0:
		return usageError{errors.New("--observed wants --intended DIR beside it")}
	case !f.files.at.IsZero() && f.files.intended == "":
		return usageError{errors.New("--at is for --intended and --observed")}
	}
	return nil
}

// numbers counts, or lets every reconciler that is meant count, and says when.
func (a *app) numbers(ctx context.Context, f *booksFlags, by evaluate.By, platform string) ([]evaluate.Numbers, time.Time, error) {
	var (
		all []evaluate.Numbers
		at  time.Time
		err error
	)
	if f.files.intended != "" {
		all, at, err = a.countFiles(ctx, f, by, platform)
	} else {
		all, at, err = a.askNumbers(ctx, by, platform)
	}
	if err != nil || platform == "" {
		return all, at, err
	}
	return slices.DeleteFunc(all, func(n evaluate.Numbers) bool { return n.Platform != platform }), at, nil
}

func (a *app) countFiles(ctx context.Context, f *booksFlags, by evaluate.By, platform string) ([]evaluate.Numbers, time.Time, error) {
	in, err := a.readBooks(ctx, &f.files)
	if err != nil {
		return nil, time.Time{}, err
	}
	result := reconcile.Reconcile(*in)
	known := names.Of(in.Intended, result, nil)
	if err := (&selection{platform: platform}).unknown(&known); err != nil {
		return nil, time.Time{}, err
	}
	return evaluate.Measure(in.Observed, result, in.Now, by), in.Now, nil
}

// askNumbers adds up what the reconcilers count. One that doesn't answer makes
// the whole unsaid: a site less would look like a smaller fleet.
func (a *app) askNumbers(ctx context.Context, by evaluate.By, platform string) ([]evaluate.Numbers, time.Time, error) {
	conn, err := a.connect(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer conn.Close()
	asked, err := sites(ctx, conn, a.site())
	if err != nil {
		return nil, time.Time{}, err
	}
	var parts [][]evaluate.Numbers
	var oldest time.Time
	for _, site := range asked {
		data, err := ask(ctx, conn, site, "numbers", []byte(strings.TrimSpace(string(by)+" "+platform)))
		if err != nil {
			return nil, time.Time{}, err
		}
		var answer evaluate.Answer
		if err := json.Unmarshal(data, &answer); err != nil {
			return nil, time.Time{}, fmt.Errorf("site %s: decode the numbers: %w", site, err)
		}
		parts = append(parts, answer.Numbers)
		if oldest.IsZero() || answer.At.Before(oldest) {
			oldest = answer.At
		}
	}
	all := evaluate.Merge(parts...)
	if len(all) > 0 {
		return all, oldest, nil
	}
	return all, oldest, a.checkNames(ctx, conn, &selection{platform: platform}, nil)
}
