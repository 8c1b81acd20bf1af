package qemu

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// BenchmarkPass holds a pass over 50 paused QEMUs, each with a tap and a disk of
// two layers, against the bare reading of every process's command line and
// status, which nobody who looks for QEMU can do without.
func BenchmarkPass(b *testing.B) {
	const machines = 50
	dir := b.TempDir()
	base := filepath.Join(dir, "base.qcow2")
	command(b, "qemu-img", "create", "-q", "-f", "qcow2", base, "1M")
	var sockets []string
	for i := range machines {
		disk, tap := filepath.Join(dir, fmt.Sprintf("disk%d.qcow2", i)), fmt.Sprintf("qb%d", i)
		command(b, "qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", disk)
		addTap(b, tap)
		m := start(b, "-S", "-name", fmt.Sprintf("vm-%d", i), "-uuid", fmt.Sprintf("0b7e2f6e-6d3a-4d43-9d0c-%012d", i+1),
			"-nic", fmt.Sprintf("tap,ifname=%s,script=no,downscript=no,mac=52:54:00:bb:00:%02x,model=virtio-net-pci", tap, i),
			"-drive", "file="+disk+",format=qcow2,if=virtio,id=root")
		sockets = append(sockets, m.monitorPath())
	}
	pass := func(b *testing.B, c *Collector) {
		o := &inventory.Observation{}
		for b.Loop() {
			o = (&collectors.Runner{Collector: c}).Run(b.Context())
		}
		if len(o.VMs) != machines || !o.Complete || len(o.Problems) > 0 {
			b.Fatalf("%d VMs, problems %v", len(o.VMs), o.Problems)
		}
	}
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			readBare(b)
		}
	})
	b.Run("proc", func(b *testing.B) { pass(b, open(b)) })
	b.Run("monitors", func(b *testing.B) { pass(b, open(b, sockets...)) })
	b.Run("look", func(b *testing.B) { // what a watch does each two seconds
		w := &watcher{c: open(b), seen: map[int]bool{}, vms: map[int]*watched{}, ended: make(chan int, 1), changed: func(collectors.Change) {}}
		w.c.setUp()
		defer w.close()
		for b.Loop() {
			if err := w.look(true); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func readBare(b *testing.B) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		for _, name := range []string{"cmdline", "stat"} {
			os.ReadFile("/proc/" + e.Name() + "/" + name)
		}
	}
}
