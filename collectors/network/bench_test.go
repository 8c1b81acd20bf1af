package network

import (
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/dataverket/avstem/inventory"
)

// BenchmarkLinks makes passes over 1,000 links (500 taps in a bridge and 250
// veth pairs) beside ip(8) listing the same ones with their details, as JSON. It
// reports our time as a share of ip's ("pass/ip"), and of one LinkList of the
// netlink library ("pass/library").
func BenchmarkLinks(b *testing.B) {
	n := newNamespace(b)
	bridge := n.link("lo")
	for i := range 1000 {
		name := fmt.Sprintf("l%d", i)
		switch {
		case i == 0:
			n.add(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}})
			bridge = n.link(name)
		case i < 500:
			n.add(&netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: name}, Mode: netlink.TUNTAP_MODE_TAP})
			n.must(n.LinkSetMaster(n.link(name), bridge))
		case i%2 == 0:
			n.add(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: fmt.Sprintf("l%d", i+1)})
		}
	}
	c := &Collector{NetNS: n.path(), Root: b.TempDir()}
	var ours, ip, library time.Duration
	b.ReportAllocs()
	for b.Loop() {
		ours += took(func() {
			if o := collect(b, c); o.Outcome != inventory.OutcomeComplete || len(o.Links) != 1001 {
				b.Fatalf("outcome %s with %d links", o.Outcome, len(o.Links))
			}
		})
		b.StopTimer()
		n.do(func() error {
			cmd := exec.Command("ip", "-d", "-j", "link", "show")
			var err error
			ip += took(func() { _, err = cmd.Output() })
			return err
		})
		library += took(func() {
			if _, err := n.LinkList(); err != nil {
				b.Fatal(err)
			}
		})
		b.StartTimer()
	}
	b.ReportMetric(float64(ours)/float64(ip), "pass/ip")
	b.ReportMetric(float64(ours)/float64(library), "pass/library")
}

func took(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}
