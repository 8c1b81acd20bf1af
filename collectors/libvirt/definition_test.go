package libvirt

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/collectors/collectorstest"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/test/rig"
)

// TestNothingIsPendingBetweenLiveAndDefined: what libvirt adds to the XML of a
// domain that runs is no change of anybody's. Both fixtures are libvirt 9.0's of
// one domain.
func TestNothingIsPendingBetweenLiveAndDefined(t *testing.T) {
	read := func(name string) *domain {
		d, problems, err := parseDomain(read(t, "testdata/domains/"+name+".xml"))
		if err != nil || len(problems) > 0 {
			t.Fatal(problems, err)
		}
		return &d
	}
	if got := pendingChanges(read("rich-live"), read("rich-inactive")); len(got) > 0 {
		t.Errorf("pending: %+v", got)
	}
}

func TestPendingChanges(t *testing.T) {
	const live = `<domain type='qemu' id='1'><name>x</name><uuid>11111111-2222-4333-8444-555555555551</uuid>
<metadata><dv:placement xmlns:dv="urn:dataverket:maskin:placement:v1" vm="v" tenant="t" project="p" environment="e"/></metadata>
<memory unit='MiB'>64</memory><vcpu current='1'>4</vcpu><os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><boot dev='hd'/></os>
<devices>
<disk type='file' device='disk'><source file='/a'/><target dev='vda' bus='virtio'/></disk>
<disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>
<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/><target dev='vnet0'/><vlan><tag id='110'/></vlan><model type='virtio'/></interface>
<interface type='bridge'><mac address='52:54:00:00:00:02'/><source network='blue' bridge='br1'/><target dev='vnet1'/><vlan><tag id='120'/></vlan><model type='virtio'/></interface>
</devices></domain>`
	asDefined := strings.NewReplacer(" id='1'", "", "<target dev='vnet0'/>", "", "<target dev='vnet1'/>", "", " bridge='br1'", "",
		"type='bridge'><mac address='52:54:00:00:00:02'", "type='network'><mac address='52:54:00:00:00:02'", "<vlan><tag id='120'/></vlan>", "").Replace(live)
	for _, c := range []struct {
		name     string
		old, new string // in the definition
		want     []inventory.Pending
	}{
		{"nothing", "", "", nil},
		{"vCPUs plugged in", "current='1'", "current='2'", []inventory.Pending{{Path: "vcpus", Live: "1", Defined: "2"}}},
		{"memory", "<memory unit='MiB'>64<", "<memory unit='KiB'>131072<", []inventory.Pending{{Path: "memory", Live: "67108864", Defined: "134217728"}}},
		{"memory in another unit", "<memory unit='MiB'>64<", "<memory unit='KiB'>65536<", nil},
		{"machine", "pc-q35-7.2", "pc-q35-6.2", []inventory.Pending{{Path: "machine", Live: "pc-q35-7.2", Defined: "pc-q35-6.2"}}},
		{"boot", "<boot dev='hd'/>", "<boot dev='network'/><boot dev='hd'/>", []inventory.Pending{{Path: "boot", Live: "hd", Defined: "network, hd"}}},
		{"label", "tenant=\"t\"", "tenant=\"u\"", []inventory.Pending{{Path: "placement", Live: "t/p/e v", Defined: "u/p/e v"}}},
		{"VLAN", "<tag id='110'/>", "<tag id='111'/>", []inventory.Pending{{Path: "nics[52:54:00:00:00:01].vlan", Live: "110", Defined: "111"}}},
		{"bridge", "bridge='br0'", "bridge='br9'", []inventory.Pending{{Path: "nics[52:54:00:00:00:01].network", Live: "bridge br0", Defined: "bridge br9"}}},
		{"network", "network='blue'", "network='red'", []inventory.Pending{{Path: "nics[52:54:00:00:00:02].network", Live: "network blue", Defined: "network red"}}},
		{"NIC replaced", "00:00:01", "00:00:09", []inventory.Pending{
			{Path: "nics[52:54:00:00:00:01]", Live: "bridge br0"}, {Path: "nics[52:54:00:00:00:09]", Defined: "bridge br0"}}},
		{"disk moved", "file='/a'", "file='/b'", []inventory.Pending{{Path: "disks[vda].source", Live: "/a", Defined: "/b"}}},
		{"disk detached", "<target dev='vda'", "<target dev='vdb'", []inventory.Pending{{Path: "disks[vda]", Live: "/a"}, {Path: "disks[vdb]", Defined: "/a"}}},
		{"medium ejected by the guest", "<target dev='sda'", "<source file='/seed.iso'/><target dev='sda'", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := asDefined
			if c.old != "" {
				if text = strings.Replace(asDefined, c.old, c.new, 1); text == asDefined {
					t.Fatalf("%s is not in the definition", c.old)
				}
			}
			a, _, err := parseDomain([]byte(live))
			if err != nil {
				t.Fatal(err)
			}
			b, _, err := parseDomain([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, pendingChanges(&a, &b)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestRealDefinition changes the definition of a guest that runs, in what libvirt
// tells of and in what it doesn't, and sees each: at once by its event, and without
// one in its turn.
func TestRealDefinition(t *testing.T) {
	r := richHost(t)
	c := open(t, r)
	if err := r.StartVMPaused("rich"); err != nil {
		t.Fatal(err)
	}
	var seen []*inventory.Observation
	pass := func() []inventory.Pending {
		o := complete(t, c)
		seen = append(seen, o)
		return vmOf(t, o, richUUID).Pending
	}
	if got := pass(); len(got) > 0 {
		t.Fatalf("a guest that was just started has pending changes: %+v", got)
	}
	within := func(passes int, want ...inventory.Pending) {
		t.Helper()
		var got []inventory.Pending
		for range passes {
			if got = pass(); cmp.Equal(want, got) {
				return
			}
		}
		t.Errorf("after %d passes (-want +got):\n%s", passes, cmp.Diff(want, got))
	}
	must(t)(r.Virsh("setmaxmem", "rich", "128M", "--config"))
	memory := inventory.Pending{Path: "memory", Live: fmt.Sprint(64 << 20), Defined: fmt.Sprint(128 << 20)}
	within(definitionTurn+1, memory) // libvirt tells nobody
	must(t)(r.Virsh("detach-disk", "rich", "sda", "--config"))
	disk := inventory.Pending{Path: "disks[sda]", Live: rig.ImagePath("data.raw")}
	within(1, disk, memory) // as something is pending already
	must(t)(r.Virsh("detach-disk", "rich", "sda", "--live"))
	must(t)(r.Virsh("setmaxmem", "rich", "64M", "--config"))
	within(1)
	collectorstest.Prove(t, "testdata/proof.txt", "TestRealDefinition", seen...)
}

// TestRealDefinitionByEvent: what an event tells of is read in the pass that it causes.
func TestRealDefinitionByEvent(t *testing.T) {
	r := richHost(t)
	c := open(t, r)
	if err := r.StartVMPaused("rich"); err != nil {
		t.Fatal(err)
	}
	complete(t, c)
	h := watchWith(t, c)
	must(t)(r.Virsh("metadata", "rich", "urn:dataverket:maskin:placement:v1", "--config", "--key", "dv", "--set",
		`<placement vm="vm-1" tenant="t2" project="p1" environment="prod"/>`))
	eventually(t, "an event", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.changes) > 1
	})
	want := []inventory.Pending{{Path: "image", Live: "debian-12 3", Defined: "9d0f4e7e-2f6b-4a52-8a11-0a7f3e1a9b10"}, {Path: "placement", Live: "t1/p1/prod vm-1", Defined: "t2/p1/prod vm-1"}}
	if got := vmOf(t, complete(t, c), richUUID).Pending; !cmp.Equal(want, got) {
		t.Errorf("(-want +got):\n%s", cmp.Diff(want, got))
	}
}

// TestDefinitionsTakeTurns: where nothing speaks for a change, each definition is
// read once in so many passes, and about as many of them in each pass.
func TestDefinitionsTakeTurns(t *testing.T) {
	const domains = 1000
	c := &Collector{defined: map[uuid.UUID]*definition{}}
	readings := make([]reading, domains)
	for i := range readings {
		readings[i].vm.UUID = uuid.NewSHA1(uuid.NameSpaceDNS, fmt.Append(nil, i))
		readings[i].xml = &parsed{sum: 1}
		c.defined[readings[i].vm.UUID] = &definition{live: 1}
	}
	reads := map[uuid.UUID]int{}
	for range definitionTurn {
		c.passes++
		inPass := 0
		for i := range readings {
			if c.due(&readings[i]) {
				reads[readings[i].vm.UUID]++
				inPass++
			}
		}
		if inPass > 2*domains/definitionTurn {
			t.Errorf("%d of %d definitions are read in one pass", inPass, domains)
		}
	}
	if len(reads) != domains {
		t.Errorf("%d of %d definitions had a turn", len(reads), domains)
	}
	for id, n := range reads {
		if n != 1 {
			t.Errorf("the definition of %s had %d turns", id, n)
		}
	}
}
