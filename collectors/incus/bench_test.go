package incus

import (
	"fmt"
	"testing"

	"github.com/dataverket/avstem/test/rig"
)

// containers is how many a benchmark reads.
const containers = 50

// BenchmarkPass compares a pass over 50 containers, half of them with a bridged
// NIC that runs, with what people use: the client's list of them as JSON.
func BenchmarkPass(b *testing.B) {
	r := on(rig.ForTestWith(b, rig.Options{LXD: true}), LXD)
	if _, err := r.rig.Run("ip", "link", "add", "br0", "type", "bridge"); err != nil {
		b.Fatal(err)
	}
	for n := range containers {
		args := []string{"init", "tiny", fmt.Sprint("c", n)}
		if n%2 == 0 {
			args = []string{"launch", "tiny", fmt.Sprint("c", n), "-n", "br0"}
		}
		if _, err := r.client(args...); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("avstem", func(b *testing.B) {
		c := r.collector()
		for b.Loop() {
			if n := len(complete(b, c).VMs); n != containers {
				b.Fatalf("%d instances", n)
			}
		}
	})
	b.Run("lxc-list", func(b *testing.B) {
		for b.Loop() {
			if _, err := r.client("list", "--all-projects", "--format", "json"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
