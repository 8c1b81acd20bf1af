package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/cmd/avstem/internal/server"
	"github.com/dataverket/avstem/cmd/internal/choiceflag"
	"github.com/dataverket/avstem/reconcile/engine"
	"github.com/dataverket/avstem/report"
)

func newInventoryCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "inventory",
		Short: "Decide about the inventory that a reconciler uses",
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newInventoryConfirmCommand(a))
	return c
}

const inventoryConfirmLong = `Have the reconciler use the inventory that it holds back, because so much of it
is gone at once (the finding inventory.held says what). Until then it uses the
one before. The decision is kept over a restart, and by whoever takes over.`

func newInventoryConfirmCommand(a *app) *cobra.Command {
	var by, version, format string
	c := &cobra.Command{
		Use:   "confirm",
		Short: "Use an inventory that is held back: what is gone is meant to be",
		Long:  inventoryConfirmLong,
		Example: `  avstem drift --kind inventory.held
  avstem inventory confirm --site osl1`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return a.inventoryConfirm(c.Context(), by, version, format) },
	}
	c.Flags().StringVar(&by, "by", "", "`NAME` of who says so; the user's by default")
	c.Flags().StringVar(&version, "version", "", "`VERSION` that is meant, if another one may have been read since")
	c.Flags().VarP(choiceflag.New(&format, "text", "json"), "output", "o", "`FORMAT`: text or json")
	return c
}

func (a *app) inventoryConfirm(ctx context.Context, by, version, format string) error {
	by, err := a.who(by)
	if err != nil {
		return err
	}
	data, err := a.request(ctx, "confirm the inventory", "confirm", server.ConfirmRequest{By: by, Version: version})
	if err != nil {
		return err
	}
	var was engine.Held
	if err := json.Unmarshal(data, &was); err != nil {
		return fmt.Errorf("confirm the inventory: decode the answer: %w", err)
	}
	if format == "json" {
		encoder := json.NewEncoder(a.stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(&was)
	}
	if _, err = fmt.Fprintf(a.stdout, "the inventory of %s, read at %s, is used now:\n", report.Printable(was.Source), was.ReadAt.UTC().Format(time.RFC3339)); err != nil {
		return err
	}
	for _, loss := range was.Losses {
		if _, err = fmt.Fprintf(a.stdout, "  %s\n", report.Printable(loss.String())); err != nil {
			return err
		}
	}
	return nil
}
