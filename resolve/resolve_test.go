package resolve

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

const mac = "52:54:00:aa:00:01"

func to[T any](v T) *T { return &v }

// explained is a VM on both sides; change makes it differ.
func explained(tb testing.TB, change func(*sentral.VM, *reconcile.ObservedVM, *reconcile.VMMatch)) *reconcile.Explanation {
	tb.Helper()
	parsed, err := inventory.ParseMAC(mac)
	if err != nil {
		tb.Fatal(err)
	}
	want := &sentral.VM{
		ID: "0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001", Name: "web-01", Tenant: "acme", Project: "web", Environment: "prod", Site: "osl1", Host: "hv1",
		VCPUs: to(2), Memory: to(inventory.Bytes(4 << 30)), Image: &sentral.ImageRef{ID: "debian-12", Version: "20261101"},
		NICs: []sentral.NIC{{MAC: parsed, Network: "web-prod"}}, Disks: []sentral.Disk{{Name: "root", Serial: "web-01-root", Size: to(inventory.Bytes(20 << 30))}},
	}
	have := &reconcile.ObservedVM{Host: "hv1", Source: "runtime-libvirt", VM: inventory.VM{
		UUID: uuid.MustParse(want.ID), Name: "web-01", State: inventory.StateRunning, VCPUs: to(4), Memory: to(inventory.Bytes(8 << 30)),
		NICs:  []inventory.NIC{{MAC: parsed, Attachment: "ovs"}},
		Disks: []inventory.Disk{{Target: "vda", Serial: "web-01-root", Capacity: to(inventory.Bytes(10 << 30))}},
	}}
	m := &reconcile.VMMatch{
		Intended: want, Observed: have,
		Comparisons: []reconcile.Comparison{{Path: "nics[" + mac + "].vlan", Intended: float64(110)}}, // as JSON has it
		Paths:       []reconcile.NICPath{{MAC: parsed, Hops: []reconcile.Hop{{Kind: "tap", Name: "vnet0"}, {Kind: "OVS port", Name: "vnet0", Does: reconcile.Assigns, VLAN: to(inventory.VLAN(120))}}}},
	}
	change(want, have, m)
	return &reconcile.Explanation{VM: m}
}

func nothing(*sentral.VM, *reconcile.ObservedVM, *reconcile.VMMatch) {}

func TestRemedies(t *testing.T) {
	for name, tt := range map[string]struct {
		kind, field, sentral string
		change               func(*sentral.VM, *reconcile.ObservedVM, *reconcile.VMMatch)
		commands             []string
		key, yaml            string
	}{
		"a port of Open vSwitch": {"nic.vlan", "nics[" + mac + "].vlan", "set the NIC's network to web-test", nothing,
			[]string{"ovs-vsctl set Port vnet0 tag=110"}, "nics[0].network", "network: web-test"},
		"a port of a bridge": {"nic.vlan", "nics[" + mac + "].vlan", "set the VLAN of network web-prod in osl1 to 120, if all its NICs belong there",
			func(_ *sentral.VM, _ *reconcile.ObservedVM, m *reconcile.VMMatch) {
				m.Paths[0].Hops = []reconcile.Hop{{Kind: "tap", Name: "vnet0", Does: reconcile.Assigns, VLAN: to(inventory.VLAN(120))}}
			},
			[]string{"bridge vlan add dev vnet0 vid 110 pvid untagged", "bridge vlan del dev vnet0 vid 120"}, "vlans.osl1", "osl1: 120"},
		"no port that gives the VLAN": {"nic.vlan", "nics[" + mac + "].vlan", "",
			func(_ *sentral.VM, _ *reconcile.ObservedVM, m *reconcile.VMMatch) { m.Paths[0].Hops = nil }, nil, "", ""},
		"stopped": {"vm.state", "state", "set state to stopped", func(_ *sentral.VM, have *reconcile.ObservedVM, _ *reconcile.VMMatch) {
			have.State = inventory.StateStopped
		},
			[]string{"virsh start web-01"}, "state", "state: stopped"},
		"running": {"vm.state", "state", "set state to running", func(want *sentral.VM, _ *reconcile.ObservedVM, _ *reconcile.VMMatch) { want.State = sentral.VMStopped },
			[]string{"virsh shutdown web-01"}, "state", "state: running"},
		"paused": {"vm.state", "state", "", func(_ *sentral.VM, have *reconcile.ObservedVM, _ *reconcile.VMMatch) {
			have.State = inventory.StatePaused
		},
			[]string{"virsh resume web-01"}, "", ""},
		"a name that needs quotes": {"vm.state", "state", "", func(_ *sentral.VM, have *reconcile.ObservedVM, _ *reconcile.VMMatch) {
			have.State, have.Name = inventory.StateStopped, "it's; rm -rf /"
		}, []string{`virsh start 'it'\''s; rm -rf /'`}, "state", "state: stopped"},
		"a name that looks like a flag": {"vm.state", "state", "", func(_ *sentral.VM, have *reconcile.ObservedVM, _ *reconcile.VMMatch) {
			have.State, have.Name = inventory.StateStopped, "--all"
		}, []string{"virsh start 0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001"}, "state", "state: stopped"},
		"a name that looks like an ID of libvirt": {"vm.state", "state", "", func(_ *sentral.VM, have *reconcile.ObservedVM, _ *reconcile.VMMatch) {
			have.State, have.Name = inventory.StateStopped, "7"
		}, []string{"virsh start 0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001"}, "state", "state: stopped"},
		"fewer vCPUs": {"vm.vcpus", "vcpus", "set vcpus to 4", nothing, []string{"virsh setvcpus web-01 2 --config"}, "vcpus", "vcpus: 4"},
		"memory": {"vm.memory", "memory", "set memory to 8GiB", nothing,
			[]string{"virsh setmaxmem web-01 4194304 --config", "virsh setmem web-01 4194304 --config"}, "memory", "memory: 8GiB"},
		"a disk that grows": {"disk.size", "disks[web-01-root].size", "set", nothing, []string{"virsh blockresize web-01 vda 21474836480B"}, "disks[0].size", "size: 10GiB"},
		"a disk that would have to shrink": {"disk.size", "disks[web-01-root].size", "set", func(_ *sentral.VM, have *reconcile.ObservedVM, _ *reconcile.VMMatch) {
			have.Disks[0].Capacity = to(inventory.Bytes(30<<30 + 1))
		}, nil, "disks[0].size", "size: 32212254721"},
		"a disk too many": {"disk.unknown", "disks[x-1]", "add", func(_ *sentral.VM, have *reconcile.ObservedVM, _ *reconcile.VMMatch) {
			have.Disks = append(have.Disks, inventory.Disk{Target: "vdb", Serial: "x-1", Capacity: to(inventory.Bytes(1 << 30))})
		}, []string{"virsh detach-disk web-01 vdb --config --live"}, "disks", "  - {name: vdb, size: 1GiB, serial: x-1}"},
		"a label": {"vm.placement", "placement", "", nothing, []string{
			`virsh metadata web-01 --uri urn:dataverket:maskin:placement:v1 --key dv --set '<placement vm="0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001" tenant="acme" project="web" environment="prod" image="debian-12" imageVersion="20261101"/>' --config --live`,
		}, "", ""},
		"Incus": {"vm.memory", "memory", "set", func(_ *sentral.VM, have *reconcile.ObservedVM, _ *reconcile.VMMatch) {
			have.Source, have.NativeID = "runtime-incus", "shop/web-01"
		}, []string{"incus config set web-01 limits.memory=4294967296B --project shop"}, "memory", "memory: 8GiB"},
		"LXD": {"vm.state", "state", "set", func(want *sentral.VM, have *reconcile.ObservedVM, _ *reconcile.VMMatch) {
			have.Source, have.NativeID, want.State = "runtime-lxd", "default/web-01", sentral.VMStopped
		}, []string{"lxc stop web-01 --project default"}, "state", "state: running"},
		"plain QEMU has no command": {"vm.memory", "memory", "set", func(_ *sentral.VM, have *reconcile.ObservedVM, _ *reconcile.VMMatch) { have.Source = "runtime-qemu" },
			nil, "memory", "memory: 8GiB"},
		"nowhere": {"vm.missing", "host", "set state to absent", func(_ *sentral.VM, _ *reconcile.ObservedVM, m *reconcile.VMMatch) { m.Observed = nil },
			nil, "state", "state: absent"},
		"nobody's":  {"vm.unknown", "host", "add a record", func(_ *sentral.VM, _ *reconcile.ObservedVM, m *reconcile.VMMatch) { m.Intended = nil }, nil, "", ""},
		"elsewhere": {"vm.misplaced", "host", "set host to hv1", nothing, nil, "host", "host: hv1"},
	} {
		t.Run(name, func(t *testing.T) {
			f := &reconcile.Finding{Kind: reconcile.Kind(tt.kind), Field: tt.field, Resolutions: []reconcile.Resolution{{Side: "runtime", Do: "x", How: "live"}, {Side: "sentral", Do: tt.sentral}}}
			got := Of(f, explained(t, tt.change))
			if diff := cmp.Diff(tt.commands, got[0].Commands); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
			if (len(tt.commands) > 0) != (got[0].Host == "hv1") {
				t.Errorf("on host %q", got[0].Host)
			}
			edit := got[1].Edit
			if edit == nil {
				edit = &Edit{}
			}
			if edit.Key != tt.key || edit.YAML != tt.yaml {
				t.Errorf("edit %q: %q, want %q: %q", edit.Key, edit.YAML, tt.key, tt.yaml)
			}
		})
	}
}

// A real shell reads what was quoted as what it was.
func TestQuoteIsReadBackByAShell(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.StringMatching(`[ -~æ\n]{0,12}`), 1, 5).Draw(t, "words")
		quoted := make([]string, len(words))
		for i, w := range words {
			quoted[i] = Quote(w)
		}
		out, err := exec.Command("sh", "-c", `printf '%s\0' `+strings.Join(quoted, " ")).Output()
		if err != nil {
			t.Fatalf("%q: %v", quoted, err)
		}
		if got, want := string(out), strings.Join(words, "\x00")+"\x00"; got != want {
			t.Errorf("%q is read as %q", want, got)
		}
	})
}

func TestScalarsThatYAMLWouldTakeForSomethingElse(t *testing.T) {
	for text, want := range map[string]string{
		"web-prod": "web-prod", "a/b.c": "a/b.c", "yes": `"yes"`, "Null": `"Null"`, "20261101": `"20261101"`, "a: b": `"a: b"`, "": `""`, "52:54:00:aa:00:01": `"52:54:00:aa:00:01"`, "[x": `"[x"`,
	} {
		if got := scalar(text); got != want {
			t.Errorf("%q is written %s, want %s", text, got, want)
		}
	}
}
