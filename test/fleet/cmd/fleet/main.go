// Command fleet measures the reconciler with a simulated fleet beside the same
// comparison as a join in a database, and prints one figure a line.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/bus/embedded"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/test/fleet"
)

func main() {
	var plan fleet.Plan
	flag.IntVar(&plan.Hosts, "hosts", 10_000, "how many `HOSTS`")
	flag.IntVar(&plan.VMs, "vms", 50, "how many `VMS` on each")
	flag.IntVar(&plan.Sites, "sites", 3, "how many `SITES`")
	flag.IntVar(&plan.DriftEvery, "drift-every", 100, "one VM of `N` drifts")
	publish := flag.String("publish", "", "be the NATS server and the hosts, in this `DIR`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run := func() error { return bench(ctx, plan) }
	if *publish != "" {
		run = func() error { return serve(ctx, plan, *publish) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

// serve is a process of its own, so that what the fleet and the server take isn't
// counted as the reconciler's. It says a line when the documents are there, and
// publishes the next state for each line that it is told.
func serve(ctx context.Context, plan fleet.Plan, dir string) error {
	nats, err := embedded.Start(ctx, embedded.Options{StateDir: dir})
	if err != nil {
		return err
	}
	defer nats.Close()
	conn, err := nats.Connect("fleet")
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.EnsureStreams(ctx); err != nil {
		return err
	}
	hosts := fleet.NewHosts(fleet.New(plan), conn)
	lines := bufio.NewScanner(os.Stdin)
	for s := fleet.State(0); ; s++ {
		begin := time.Now()
		if err := hosts.Publish(ctx, s); err != nil {
			return err
		}
		fmt.Println("published in", time.Since(begin).Round(time.Millisecond))
		if !lines.Scan() {
			return lines.Err()
		}
	}
}

// figure is one line of the answer.
func figure(name string, value any, unit, ratio string) {
	if ratio != "" {
		ratio = " (" + ratio + ")"
	}
	fmt.Printf("%s: %v %s%s\n", name, value, unit, ratio)
}

// The targets of the design, for the full size: 10,000 hosts of 50 VMs.
const (
	fullSize     = 500_000.0 // VMs
	coldTarget   = 10.0      // seconds
	passTarget   = 2.0
	changeTarget = 1.0 // milliseconds
	memoryTarget = 2048.0
)

func bench(ctx context.Context, plan fleet.Plan) error {
	dir, err := os.MkdirTemp("", "avstem-fleet-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	f := fleet.New(plan)
	vms := float64(plan.Hosts * plan.VMs)
	share := vms / fullSize
	fmt.Printf("a simulated fleet: %d hosts with %d VMs each in %d sites, one VM in %d drifts\n", plan.Hosts, plan.VMs, plan.Sites, plan.DriftEvery)
	hosts, err := startHosts(ctx, plan, filepath.Join(dir, "nats"))
	if err != nil {
		return err
	}
	defer hosts.end()
	conn, err := bus.Connect(ctx, bus.Options{StateDir: filepath.Join(dir, "nats"), Name: "bench", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer conn.Close()

	before := fleet.Heap()
	r := fleet.NewReconciler(f)
	inventory := fleet.Heap()
	begin := time.Now()
	if err := r.Read(ctx, conn); err != nil {
		return err
	}
	read := time.Since(begin)
	findings, err := r.Judge()
	if err != nil {
		return err
	}
	cold := time.Since(begin)
	if diff := cmp.Diff(f.Expected(), r.Found()); diff != "" {
		return fmt.Errorf("findings are not what was planted (-planted +found):\n%s", diff)
	}
	figure("findings", findings, "findings", "all that were planted, and no other")
	figure("cold start from the streams", seconds(cold), "s", of(cold.Seconds(), coldTarget*share, "the limit for this size"))
	figure("  of it reading the documents", seconds(read), "s", "")
	after := fleet.Heap()
	figure("memory a VM, both books", int(float64(after-before)/vms), "B", of(float64(after-before)/vms, memoryTarget, "the limit"))
	figure("  of it the inventory", int(float64(inventory-before)/vms), "B", "")

	took, err := changes(r, plan)
	if err != nil {
		return err
	}
	change := took[len(took)/2]
	figure("one host's change, median", milliseconds(change), "ms", of(change.Seconds()*1e3, changeTarget, "the limit"))
	figure("one host's change, 99th percentile", milliseconds(took[len(took)*99/100]), "ms", "")

	begin = time.Now()
	if err := hosts.next(); err != nil {
		return err
	}
	published := time.Since(begin)
	begin = time.Now()
	if err := r.Read(ctx, conn); err != nil {
		return err
	}
	if _, err := r.Judge(); err != nil {
		return err
	}
	churn := time.Since(begin)
	figure("every host changes: documents taken and judged", int(float64(plan.Hosts)/churn.Seconds()), "documents/s",
		fmt.Sprintf("published at %d/s", int(float64(plan.Hosts)/published.Seconds())))
	silent, _ := r.Silence(f.SiteName(0))
	figure("a site falls silent", seconds(silent), "s", "")

	pass, _ := r.FullPass()
	figure("full pass of the core", seconds(pass), "s", of(pass.Seconds(), passTarget*share, "the limit for this size"))
	figure("  to one host's change", int(pass.Seconds()/change.Seconds()), "times", "")
	return joins(ctx, f, dir, pass, change)
}

// changes has some hosts change, and gives how long each took, sorted.
func changes(r *fleet.Reconciler, plan fleet.Plan) (took []time.Duration, err error) {
	const rounds = 500
	for i := range rounds {
		d, err := r.Change(i*7919%plan.Hosts, fleet.State(1+2*(i/plan.Hosts)))
		if err != nil {
			return nil, err
		}
		if d > 0 { // else it is one that never reports
			took = append(took, d)
		}
	}
	slices.Sort(took)
	return took, nil
}

// joins does the same in databases, as far as a join can.
func joins(ctx context.Context, f *fleet.Fleet, dir string, pass, change time.Duration) error {
	tables := filepath.Join(dir, "tables")
	if err := os.Mkdir(tables, 0o755); err != nil {
		return err
	}
	if err := errors.Join(os.Chmod(dir, 0o755), f.WriteTables(tables)); err != nil {
		return err
	}
	for _, database := range []struct {
		name string
		join func(context.Context, string) (fleet.Joined, error)
	}{{"SQLite", fleet.SQLite}, {"PostgreSQL", fleet.PostgreSQL}} {
		joined, err := database.join(ctx, tables)
		if errors.Is(err, fleet.ErrNoPostgreSQL) {
			fmt.Printf("%s: not measured: %v\n", database.name, err)
			continue
		}
		if err != nil {
			return err
		}
		if err := agrees(f, joined); err != nil {
			return fmt.Errorf("%s: %w", database.name, err)
		}
		both := joined.Load + joined.Join
		figure(database.name+", load both books and join", seconds(both), "s",
			fmt.Sprintf("%.1f× the full pass, %.0f× one host's change", both.Seconds()/pass.Seconds(), both.Seconds()/change.Seconds()))
		figure("  of it the joins", seconds(joined.Join), "s",
			fmt.Sprintf("%.1f× the full pass, %.0f× one host's change", joined.Join.Seconds()/pass.Seconds(), joined.Join.Seconds()/change.Seconds()))
	}
	return nil
}

// agrees holds what a join found against what was planted, where it can tell: it
// knows a VM by its ID alone, so a new UUID is one VM gone and another there, and
// it takes what nobody could look at for gone.
func agrees(f *fleet.Fleet, joined fleet.Joined) error {
	want := f.Expected()
	changed := want[reconcile.IdentityChanged]
	want[reconcile.VMMissing] += changed + f.Unseen()
	want[reconcile.VMUnknown] += changed
	for kind, n := range joined.Found {
		if n != want[kind] {
			return fmt.Errorf("the join finds %d of %s, and %d were planted", n, kind, want[kind])
		}
	}
	return nil
}

func seconds(d time.Duration) string      { return fmt.Sprintf("%.2f", d.Seconds()) }
func milliseconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()*1e3) }
func of(value, limit float64, what string) string {
	return fmt.Sprintf("%.2f of %s", value/limit, what)
}

// hostProcess is the process that is the hosts.
type hostProcess struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
}

func startHosts(ctx context.Context, plan fleet.Plan, dir string) (*hostProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-publish", dir, "-hosts", fmt.Sprint(plan.Hosts), "-vms", fmt.Sprint(plan.VMs),
		"-sites", fmt.Sprint(plan.Sites), "-drift-every", fmt.Sprint(plan.DriftEvery))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	h := &hostProcess{cmd: cmd, in: in, lines: bufio.NewScanner(out)}
	if err := h.published(); err != nil {
		h.end()
		return nil, err
	}
	return h, nil
}

// next has every host change.
func (h *hostProcess) next() error {
	if _, err := fmt.Fprintln(h.in, "next"); err != nil {
		return err
	}
	return h.published()
}

func (h *hostProcess) published() error {
	if !h.lines.Scan() || !strings.HasPrefix(h.lines.Text(), "published") {
		return fmt.Errorf("the simulated hosts have ended: %v", errors.Join(h.lines.Err(), h.cmd.Wait()))
	}
	return nil
}

func (h *hostProcess) end() {
	h.in.Close()
	_ = h.cmd.Wait() // it was told to end
}
