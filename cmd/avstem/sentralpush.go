package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/cmd/internal/choiceflag"
	"github.com/dataverket/avstem/report"
	"github.com/dataverket/avstem/sentral/kvsource"
)

const sentralPushLong = `Load an inventory into a NATS KV bucket, one record a key: afterwards the bucket
holds these records and nothing else. Only what differs is written, and while it
is, readers keep what they had: broken off, it is to be run again.

An inventory with a record that can't be used is refused, since that would be
deleted: "avstem sentral lint" says what is wrong.`

const sentralPushExample = `  avstem sentral push --inventory ./inventory --kv sentral --server nats://nats.example.net
  avstem serve --inventory nats-kv:sentral --server nats://nats.example.net --site osl1`

func newSentralPushCommand(a *app) *cobra.Command {
	var inventory, format string
	o := kvsource.PushOptions{Now: time.Now}
	c := &cobra.Command{
		Use:     "push --inventory DIR --kv BUCKET",
		Short:   "Load an inventory into a NATS KV bucket",
		Long:    sentralPushLong,
		Example: sentralPushExample,
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			switch err := kvsource.CheckBucket(o.Bucket); {
			case inventory == "" && o.Bucket == "":
				return usageError{errors.New("avstem sentral push wants --inventory DIR and --kv BUCKET")}
			case inventory == "":
				return usageError{errors.New("avstem sentral push wants --inventory DIR")}
			case o.Bucket == "":
				return usageError{errors.New("avstem sentral push wants --kv BUCKET")}
			case err != nil:
				return usageError{err}
			}
			return a.sentralPush(c.Context(), inventory, o, format)
		},
	}
	c.Flags().StringVar(&inventory, "inventory", "", inventoryUsage)
	c.Flags().StringVar(&o.Bucket, "kv", "", "`BUCKET` to load it into; it is made if it isn't there")
	c.Flags().IntVar(&o.Replicas, "replicas", 1, "`NUMBER` of servers that a bucket that is made is kept on")
	c.Flags().VarP(choiceflag.New(&format, "text", "json"), "output", "o", "`FORMAT`: text or json")
	return c
}

func (a *app) sentralPush(ctx context.Context, inventory string, o kvsource.PushOptions, format string) error {
	inv, err := a.readInventory(ctx, inventory)
	if err != nil {
		return err
	}
	conn, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	hostname, _ := os.Hostname()
	o.By = fmt.Sprintf("avstem sentral push on %s (%s)", hostname, inv.Source)
	pushed, err := kvsource.Push(ctx, conn.JetStream(), inv, o)
	if err != nil {
		return err
	}
	if format == "json" {
		return a.writeJSON(pushed)
	}
	made := ""
	if pushed.Created {
		made = ", which is new"
	}
	_, err = fmt.Fprintf(a.stdout, "%s in nats-kv:%s%s: %d written, %d deleted\n", report.Printable(count(pushed.Records, "record")), pushed.Bucket, made, pushed.Put, pushed.Deleted)
	return err
}
