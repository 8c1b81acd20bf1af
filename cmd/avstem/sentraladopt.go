package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/internal/choiceflag"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/inventory/near"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/adopt"
	"github.com/dataverket/avstem/sentral"
)

const sentralAdoptLong = `Write down as Sentral's records what was observed, for a lab that begins with
nothing, and for findings that are to be resolved on Sentral's side.

What Sentral has no record of is printed as records in YAML; with --write they
go into DIR/adopted.yaml. What it has a record of is printed as a patch of the
file that the record is in, comments and all; with --write it is applied. Its
paths are those from the top of the git work tree that DIR is in, or from DIR
where it is in none; how to apply it is said on standard error.

What lint would reject is not written. Nor is a VM's NIC put down on a network
of another tenant or project, unless --foreign-networks says that it is meant.

Observations are those that the agents published last, or with --observed those
in files, as "avstem diff" takes them. Whether what runs is what should run is
for you to say: read what it writes.`

const sentralAdoptExample = `  # a lab that begins with nothing
  avstem sentral adopt --all --tenant lab --project lab --environment test > inventory/lab.yaml

  # one host, one VM
  avstem sentral adopt hv-osl1-01 --inventory ./inventory --write
  avstem sentral adopt web-01 --inventory ./inventory | git -C "$(git rev-parse --show-toplevel)" apply

  # a finding that is Sentral's to resolve
  avstem sentral adopt f-3k9x0q2m1v8s5t7a --inventory ./inventory --write`

// observeWithin is how long the observations may take to be read from NATS.
const observeWithin = time.Minute

type sentralAdoptFlags struct {
	all       bool
	inventory string
	observed  []string
	write     bool
	format    string
	options   adopt.Options
}

func newSentralAdoptCommand(a *app) *cobra.Command {
	var flags sentralAdoptFlags
	c := &cobra.Command{
		Use:     "adopt VM|HOST|FINDING | --all",
		Short:   "Write down as records what was observed",
		Long:    sentralAdoptLong,
		Example: sentralAdoptExample,
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if err := flags.check(args); err != nil {
				return err
			}
			target := ""
			if !flags.all {
				target = args[0]
			}
			return a.sentralAdopt(c.Context(), &flags, target)
		},
	}
	f := c.Flags()
	f.BoolVar(&flags.all, "all", false, "write down everything that Sentral has no record of")
	f.StringVar(&flags.inventory, "inventory", "", "`DIR` of the inventory's files, if there is one")
	f.StringArrayVar(&flags.observed, "observed", nil, "`FILE` of observations instead of those on NATS; may be given several times")
	f.BoolVar(&flags.write, "write", false, "change the inventory's files")
	f.StringVar(&flags.options.Tenant, "tenant", "", "`TENANT` of VMs whose runtime doesn't say")
	f.StringVar(&flags.options.Project, "project", "", "`PROJECT` of VMs whose runtime doesn't say")
	f.StringVar(&flags.options.Environment, "environment", "", "`ENVIRONMENT` of VMs whose runtime doesn't say")
	f.BoolVar(&flags.options.Foreign, "foreign-networks", false, "let records name networks of other tenants and projects: a breach of isolation is what is intended then")
	f.VarP(choiceflag.New(&flags.format, "yaml", "json"), "output", "o", "`FORMAT`: yaml (and patches), or json")
	return c
}

func (f *sentralAdoptFlags) check(args []string) error {
	switch {
	case f.all && len(args) > 0:
		return usageError{fmt.Errorf("avstem sentral adopt takes --all or %q, and not both", args[0])}
	case !f.all && len(args) != 1:
		return usageError{fmt.Errorf("avstem sentral adopt wants one VM, host or finding, or --all, and got %s", count(len(args), "argument"))}
	case f.write && f.inventory == "":
		return usageError{errors.New("--write wants --inventory DIR, whose files it changes")}
	}
	return nil
}

// adoption is what a run of adopt has before it.
type adoption struct {
	*sentralAdoptFlags
	app      *app
	files    *inventoryFiles // nil without --inventory
	intended *sentral.Inventory
	observed []*inventory.Observation
	result   *reconcile.Result
	now      time.Time
}

func (a *app) sentralAdopt(ctx context.Context, flags *sentralAdoptFlags, target string) error {
	t := &adoption{sentralAdoptFlags: flags, app: a, intended: &sentral.Inventory{}}
	var err error
	if flags.inventory != "" {
		if t.files, err = readInventoryFiles(ctx, flags.inventory); err != nil {
			return err
		}
		t.intended = t.files.inventory()
	}
	if t.intended.Incomplete || len(t.intended.LeftOut) > 0 {
		return fmt.Errorf("adopt into %s: %d of its records can't be used, and may be about what was observed: avstem sentral lint %s says what to mend", flags.inventory, max(1, len(t.intended.LeftOut)), flags.inventory)
	}
	if len(flags.observed) > 0 {
		t.observed, err = a.readObserved(ctx, flags.observed)
	} else {
		t.observed, err = a.currentObservations(ctx)
	}
	if err != nil {
		return err
	}
	t.observed = newest(t.observed)
	giveSite(t.observed, a.siteOf(t.intended))
	t.result, t.now = t.reconcile(t.intended)
	if flags.all {
		return t.adoptNew(nil)
	}
	return t.adoptOne(target)
}

func (t *adoption) reconcile(intended *sentral.Inventory) (*reconcile.Result, time.Time) {
	in := newInput(intended, t.observed, time.Time{})
	return reconcile.Reconcile(*in), in.Now
}

// adoptOne writes down one VM or host, or resolves one finding.
func (t *adoption) adoptOne(target string) error {
	e, err := reconcile.Explain(t.result, t.result.Findings, t.now, target)
	if errors.Is(err, reconcile.ErrNotKnown) && t.files == nil {
		return fmt.Errorf("adopt %q: no host shows it: what is about a record is found with --inventory, which names the directory that the record is in", target)
	}
	if err != nil {
		return fmt.Errorf("adopt %q: %s", target, strings.TrimPrefix(err.Error(), fmt.Sprintf("explain %q: ", target)))
	}
	findings := slices.DeleteFunc(slices.Clone(e.Findings), func(f reconcile.Finding) bool { return f.State == reconcile.Resolved })
	isNew := e.VM != nil && e.VM.Intended == nil || e.VM == nil && e.Host != nil && e.Host.Intended == nil
	if isNew {
		return t.adoptNew(func(vm *reconcile.VMMatch, host *reconcile.HostMatch) bool {
			return vm != nil && vm == e.VM || host != nil && (host == e.Host && e.VM == nil || e.VM != nil && e.VM.Observed != nil && host.Observed.ID == e.VM.Observed.HostID)
		})
	}
	if t.files == nil {
		return fmt.Errorf("adopt %s: it has a record: name the directory that the record is in with --inventory", target)
	}
	return t.mend(target, findings, e)
}

// adoptNew writes records of what has none.
func (t *adoption) adoptNew(only func(*reconcile.VMMatch, *reconcile.HostMatch) bool) error {
	if err := t.checkOwner(); err != nil {
		return err
	}
	t.options.Only = only
	adopted, err := adopt.New(t.result, t.intended, t.options)
	if err != nil {
		return fmt.Errorf("adopt: %w", err)
	}
	for _, note := range adopted.Notes {
		t.app.notef("%s", note)
	}
	records := &adopted.Records
	if len(records.Hosts) == 0 && len(records.VMs) == 0 {
		t.app.notef("there is nothing that Sentral has no record of")
		if t.format == "json" && !t.write {
			return t.app.writeJSON(records)
		}
		return nil
	}
	text, err := adopt.YAML(records)
	if err != nil {
		return err
	}
	if t.files != nil {
		if err := t.files.add(text); err != nil {
			return err
		}
	}
	if t.write {
		return t.save()
	}
	if t.files != nil {
		t.warn()
	}
	if t.format == "json" {
		return t.app.writeJSON(records)
	}
	_, err = t.app.stdout.Write(text)
	return err
}

// checkOwner refuses a tenant or project that Sentral has not where it has one of
// nearly that name: a slip would make a project of its own.
func (t *adoption) checkOwner() error {
	tenants, projects := map[string]bool{}, map[string]bool{}
	for i := range t.intended.Projects {
		p := &t.intended.Projects[i]
		tenants[p.Tenant] = true
		if t.options.Tenant == "" || t.options.Tenant == p.Tenant {
			projects[p.ID] = true
		}
	}
	for _, named := range []struct {
		flag, value string
		known       map[string]bool
	}{{"tenant", t.options.Tenant, tenants}, {"project", t.options.Project, projects}} {
		if named.value == "" || named.known[named.value] {
			continue
		}
		for _, other := range slices.Sorted(maps.Keys(named.known)) {
			if limit := max(1, min(2, len(named.value)/4)); near.Slips(named.value, other, limit) <= limit {
				return fmt.Errorf("adopt with --%s %s: the inventory has no such %[1]s: did you mean %[3]s? If it is another one, add a project record of it first", named.flag, named.value, other)
			}
		}
	}
	return nil
}

// currentObservations reads what every host said last from NATS.
func (a *app) currentObservations(ctx context.Context) ([]*inventory.Observation, error) {
	conn, err := a.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	late, cancelLate := context.WithTimeoutCause(ctx, observeWithin, fmt.Errorf("not everything came within %s", observeWithin))
	defer cancelLate()
	done, cancel := context.WithCancelCause(late)
	defer cancel(nil)
	errReady := errors.New("everything is there")
	var all []*inventory.Observation
	err = conn.Observations(done, bus.ObservationHandler{
		Observation: func(o *inventory.Observation) {
			if site := a.site(); site == "" || o.Site == site {
				all = append(all, o)
			}
		},
		Refused: func(subject string, err error) { a.notef("the document of %s can't be used: %v", subject, err) },
		Ready:   func() { cancel(errReady) },
		Lost: func(err error) {
			if errors.Is(err, nats.ErrNoResponders) { // it has no JetStream, and won't by itself
				cancel(err)
				return
			}
			a.notef("reading broke off: %v", err)
		},
	})
	cause := context.Cause(done)
	switch {
	case errors.Is(cause, errReady) && len(all) == 0:
		return nil, errors.New("read observations: no host has published any: is avstem-agent running?")
	case errors.Is(cause, errReady):
		return all, nil
	case cause != nil:
		err = cause
	}
	return nil, fmt.Errorf("read observations: %w", err)
}
