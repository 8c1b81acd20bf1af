package netbox

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/sentral"
)

// read makes an inventory of lists in JSON, by their names in everything.
func read(t testing.TB, m *Mapping, version string, lists map[string]string) *sentral.Inventory {
	t.Helper()
	e := &everything{version: version}
	for name, into := range map[string]any{
		"sites": &e.sites, "tenants": &e.tenants, "clusters": &e.clusters, "devices": &e.devices, "interfaces": &e.interfaces,
		"groups": &e.groups, "vlans": &e.vlans, "vms": &e.vms, "vmNICs": &e.vmNICs, "disks": &e.disks,
	} {
		if text := lists[name]; text != "" {
			if err := json.Unmarshal([]byte(text), into); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	return e.inventory(m, "netbox", "https://netbox", time.Unix(0, 0))
}

const (
	someSites   = `[{"id": 1, "name": "Oslo 1", "slug": "osl1"}, {"id": 2, "name": "Trondheim", "slug": "trd1"}]`
	someTenants = `[{"id": 1, "name": "Acme", "slug": "acme"}]`
)

func problems(inv *sentral.Inventory) []string {
	var lines []string
	for _, p := range inv.Problems {
		lines = append(lines, p.String())
	}
	return lines
}

// TestOddNetBoxes: what NetBox allows and Sentral's records don't is said of the
// object, with its page; nothing else suffers.
func TestOddNetBoxes(t *testing.T) {
	const vm = `"name": "v", "status": {"value": "active"}, "tenant": {"id": 1}, "site": {"id": 1}`
	for name, c := range map[string]struct {
		lists   map[string]string
		want    []string
		vms     int
		leftOut int
		mapping string
	}{
		"nothing at all": {},
		"a fraction of a vCPU": {
			lists: map[string]string{"vms": `[{"id": 7, "vcpus": 1.5, ` + vm + `}, {"id": 8, "vcpus": "2.00", ` + vm + `}]`},
			want:  []string{"https://netbox/virtualization/virtual-machines/7/: vm netbox-vm-7: vcpus: 1.5 is no whole number of vCPUs"}, vms: 1, leftOut: 1,
		},
		"no site": {
			lists: map[string]string{"vms": `[{"id": 7, "name": "v", "status": {"value": "active"}, "tenant": {"id": 1}, "site": null, "cluster": null}]`},
			want:  []string{"https://netbox/virtualization/virtual-machines/7/: vm netbox-vm-7: site: neither it nor its cluster has a site in NetBox"}, leftOut: 1,
		},
		"no tenant": {
			lists: map[string]string{"vms": `[{"id": 7, "name": "v", "status": {"value": "active"}, "site": {"id": 1}}]`},
			want:  []string{"https://netbox/virtualization/virtual-machines/7/: vm netbox-vm-7: tenant: it has no tenant in NetBox, and the mapping has no default"}, leftOut: 1,
		},
		"a default tenant": {
			lists: map[string]string{"vms": `[{"id": 7, "name": "v", "status": {"value": "active"}, "site": {"id": 1}}]`}, mapping: "defaults: {tenant: lab}", vms: 1,
		},
		"planned is not judged": {
			lists: map[string]string{"vms": `[{"id": 7, "name": "v", "vcpus": 1.5, "status": {"value": "planned"}, "tenant": {"id": 1}, "site": {"id": 1}}]`}, leftOut: 1,
		},
		"a status of its own": {
			lists: map[string]string{"vms": `[{"id": 7, "name": "v", "status": {"value": "molten"}, "tenant": {"id": 1}, "site": {"id": 1}}]`},
			want:  []string{`https://netbox/virtualization/virtual-machines/7/: vm netbox-vm-7: state: NetBox's status "molten" is none that the mapping knows`}, leftOut: 1,
		},
		"site of a cluster, 4.0": {
			lists: map[string]string{"clusters": `[{"id": 3, "name": "c", "site": {"id": 2}}]`, "vms": `[{"id": 7, "name": "v", "status": {"value": "active"}, "tenant": {"id": 1}, "cluster": {"id": 3}}]`}, vms: 1,
		},
		"site of a cluster, 4.2": {
			lists: map[string]string{"clusters": `[{"id": 3, "name": "c", "scope_type": "dcim.site", "scope_id": 2}]`, "vms": `[{"id": 7, "name": "v", "status": {"value": "active"}, "tenant": {"id": 1}, "cluster": {"id": 3}}]`}, vms: 1,
		},
		"two VLANs of one name": {
			lists: map[string]string{"vlans": `[{"id": 1, "vid": 10, "name": "web", "site": {"id": 1}, "tenant": {"id": 1}}, {"id": 2, "vid": 11, "name": "web", "site": {"id": 1}, "tenant": {"id": 1}}]`},
			want:  []string{`https://netbox/ipam/vlans/2/: network web: vlans.osl1: VLANs 10 and 11 are both called so in osl1: give each a name, or a custom field "network", of its own`}, leftOut: 1,
		},
		"a bad MAC and a bad UUID": {
			lists: map[string]string{
				"vms":    `[{"id": 7, ` + vm + `, "custom_fields": {"runtime_uuid": "x"}}]`,
				"vmNICs": `[{"id": 1, "name": "eth0", "virtual_machine": {"id": 7}, "mac_address": "nonsense"}, {"id": 2, "name": "eth1", "enabled": false, "virtual_machine": {"id": 7}, "mac_address": "more"}]`,
			},
			want: []string{
				`https://netbox/virtualization/virtual-machines/7/: vm netbox-vm-7: nics[0].mac: "nonsense" is not a MAC address: want six pairs of hex digits, such as 52:54:00:aa:00:01`,
				`https://netbox/virtualization/virtual-machines/7/: vm netbox-vm-7: runtimeID: "x" is not a UUID`,
			}, leftOut: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := ParseMapping([]byte(c.mapping))
			if err != nil {
				t.Fatal(err)
			}
			lists := map[string]string{"sites": someSites, "tenants": someTenants}
			for key, text := range c.lists {
				lists[key] = text
			}
			inv := read(t, &m, "4.2", lists)
			if diff := cmp.Diff(c.want, problems(inv)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if len(inv.VMs) != c.vms || len(inv.LeftOut) != c.leftOut || inv.Incomplete {
				t.Errorf("%d VMs, left out %v, incomplete %v: want %d and %d", len(inv.VMs), inv.LeftOut, inv.Incomplete, c.vms, c.leftOut)
			}
		})
	}
}

func TestVLANsAreWhereTheirGroupIs(t *testing.T) {
	m := DefaultMapping()
	inv := read(t, &m, "4.2", map[string]string{
		"sites": someSites, "tenants": someTenants,
		"groups": `[{"id": 1, "name": "osl", "scope_type": "dcim.site", "scope_id": 1}, {"id": 2, "name": "all", "scope_type": null}]`,
		"vlans": `[{"id": 1, "vid": 10, "name": "one", "group": {"id": 1}, "tenant": {"id": 1}}, {"id": 2, "vid": 11, "name": "all", "group": {"id": 2}, "tenant": {"id": 1}},
			{"id": 3, "vid": 12, "name": "nobody's", "site": {"id": 1}, "tenant": null}]`,
	})
	got := map[string]string{}
	for _, n := range inv.Networks {
		got[n.ID] = fmt.Sprint(n.VLANs)
	}
	if diff := cmp.Diff(map[string]string{"one": "map[osl1:10]", "all": "map[osl1:11 trd1:11]"}, got); diff != "" {
		t.Errorf("networks (-want +got):\n%s", diff)
	}
}

func TestNatural(t *testing.T) {
	names := []string{"eth10", "eth2", "eth02", "ens3f1", "", "eth", "10", "9"}
	slices.SortStableFunc(names, natural)
	if got := strings.Join(names, " "); got != " 9 10 ens3f1 eth eth2 eth02 eth10" {
		t.Errorf("%q", got)
	}
}

func TestMappingIsChecked(t *testing.T) {
	for text, says := range map[string]string{
		"fields: {vmid: x}":         "field vmid not found",
		"states: {active: started}": `states.active: "started" is no state`,
		"failureDomain: room":       "want rack, location or none",
		"memoryUnit: GB":            "want MB or MiB",
		"hostRoles: [a b]":          "is no role's slug",
	} {
		if _, err := ParseMapping([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
	if m, err := ParseMapping(nil); err != nil || cmp.Diff(DefaultMapping(), m) != "" {
		t.Errorf("an empty mapping is %+v, %v", m, err)
	}
}

// FuzzObjects: no objects make it panic, each problem has its place, and what is
// used is good by itself.
func FuzzObjects(f *testing.F) {
	f.Add([]byte(`[{"id": 7, "name": "v", "status": {"value": "active"}, "tenant": {"id": 1}, "site": {"id": 1}, "vcpus": "1e99", "memory": 18446744073709551615, "custom_fields": {"vm_id": {"value": 3}, "project": [1]}}]`), []byte(`[{"id": 1, "name": "eth0", "virtual_machine": {"id": 7}, "primary_mac_address": {"mac_address": "01:00:5e:00:00:01"}, "untagged_vlan": {"id": 1, "vid": 70000}}]`), []byte(`[{"id": 1, "vid": 5000, "name": " ", "tenant": {"id": 1}}]`))
	f.Add([]byte(`[]`), []byte(`null`), []byte(`[{"vid": -1, "tenant": {"slug": "x"}}]`))
	m := DefaultMapping()
	f.Fuzz(func(t *testing.T, vms, nics, vlans []byte) {
		e := &everything{version: "4.0"}
		for text, into := range map[string]any{someSites: &e.sites, someTenants: &e.tenants, string(vms): &e.vms, string(nics): &e.vmNICs, string(vlans): &e.vlans} {
			if json.Unmarshal([]byte(text), into) != nil {
				return
			}
		}
		e.interfaces, e.disks = e.vmNICs, []virtualDisk{{VirtualMachine: &reference{ID: 7}, Size: new(uint64(1 << 63))}}
		inv := e.inventory(&m, "netbox", "https://netbox", time.Unix(0, 0))
		for _, p := range inv.Problems {
			if !strings.HasPrefix(p.Where, "https://netbox/") || p.Error == "" {
				t.Errorf("a problem without place or words: %+v", p)
			}
		}
		for i := range inv.VMs {
			record := sentral.Record{Value: &inv.VMs[i], Place: func(string) sentral.Place { return sentral.Place{} }}
			if alone := sentral.Assemble([]sentral.Record{record}, nil); len(alone.VMs) != 1 {
				t.Errorf("a bad VM is used: %v", alone.Problems)
			}
		}
	})
}

// FuzzMapping: what is taken is whole.
func FuzzMapping(f *testing.F) {
	f.Add([]byte("states: {active: running}\nfields: {vmID: x}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if m, err := ParseMapping(text); err == nil && m.Check() != nil {
			t.Errorf("it took %+v", m)
		}
	})
}
