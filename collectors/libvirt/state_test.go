package libvirt

import (
	"strings"
	"testing"

	golibvirt "github.com/digitalocean/go-libvirt"

	"github.com/dataverket/avstem/inventory"
)

func TestMapState(t *testing.T) {
	for _, c := range []struct {
		state  golibvirt.DomainState
		reason int32
		want   inventory.State
		raw    string
	}{
		{golibvirt.DomainNostate, 0, inventory.StateUnknown, "no state"},
		{golibvirt.DomainRunning, int32(golibvirt.DomainRunningBooted), inventory.StateRunning, "running (booted)"},
		{golibvirt.DomainRunning, int32(golibvirt.DomainRunningCrashed), inventory.StateRunning, "running (resumed from crash)"},
		{golibvirt.DomainRunning, int32(golibvirt.DomainRunningPostcopyFailed), inventory.StateRunning, "running (post-copy failed)"},
		{golibvirt.DomainRunning, 77, inventory.StateRunning, "running (reason 77)"},
		{golibvirt.DomainBlocked, 0, inventory.StateRunning, "idle"},
		{golibvirt.DomainPaused, int32(golibvirt.DomainPausedUser), inventory.StatePaused, "paused (user)"},
		{golibvirt.DomainPaused, int32(golibvirt.DomainPausedIoerror), inventory.StatePaused, "paused (I/O error)"},
		{golibvirt.DomainPaused, int32(golibvirt.DomainPausedAPIError), inventory.StatePaused, "paused (api error)"},
		{golibvirt.DomainShutdown, int32(golibvirt.DomainShutdownUser), inventory.StateRunning, "in shutdown (user)"},
		{golibvirt.DomainShutoff, 0, inventory.StateStopped, "shut off"},
		{golibvirt.DomainShutoff, int32(golibvirt.DomainShutoffSaved), inventory.StateStopped, "shut off (saved)"},
		{golibvirt.DomainShutoff, int32(golibvirt.DomainShutoffCrashed), inventory.StateCrashed, "shut off (crashed)"},
		{golibvirt.DomainShutoff, int32(golibvirt.DomainShutoffDaemon), inventory.StateStopped, "shut off (daemon)"},
		{golibvirt.DomainCrashed, int32(golibvirt.DomainCrashedPanicked), inventory.StateCrashed, "crashed (panicked)"},
		{golibvirt.DomainPmsuspended, 0, inventory.StatePaused, "pmsuspended"},
		{99, 1, inventory.StateUnknown, "state 99 (reason 1)"},
		{-1, -1, inventory.StateUnknown, "state -1 (reason -1)"},
	} {
		if got, raw := mapState(int32(c.state), c.reason); got != c.want || raw != c.raw {
			t.Errorf("state %d, reason %d is %s %q, want %s %q", c.state, c.reason, got, raw, c.want, c.raw)
		}
	}
}

func TestResolveNetwork(t *testing.T) {
	doc, err := parseNetwork([]byte(`<network><name>n</name><bridge name='br5'/><vlan><tag id='5'/></vlan>
<portgroup name='a' default='yes'><vlan><tag id='6'/></vlan></portgroup>
<portgroup name='b'><vlan trunk='yes'><tag id='7'/><tag id='8' nativeMode='tagged'/></vlan></portgroup>
<portgroup name='c'/><portgroup name='d'><vlan><tag id='4095'/></vlan></portgroup></network>`))
	if err != nil {
		t.Fatal(err)
	}
	own := inventory.VLAN(9)
	for group, c := range map[string]struct {
		own      *inventory.VLAN
		vlan     inventory.VLAN
		trunks   int
		problems int
	}{
		"":  {vlan: 6},
		"a": {vlan: 6, own: nil},
		"b": {vlan: 8, trunks: 2},
		"c": {vlan: 5},
		"d": {problems: 1},
		"x": {own: &own, vlan: 9},
	} {
		nic, f := inventory.NIC{VLAN: c.own}, &faults{call: networkCall}
		doc.resolve(&nic, group, f)
		got := inventory.VLAN(0)
		if nic.VLAN != nil {
			got = *nic.VLAN
		}
		if nic.Bridge != "br5" || got != c.vlan || len(nic.Trunks) != c.trunks || len(f.list) != c.problems {
			t.Errorf("port group %q: %+v, problems %+v", group, nic, f.list)
		}
	}
}

func FuzzParseNetwork(f *testing.F) {
	f.Add([]byte(`<network><bridge name='b'/><portgroup name='g' default='yes'><vlan><tag id='6'/></vlan></portgroup></network>`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		doc, err := parseNetwork(raw)
		if err != nil {
			return
		}
		nic := inventory.NIC{}
		doc.resolve(&nic, "g", &faults{})
		if nic.VLAN != nil && *nic.VLAN > 4094 {
			t.Errorf("VLAN %d", *nic.VLAN)
		}
	})
}

// TestMissingNetwork reads a stopped guest whose network, which two of its NICs
// name, is gone: that is one problem.
func TestMissingNetwork(t *testing.T) {
	r := richHost(t)
	again := `<interface type='network'><source network='tenants'/><model type='virtio'/></interface>`
	if err := r.Define(strings.Replace(string(read(t, "testdata/guests/rich.xml")), "</devices>", again+"</devices>", 1)); err != nil {
		t.Fatal(err)
	}
	must(t)(r.Virsh("net-destroy", "tenants"))
	must(t)(r.Virsh("net-undefine", "tenants"))
	o := collect(t, open(t, r))
	p, found := o.ProblemOf(inventory.VMEntity(richUUID), "nic.bridge")
	if !found || !o.Complete || p.Why != inventory.WhyAbsent || !strings.Contains(p.Error, "tenants") || p.Remedy == "" || len(o.Problems) != 1 {
		t.Errorf("complete %t, problems %+v", o.Complete, o.Problems)
	}
}
