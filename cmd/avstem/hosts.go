package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/cmd/internal/choiceflag"
	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/report"
)

const hostsLong = `Show which hosts are seen, and how well: those that somebody should look at
first.

A host is live when all of its sources are seen; partial or blind when one is
seen in part or not at all; silent when its agent stopped speaking; unheard
when Sentral has it active and it never spoke; refused when what its agent
says is not taken, or the agent publishes nothing. Nothing is concluded about
VMs of a silent host.

VMS counts VMs and containers, running or not; one that is seen on two hosts, on
the one that it is taken to be on.`

func newHostsCommand(a *app) *cobra.Command {
	var platform, format string
	c := &cobra.Command{
		Use:     "hosts",
		Short:   "Show which hosts are seen, and how well",
		Long:    hostsLong,
		Example: "  avstem hosts\n  avstem hosts --site osl1 -o json",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			health, err := a.hosts(c.Context(), platform)
			if err != nil {
				return fmt.Errorf("show hosts: %w", err)
			}
			if format == "json" {
				if health.Hosts == nil {
					health.Hosts = []evaluate.HostHealth{}
				}
				return a.writeJSON(health)
			}
			return a.writeHosts(health, platform)
		},
	}
	c.Flags().StringVar(&platform, "platform", "", "only `PLATFORM`, such as libvirt")
	c.Flags().VarP(choiceflag.New(&format, "table", "json"), "output", "o", "`FORMAT`: table or json")
	return c
}

// hosts asks the reconciler of each site, or of the one that is meant.
func (a *app) hosts(ctx context.Context, platform string) (evaluate.Health, error) {
	conn, err := a.connect(ctx)
	if err != nil {
		return evaluate.Health{}, err
	}
	defer conn.Close()
	names, err := sites(ctx, conn, a.site())
	if err != nil {
		return evaluate.Health{}, err
	}
	question, err := json.Marshal(evaluate.HostsAsked{Platform: platform, Every: true})
	if err != nil {
		return evaluate.Health{}, err
	}
	var parts []evaluate.Health
	for _, site := range names {
		data, err := ask(ctx, conn, site, "health", question)
		if err != nil {
			return evaluate.Health{}, err
		}
		var part evaluate.Health
		if err := json.Unmarshal(data, &part); err != nil {
			return evaluate.Health{}, fmt.Errorf("site %s: decode hosts: %w", site, err)
		}
		parts = append(parts, part)
	}
	whole := evaluate.MergeHealth(parts...)
	if len(whole.Hosts) == 0 && platform != "" {
		return whole, a.checkNames(ctx, conn, &selection{platform: platform}, nil)
	}
	return whole, nil
}

func (a *app) writeHosts(health evaluate.Health, platform string) error {
	switch {
	case len(health.Hosts) == 0 && platform != "":
		_, err := fmt.Fprintf(a.stdout, "no host is of platform %s\n", report.Printable(platform))
		return err
	case len(health.Hosts) == 0:
		_, err := fmt.Fprintln(a.stdout, "no host is known yet: let one in with avstem enroll token")
		return err
	}
	health.Whole = *fleetOf(health, platform) // what is shown is what is counted
	return report.Hosts(a.stdout, &health, report.Options{Width: a.width, Color: a.color, Now: a.now()})
}

// fleetOf counts the hosts of a platform, "" for all.
func fleetOf(health evaluate.Health, platform string) *evaluate.Fleet {
	if i := slices.IndexFunc(health.Platforms, func(f evaluate.Fleet) bool { return f.Platform == platform }); i >= 0 {
		return &health.Platforms[i]
	}
	return &health.Whole
}
