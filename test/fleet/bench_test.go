package fleet

import (
	"runtime"
	"testing"
	"time"

	"github.com/dataverket/avstem/reconcile"
)

// BenchmarkFullPass makes full passes over 1,000 hosts of 50 VMs that drift, and
// prints what one VM takes: everything that a pass needs is made anew in each, what
// it makes of the inventory alone, too.
func BenchmarkFullPass(b *testing.B) {
	f := New(Plan{Hosts: 1000, VMs: 50, Sites: 3, DriftEvery: 100})
	in := f.Input(f.Inventory(), epoch)
	var clock, cpu time.Duration
	for b.Loop() {
		runtime.GC() // what the one before left is not this one's
		watch := Start()
		if n, want := len(reconcile.Findings(in)), f.planted(); n != want {
			b.Fatalf("%d findings, and %d were planted", n, want)
		}
		used := watch.Used()
		clock, cpu = clock+used.Clock, cpu+used.CPU
	}
	perVM := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(b.N) / 50_000 }
	b.ReportMetric(perVM(clock), "ns/VM")
	b.ReportMetric(perVM(cpu), "cpu-ns/VM")
	b.ReportMetric(0, "ns/op")
}

// planted is how many findings the pure core makes.
func (f *Fleet) planted() (n int) {
	for _, more := range f.Expected() {
		n += more
	}
	return n - len(OfPolicy)
}

// BenchmarkBook prints what a book takes besides what it was told: with every site's
// documents, and with one site's.
func BenchmarkBook(b *testing.B) {
	f := New(Plan{Hosts: 1000, VMs: 50, Sites: 3, DriftEvery: 100})
	in := f.Input(f.Inventory(), epoch)
	for b.Loop() {
		books := make([]*reconcile.Book, f.Sites)
		before := Heap()
		for i := range books {
			book := reconcile.NewBook(in.Policy)
			book.Intend(in.Intended)
			for _, doc := range in.Observed {
				if doc.Site == f.Site(i) {
					book.Observe(doc)
				}
			}
			book.Settle(in.Now)
			books[i] = book
			if i == 0 {
				b.ReportMetric(float64(Heap()-before)/50_000, "B/VM-of-fleet-one-site")
			}
		}
		b.ReportMetric(float64(Heap()-before)/50_000, "B/VM-three-sites")
		runtime.KeepAlive(books)
		runtime.KeepAlive(in)
	}
	b.ReportMetric(0, "ns/op")
}
