package libvirt

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/test/rig"
)

const benchVMs = 1000

// testNode is a host of libvirt's test driver with running domains.
func testNode() string {
	var b strings.Builder
	b.WriteString("<node><cpu><mhz>1000</mhz><model>i686</model><active>4</active></cpu><memory>100000000</memory>\n")
	for i := range benchVMs {
		fmt.Fprintf(&b, `<domain type='test'><name>vm-%[1]d</name><uuid>%[2]s</uuid><title>VM %[1]d</title>
<metadata><dv:placement xmlns:dv="urn:dataverket:maskin:placement:v1" vm="vm-%[1]d" tenant="t1" project="p1" environment="prod" image="debian-12" imageVersion="3"/></metadata>
<memory unit='MiB'>64</memory><vcpu>2</vcpu><os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os>
<devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/images/vm-%[1]d.qcow2'/><target dev='vda' bus='virtio'/><serial>ROOT-%[1]d</serial></disk>
<interface type='bridge'><mac address='52:54:00:00:%02[3]x:%02[4]x'/><source bridge='ovsbr0'/><virtualport type='openvswitch'/><vlan><tag id='120'/></vlan><model type='virtio'/></interface>
</devices></domain>
`, i, plainUUID(i), i/256, i%256)
	}
	b.WriteString("</node>\n")
	return b.String()
}

// BenchmarkPass1000 makes passes over a thousand domains of the test driver and
// holds them against peers in the same run: the mere calls that read the same
// XML, one by one and as many at once as we have, and virsh with a script.
func BenchmarkPass1000(b *testing.B) {
	r := rig.ForTest(b)
	const node = "/var/lib/libvirt/node.xml"
	if err := os.WriteFile(r.Outside(node), []byte(testNode()), 0o644); err != nil {
		b.Fatal(err)
	}
	c := closed(b, &Collector{Sockets: []string{r.LibvirtReadOnlySocket()}, URI: "test:///" + node})
	c.setUp()
	c.lane.fresh = time.Hour // sizes are asked for once, before we measure
	c.lane.wait = time.Minute
	if o := collect(b, c); o.Outcome != inventory.OutcomeComplete || len(o.VMs) != benchVMs {
		b.Fatalf("outcome %s with %d VMs: %+v", o.Outcome, len(o.VMs), o.Problems[0])
	}
	var pass, cold, oneByOne, together, virsh time.Duration
	for b.Loop() {
		pass += timed(func() { complete(b, c) })
		c.known, c.defined = nil, nil
		cold += timed(func() { complete(b, c) })
		oneByOne += timed(func() { rawXML(b, c.hot, 1) })
		together += timed(func() { rawXML(b, c.hot, inFlight) })
		virsh += timed(func() { virshDump(b, r, node) })
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 / float64(b.N) }
	b.ReportMetric(ms(pass), "ms/pass")
	b.ReportMetric(ms(cold), "ms/first-pass")
	b.ReportMetric(pass.Seconds()/oneByOne.Seconds(), "x-raw-one-by-one")
	b.ReportMetric(pass.Seconds()/together.Seconds(), "x-raw-4-at-once")
	b.ReportMetric(cold.Seconds()/together.Seconds(), "first-x-raw-4-at-once")
	b.ReportMetric(pass.Seconds()/virsh.Seconds(), "x-virsh-dumpxml")
}

func timed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

// rawXML lists the domains and reads the XML of each, and does nothing with it.
func rawXML(b *testing.B, cl *client, atOnce int) {
	doms, _, err := cl.lv.ConnectListAllDomains(1, 0)
	if err != nil || len(doms) != benchVMs {
		b.Fatalf("%d domains: %v", len(doms), err)
	}
	var workers sync.WaitGroup
	for first := range atOnce {
		workers.Go(func() {
			for i := first; i < len(doms); i += atOnce {
				if _, err := cl.lv.DomainGetXMLDesc(doms[i], 0); err != nil {
					b.Error(err)
				}
			}
		})
	}
	workers.Wait()
}

// virshDump lets one virsh dump them all.
func virshDump(b *testing.B, r *rig.Rig, node string) {
	var script strings.Builder
	for i := range benchVMs {
		fmt.Fprintf(&script, "dumpxml vm-%d\n", i)
	}
	cmd := r.Command(b.Context(), "virsh", "-q", "-r", "-c", "test:///"+node)
	cmd.Stdin = strings.NewReader(script.String())
	out, err := cmd.Output()
	if err != nil || strings.Count(string(out), "</domain>") != benchVMs {
		b.Fatalf("virsh dumped %d domains: %v", strings.Count(string(out), "</domain>"), err)
	}
}
