// Command fleet measures the reconciler with a simulated fleet beside the same
// reconciliation in SQL, and prints one figure a line.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/test/fleet"
)

// options are the command's.
type options struct {
	fleet.Plan
	churn  int // changes a second
	during time.Duration
	dir    string
	// profile is where profiles of the cold start are written, if anywhere.
	profile string
}

func main() {
	var o options
	flag.IntVar(&o.Hosts, "hosts", 10_000, "how many `HOSTS`")
	flag.IntVar(&o.VMs, "vms", 50, "how many `VMS` on each")
	flag.IntVar(&o.Sites, "sites", 3, "how many `SITES`")
	flag.IntVar(&o.DriftEvery, "drift-every", 100, "one VM, and one host, of `N` drifts")
	flag.IntVar(&o.churn, "churn", 100, "how many `CHANGES` a second are published for a while")
	flag.DurationVar(&o.during, "during", 15*time.Second, "for how `LONG`")
	flag.StringVar(&o.dir, "dir", "", "make a directory for everything that is written in `DIR`, and remove it at the end")
	flag.StringVar(&o.profile, "profile", "", "write profiles of the cold start, cpu.pprof and heap.pprof, into `DIR`, which costs time")
	publish := flag.String("publish", "", "be the NATS server and the hosts, in this `DIR`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run := func() error { return bench(ctx, o) }
	if *publish != "" {
		run = func() error { return serve(ctx, o, *publish) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
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
	cores        = 2.0
)

// measured is what later figures are ratios to.
type measured struct {
	cold, pass fleet.Used
	change     time.Duration
	share      float64 // of the full size
}

func bench(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp(o.dir, "avstem-fleet-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	f := fleet.New(o.Plan)
	describe(f)
	m := measured{share: float64(o.Hosts*o.VMs) / fullSize}
	if err := engines(ctx, f, o, filepath.Join(dir, "nats"), &m); err != nil {
		return err
	}
	pass, found := f.FullPass()
	m.pass = pass
	findings := fleet.RowsOf(found)
	if got, want := len(found), sum(f.Expected())-len(fleet.OfPolicy); got != want {
		return fmt.Errorf("the full pass finds %d, and %d were planted", got, want)
	}
	figure("full pass of the core", seconds(pass.Clock), "s", of(pass.Clock.Seconds(), passTarget*m.share, "the limit for this size"))
	figure("  CPU", seconds(pass.CPU), "s", of(pass.CPU.Seconds(), cores*passTarget*m.share, "what the limit's two cores have"))
	figure("  to one host's change", int(pass.Clock.Seconds()/m.change.Seconds()), "times", "")
	return joins(ctx, f, dir, m, findings)
}

// describe says what was planted, at what rate.
func describe(f *fleet.Fleet) {
	fmt.Printf("a simulated fleet: %d hosts with %d VMs each in %d sites on %d platforms, one VM and one host in %d drift\n",
		f.Hosts, f.VMs, f.Sites, fleet.Platforms, f.DriftEvery)
	planted := f.Planted()
	say := func(name, what string, of int) {
		if n := planted[name]; n > 0 {
			figure("planted: "+name, n, what, fmt.Sprintf("one in %d", of/n))
		}
	}
	for _, d := range fleet.VMDrifts {
		say(d.Name, "VMs", f.Hosts*f.VMs)
	}
	for _, d := range fleet.HostDrifts {
		say(d.Name, "hosts", f.Hosts)
	}
}

// engines measures the reconcilers of all sites.
func engines(ctx context.Context, f *fleet.Fleet, o options, dir string, m *measured) error {
	hosts, err := startHosts(ctx, o, dir)
	if err != nil {
		return err
	}
	defer hosts.end()
	conn, err := bus.Connect(ctx, bus.Options{StateDir: dir, Name: "bench", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer conn.Close()
	vms := float64(o.Hosts * o.VMs)
	before := fleet.Heap()
	r := fleet.NewReconciler(f)
	books := fleet.Heap()
	profile, err := startProfile(o.profile)
	if err != nil {
		return err
	}
	watch := fleet.Start()
	if err := r.Read(ctx, conn); err != nil {
		return err
	}
	read := watch.Used()
	if _, err := r.Judge(); err != nil {
		return err
	}
	m.cold = watch.Used()
	if err := profile.end(); err != nil {
		return err
	}
	figure("cold start from the streams", seconds(m.cold.Clock), "s", of(m.cold.Clock.Seconds(), coldTarget*m.share, "the limit for this size"))
	figure("  CPU", seconds(m.cold.CPU), "s", of(m.cold.CPU.Seconds(), cores*coldTarget*m.share, "what the limit's two cores have"))
	figure("  of it reading the documents", seconds(read.Clock), "s", seconds(read.CPU)+" s of CPU")
	after := fleet.Heap()
	figure("memory a VM, both books", int(float64(after-before)/vms), "B", of(float64(after-before)/vms, memoryTarget, "the limit"))
	figure("  of it the inventory", int(float64(books-before)/vms), "B", "")
	for range 2 { // until what hosts say between documents is known
		if _, err := r.Wait(fleet.Settling, fleet.Everybody); err != nil {
			return err
		}
	}
	if diff := cmp.Diff(f.ExpectedBySites(), r.Found()); diff != "" {
		return fmt.Errorf("findings are not what was planted (-planted +found):\n%s", diff)
	}
	figure("findings", sum(r.Found()), "findings", "all that were planted, and no other")

	w := fleet.NewWorld(f, r.Intended())
	took, err := changes(f, r, w)
	if err != nil {
		return err
	}
	m.change = took[len(took)/2]
	figure("one host's change, median", milliseconds(m.change), "ms", of(m.change.Seconds()*1e3, changeTarget, "the limit"))
	figure("one host's change, 99th percentile", milliseconds(took[len(took)*99/100]), "ms", "")
	if err := failover(f, r, w); err != nil {
		return err
	}
	if err := live(ctx, r, conn, hosts, o); err != nil {
		return err
	}
	silent, err := r.Silence(f.Site(0))
	figure("a site falls silent", seconds(silent), "s", "")
	return err
}

// changes has some hosts change, and gives how long each took, sorted.
func changes(f *fleet.Fleet, r *fleet.Reconciler, w *fleet.World) (took []time.Duration, err error) {
	const rounds = 500
	for i := range rounds {
		host := i * 7919 % f.Hosts
		if vm := host * f.VMs; w.Quiet(host) && w.Settled(vm) {
			w.Resize(vm, 2+i/f.Hosts%2+1)
		}
		for _, documents := range w.Changed() {
			d, err := r.Change(documents[0])
			if err != nil {
				return nil, err
			}
			took = append(took, d)
		}
	}
	slices.Sort(took)
	return took, nil
}

// live has documents published while the reconcilers work, by the real clock.
func live(ctx context.Context, r *fleet.Reconciler, conn *bus.Conn, hosts *hostProcess, o options) error {
	l, err := r.Live(ctx, conn)
	if err != nil {
		return err
	}
	defer l.End()
	if _, err := l.Follow(ctx, func() (int, error) { return 0, nil }); err != nil { // what time has brought meanwhile
		return err
	}
	var published time.Duration
	churn, err := l.Follow(ctx, func() (n int, err error) {
		n, published, err = hosts.told("churn")
		return n, err
	})
	if err != nil {
		return err
	}
	kept := "its lag doesn't grow"
	if churn.Behind[1] > 1.5*churn.Behind[0]+10 {
		kept = "its lag grows"
	}
	figure(fmt.Sprintf("%d changes a second for %v: documents", o.churn, o.during), int(float64(churn.Documents)/published.Seconds()), "documents/s", kept)
	figure("  events", int(float64(churn.Events)/churn.Clock.Seconds()), "events/s", fmt.Sprintf("%d on AVSTEM_DRIFT, with their findings", churn.Events))
	figure("  documents behind", fmt.Sprintf("%.1f", churn.Behind[1]), "documents",
		fmt.Sprintf("on the mean of the second half; %.1f in the first, %d at most", churn.Behind[0], churn.MostBehind))
	figure("  all judged and told after the last", seconds(churn.Drained), "s", fmt.Sprintf("the longest step took %.3f s", churn.LongestStep.Seconds()))
	figure("  CPU of the reconcilers", fmt.Sprintf("%.2f", churn.CPU.Seconds()/churn.Clock.Seconds()), "cores", fmt.Sprintf("%.2f ms a document", 1e3*churn.CPU.Seconds()/float64(churn.Documents)))
	flood, err := l.Follow(ctx, func() (n int, err error) {
		n, published, err = hosts.told("flood")
		return n, err
	})
	if err != nil {
		return err
	}
	figure("every host changes at once: documents", int(float64(flood.Documents)/flood.Clock.Seconds()), "documents/s",
		fmt.Sprintf("published at %d/s, judged and told %.2f s after the last", int(float64(flood.Documents)/published.Seconds()), flood.Drained.Seconds()))
	figure("  CPU of the reconcilers", fmt.Sprintf("%.2f", 1e3*flood.CPU.Seconds()/float64(flood.Documents)), "ms a document", "")
	if flood.Taken < flood.Documents {
		figure("  documents taken", flood.Taken, "documents", fmt.Sprintf("of %d; the others were waited for for minutes", flood.Documents))
	}
	figure("  reading broke off", flood.Breaks, "times", "after each of which it goes on where it was")
	figure("  events", int(float64(flood.Events)/flood.Clock.Seconds()), "events/s", fmt.Sprintf("%d of them", flood.Events))
	return nil
}

func sum(found map[reconcile.Kind]int) (n int) {
	for _, more := range found {
		n += more
	}
	return n
}

func seconds(d time.Duration) string      { return fmt.Sprintf("%.2f", d.Seconds()) }
func milliseconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()*1e3) }
func of(value, limit float64, what string) string {
	return fmt.Sprintf("%.2f of %s", value/limit, what)
}
