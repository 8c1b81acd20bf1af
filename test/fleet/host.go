package fleet

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/collectors/libvirt"
	"github.com/dataverket/avstem/collectors/network"
	"github.com/dataverket/avstem/inventory"
)

// New makes a fleet up.
func New(p Plan) *Fleet {
	return &Fleet{Plan: p, runtime: new(libvirt.Collector).Capabilities(), network: new(network.Collector).Capabilities()}
}

// State is how often a host was changed since the beginning: each change gives
// one of its VMs one vCPU more or less.
type State int

// Documents are what a host shows: its network and its runtime. Their gen is the
// state's, so that a later one replaces an earlier one. One that never reported
// has none.
func (f *Fleet) Documents(host int, s State) []*inventory.Observation {
	drift := f.hostDrift(host)
	if drift != nil && drift.silent {
		return nil
	}
	var vms []inventory.VM
	var ports []inventory.OVSPort
	for nth := range f.VMs {
		v := f.place(host, nth)
		if v.got == nil {
			continue
		}
		if nth == int(s)/2%f.VMs && s%2 == 1 {
			more := 3
			v.got.VCPUs = &more
		}
		vms = append(vms, *v.got)
		if link := v.got.NICs[0].Link; link != "" {
			ports = append(ports, inventory.OVSPort{Name: link, Tag: &v.tag, Interfaces: []inventory.OVSInterface{{Name: link}}})
		}
	}
	runtime := &inventory.Runtime{Name: "libvirt-qemu", Platform: "libvirt", Version: "9.0.0"}
	documents := []*inventory.Observation{
		f.document(host, s, "network", f.network, inventory.Body{OVSBridges: []inventory.OVSBridge{{Name: "br0", Ports: ports}}}),
		f.document(host, s, "runtime-libvirt", f.runtime, inventory.Body{Runtime: runtime, VMs: vms}),
	}
	if drift != nil && drift.blind {
		o := documents[1]
		o.Outcome, o.Complete, o.VMs = inventory.OutcomeFailed, false, nil
		o.Problems = []inventory.Problem{{Call: "dial /run/libvirt/libvirt-sock-ro", Why: inventory.WhyTimedOut, Error: "no answer within 5s"}}
		seal(o)
	}
	return documents
}

func (f *Fleet) document(host int, s State, source string, known []inventory.Capability, body inventory.Body) *inventory.Observation {
	o := &inventory.Observation{
		Schema: inventory.Schema, Host: HostID(host), Site: f.SiteName(host), Source: source, Epoch: 1, Gen: uint64(s) + 1,
		ObservedAt: epoch.Add(time.Duration(s) * time.Second), Took: 40 * time.Millisecond, BootID: uuid.Nil.String(),
		Outcome: inventory.OutcomeComplete, Complete: true, Capabilities: known, Body: body,
	}
	seal(o)
	return o
}

func seal(o *inventory.Observation) {
	if err := o.Seal(); err != nil {
		panic(fmt.Sprintf("seal a document of simulated host %s: %v", o.Host, err)) // of our own values
	}
}
