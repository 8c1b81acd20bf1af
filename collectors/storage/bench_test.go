package storage

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/dataverket/avstem/collectors"
)

// One pass over this host, held against what people type for it: lsblk (which
// shows block devices, their hardware and their file systems) of util-linux.
func BenchmarkPass(b *testing.B) {
	runner := collectors.Runner{Collector: &Collector{}}
	var ours, theirs time.Duration
	for b.Loop() {
		begin := time.Now()
		runner.Run(context.Background())
		ours += time.Since(begin)
		begin = time.Now()
		if err := exec.Command("lsblk", "--json", "--bytes", "--output-all").Run(); err != nil {
			b.Fatal(err)
		}
		theirs += time.Since(begin)
	}
	b.ReportMetric(float64(ours)/float64(theirs), "x-of-lsblk")
}
