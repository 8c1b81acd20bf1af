package files

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ground is what the records of the cases refer to.
const ground = `sites: [{id: osl1}, {id: trd1}]
failureDomains: [{id: rack1, site: osl1}]
projects: [{tenant: acme, id: web, environments: [prod]}]
images: [{id: debian, version: "1"}]
networks: [{id: web-prod, tenant: acme, project: web, vlans: {osl1: 110}}]
hosts: [{id: hv1, site: osl1, failureDomain: rack1}]
`

// vm is the record of a good VM with more keys.
func vm(id string, more ...string) string {
	return "  - id: " + id + "\n    name: n-" + id + "\n    tenant: acme\n    project: web\n    environment: prod\n    site: osl1\n    " +
		strings.Join(more, "\n    ") + "\n"
}

// TestBadInput has one case for each way to get it wrong. The VM named good
// stands beside the mistake, and must be used.
func TestBadInput(t *testing.T) {
	for name, c := range map[string]struct {
		text       string // of vms.yaml, after the good VM unless it begins otherwise
		want       []string
		kept       []string // besides good
		incomplete bool
	}{
		"duplicate ID": {
			text: vm("a") + vm("a"),
			want: []string{`vms.yaml:16:9: vm a: id: vm "a" is claimed by vm n-a at vms.yaml:9:5 too: neither is used`},
		},
		"one UUID by two records": {
			text: vm("0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001") + vm("a", "runtimeID: 0B7E2F6E-6D3A-4D43-9D0C-0D6A4C1C0001"),
			want: []string{`vms.yaml:22:16: vm a: runtimeID: UUID 0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001 is claimed by vm n-0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001 at vms.yaml:9:5 too: neither is used`},
		},
		"one MAC on two VMs": {
			text: vm("a", `nics: [{mac: "52:54:00:aa:00:01", network: web-prod}]`) + vm("b", `nics: [{mac: "52-54-00-AA-00-01", network: web-prod}]`),
			want: []string{`vms.yaml:22:18: vm b: nics[0].mac: vm MAC 52:54:00:aa:00:01 is claimed by vm n-a at vms.yaml:9:5 too`},
			kept: []string{"a", "b"},
		},
		"one MAC twice on a VM": {
			text: vm("a", "nics:", `  - {mac: "52:54:00:aa:00:01", network: web-prod}`, `  - {mac: "52:54:00:aa:00:01", network: web-prod}`),
			want: []string{`vms.yaml:17:15: vm a: nics[1].mac: vm MAC 52:54:00:aa:00:01 is claimed by nics[0] of this record too`},
			kept: []string{"a"},
		},
		"one MAC handed on": {
			text: vm("a", `state: absent`, `nics: [{mac: "52:54:00:aa:00:01", network: gone}]`) + vm("b", `nics: [{mac: "52:54:00:aa:00:01", network: web-prod}]`),
			kept: []string{"a", "b"},
		},
		"bad MAC": {
			text: vm("a", "nics: [{mac: 52:54:00:aa:00, network: web-prod}]"),
			want: []string{`vms.yaml:15:18: vm a: nics[0].mac: "52:54:00:aa:00" is not a MAC address: want six pairs of hex digits, such as 52:54:00:aa:00:01`},
		},
		"MAC of zeroes": {
			text: vm("a", `nics: [{mac: "00:00:00:00:00:00", network: web-prod}]`),
			want: []string{`vms.yaml:15:18: vm a: nics[0].mac: "00:00:00:00:00:00" is no interface's address: leave the key out where it isn't known`},
		},
		"group MAC": {
			text: vm("a", `nics: [{mac: "01:00:5e:00:00:01", network: web-prod}]`),
			want: []string{`vms.yaml:15:18: vm a: nics[0].mac: "01:00:5e:00:00:01" is a group address, which no interface can have: the second digit must be even`},
		},
		"VLAN of 5000": {
			text: "networks:\n  - {id: n2, tenant: acme, project: web, vlans: {osl1: 5000}}\n",
			want: []string{`vms.yaml:10:56: network n2: vlans.osl1: 5000 is not a VLAN ID: want a number from 1 to 4094`},
		},
		"VLAN of 0": {
			text: "networks:\n  - {id: n2, tenant: acme, project: web, vlans: {osl1: 0}}\n",
			want: []string{`vms.yaml:10:56: network n2: vlans.osl1: 0 is not a VLAN ID: want a number from 1 to 4094`},
		},
		"VLAN of a link": {
			text: "hosts:\n  - {id: hv2, site: osl1, links: [{name: eno1, vlans: [110, -1, web]}]}\n",
			want: []string{
				`vms.yaml:10:61: host hv2: links[0].vlans[1]: -1 is not a VLAN ID: want a number from 1 to 4094`,
				`vms.yaml:10:65: host hv2: links[0].vlans[2]: "web" is not a VLAN ID: want a number from 1 to 4094`,
			},
		},
		"unknown key": {
			text: vm("a", "memroy: 4GiB"),
			want: []string{`vms.yaml:15:5: vm a: memroy: unknown key: did you mean "memory"?`},
		},
		"unknown key unlike any": {
			text: vm("a", "image: {id: debian, colour: red}"),
			want: []string{`vms.yaml:15:25: vm a: image.colour: unknown key: want one of id, version`},
		},
		"unknown list": {
			text:       "vm:\n" + vm("a"),
			want:       []string{`vms.yaml:9:1: vm: unknown key: did you mean "vms"?`},
			incomplete: true,
		},
		"half-written in a quote": {
			text:       vm("a", `nics: [{mac: "52:54`),
			want:       []string{`vms.yaml:15:5: not YAML, or only half of it: found unexpected end of stream (its records are missing)`},
			incomplete: true,
		},
		"half-written in a list": {
			text:       vm("a", `nics: [{mac: "52:54:00:aa:00:01", netw`),
			want:       []string{`vms.yaml:15:5: not YAML, or only half of it: did not find expected ',' or '}' (its records are missing)`},
			incomplete: true,
		},
		"half-written after a key": {
			text: vm("a", "memory:"),
			want: []string{`vms.yaml:15:12: vm a: memory: is empty: give a value, or leave the key out`},
		},
		"half-written before the list": {
			text:       "hosts:\n",
			want:       []string{`vms.yaml:9:7: hosts: want a list of records, and not nothing`},
			incomplete: true,
		},
		"key given twice": {
			text: vm("a", "vcpus: 2", "vcpus: 4"),
			want: []string{`vms.yaml:16:5: vm a: vcpus: is given twice: it stands at line 15 too`},
		},
		"list given twice": {
			text:       "hosts: []\nhosts: []\n",
			want:       []string{`vms.yaml:10:1: hosts: is given twice: it stands at line 9 too`},
			incomplete: true,
		},
		"missing keys": {
			text: "networks:\n  - {id: n2}\n",
			want: []string{
				"vms.yaml:10:5: network n2: project: is missing",
				"vms.yaml:10:5: network n2: tenant: is missing",
			},
		},
		"no name at all": {
			text:       "networks:\n  - {tenant: acme, project: web}\n",
			want:       []string{"vms.yaml:10:5: network: id: is missing"},
			incomplete: true,
		},
		"empty ID": {
			text: "hosts:\n  - {id: \"\", name: hv9, site: osl1}\n",
			want: []string{"vms.yaml:10:10: host hv9: id: is missing"},
		},
		"bad UUID": {
			text: vm("a", "runtimeID: 0b7e2f6e"),
			want: []string{`vms.yaml:15:16: vm a: runtimeID: "0b7e2f6e" is not a UUID`},
		},
		"UUID in odd brackets": {
			text: vm("a", "runtimeID: (0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001)"),
			want: []string{`vms.yaml:15:16: vm a: runtimeID: "(0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001)" is not a UUID`},
		},
		"bad state": {
			text: vm("a", "state: runing") + "hosts:\n  - {id: hv2, site: osl1, state: up}\n",
			want: []string{
				`vms.yaml:15:12: vm a: state: "runing" is not a state: want running, stopped, absent`,
				`vms.yaml:17:34: host hv2: state: "up" is not a state: want planned, active, maintenance, retired`,
			},
		},
		"numbers": {
			text: vm("a", "vcpus: -2", "memory: -4GiB", "disks:", "  - {size: 0}", "  - {size: 1.5}") + vm("b", "vcpus: two", "memory: 4 gigs") + vm("c", "vcpus: 010"),
			want: []string{
				`vms.yaml:15:12: vm a: vcpus: -2 is out of range: want a number from 1 to 1000000000`,
				`vms.yaml:16:13: vm a: memory: "-4GiB" is not a size: want a number with B, KiB…PiB or kB…PB, such as 4GiB`,
				`vms.yaml:18:16: vm a: disks[0].size: 0 is too small: want at least 1 byte`,
				`vms.yaml:19:16: vm a: disks[1].size: "1.5" is not a whole number of bytes`,
				`vms.yaml:26:12: vm b: vcpus: want a whole number, and not "two"`,
				`vms.yaml:27:13: vm b: memory: "4 gigs" is not a size: want a number with B, KiB…PiB or kB…PB, such as 4GiB`,
				`vms.yaml:34:12: vm c: vcpus: want a whole number, and not 010`,
			},
		},
		"negative quota": {
			text: "projects:\n  - {tenant: acme, id: db, quota: {vcpus: -1}}\n",
			want: []string{`vms.yaml:10:43: project acme/db: quota.vcpus: -1 is out of range: want a number from 0 to 1000000000`},
		},
		"site that is no subject": {
			text: "sites:\n  - {id: Oslo 1}\n",
			want: []string{`vms.yaml:10:10: site Oslo 1: id: "Oslo 1" can't be a site's ID, since it is part of NATS subjects: want up to 63 of a-z, 0-9 and -, not - first`},
		},
		"text that is none": {
			text: vm("a", `host: "hv1\x1b[31m"`, `serial: x`, `machine: " q35"`, "antiAffinity: true", "failureDomain: [rack1]"),
			want: []string{
				`vms.yaml:15:11: vm a: host: "hv1\x1b[31m" holds a control character`,
				`vms.yaml:16:5: vm a: serial: unknown key: want one of antiAffinity, disks, environment, failureDomain, host, id, image, machine, memory, name, nics, project, runtimeID, site, state, tenant, vcpus`,
				`vms.yaml:17:14: vm a: machine: " q35" begins or ends with a space`,
				`vms.yaml:18:19: vm a: antiAffinity: want text, and not true: put it in quotes`,
				`vms.yaml:19:20: vm a: failureDomain: want text, and not a list`,
			},
		},
		"record that is none": {
			text:       "hosts:\n  - hv2\n",
			want:       []string{`vms.yaml:10:5: hosts[0]: want a record, and not "hv2"`},
			incomplete: true,
		},
		"references": {
			text: vm("a", "host: hv9", "failureDomain: rack9", "image: {id: debian, version: \"2\"}", "nics: [{network: web-prd}]") + vm("b", "image: {id: debain}"),
			kept: []string{"a", "b"},
			want: []string{
				`vms.yaml:15:11: vm a: host: host "hv9" is not in the inventory`,
				`vms.yaml:16:20: vm a: failureDomain: failureDomain "rack9" is not in the inventory`,
				`vms.yaml:17:34: vm a: image.version: image "debian/2" is not in the inventory`,
				`vms.yaml:18:22: vm a: nics[0].network: network "web-prd" is not in the inventory`,
				`vms.yaml:25:17: vm b: image.id: image "debain" is not in the inventory`,
			},
		},
		"references that contradict": {
			text: "hosts:\n  - {id: hv2, site: trd1, failureDomain: rack1}\nfailureDomains:\n  - {id: rack2, site: osl1}\nprojects:\n  - {tenant: t, id: p}\n" +
				"networks:\n  - {id: n2, tenant: t, project: q, vlans: {bgo1: 3}}\n---\nvms:\n" + vm("a", "host: hv2") + vm("b", "host: hv1", "failureDomain: rack2"),
			kept: []string{"a", "b"},
			want: []string{
				`vms.yaml:10:42: host hv2: failureDomain: "rack1" is in site "osl1", and the host in "trd1"`,
				`vms.yaml:16:34: network n2: project: project "t/q" is not in the inventory`,
				`vms.yaml:16:51: network n2: vlans.bgo1: site "bgo1" is not in the inventory`,
				`vms.yaml:25:11: vm a: host: "hv2" is in site "trd1", and the vm in "osl1"`,
				`vms.yaml:32:11: vm b: host: "hv1" is in failure domain "rack1", and the vm in "rack2"`,
			},
		},
		"reference to what is left out": {
			text: "  - {id: x, nics: [{network: n2}]}\nnetworks:\n  - {id: n2, tenant: acme, project: web, vlans: {osl1: 5000}}\n---\nvms:\n" + vm("a", "nics: [{network: n2}]"),
			kept: []string{"a"},
			want: []string{
				"vms.yaml:9:5: vm x: environment: is missing",
				"vms.yaml:9:5: vm x: name: is missing",
				"vms.yaml:9:5: vm x: project: is missing",
				"vms.yaml:9:5: vm x: site: is missing",
				"vms.yaml:9:5: vm x: tenant: is missing",
				`vms.yaml:11:56: network n2: vlans.osl1: 5000 is not a VLAN ID: want a number from 1 to 4094`,
			},
		},
		"environment": {
			text: strings.Replace(vm("a"), "prod", "prd", 1),
			kept: []string{"a"},
			want: []string{`vms.yaml:13:18: vm a: environment: project "acme/web" has no environment "prd"`},
		},
		"absent VM may refer to what is gone": {
			text: vm("a", "state: absent", "host: gone", "nics: [{network: gone}]"),
			kept: []string{"a"},
		},
		"hosts that share evidence": {
			text: "hosts:\n  - {id: hv2, site: osl1, serial: ABC, links: [{name: eno1, mac: 52:54:00:00:00:01}, {name: eno2, mac: 52:54:00:00:00:01}]}\n" +
				"  - {id: hv3, site: osl1, serial: ABC, links: [{name: eno1, mac: 52:54:00:00:00:01}]}\n",
			want: []string{
				`vms.yaml:11:35: host hv3: serial: host serial ABC is claimed by host hv2 at vms.yaml:10:5 too`,
				`vms.yaml:11:66: host hv3: links[0].mac: host MAC 52:54:00:00:00:01 is claimed by host hv2 at vms.yaml:10:5 too`,
			},
		},
		"control character": {
			text:       vm("a", "# \x07"),
			want:       []string{`vms.yaml:15:7: control character U+0007: remove it (its records are missing)`},
			incomplete: true,
		},
		"not UTF-8": {
			text:       vm("a", "host: hv\xe6"),
			want:       []string{`vms.yaml:15:13: byte 0xe6 is not UTF-8: save the file as UTF-8 (its records are missing)`},
			incomplete: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			good := "vms:\n" + vm("good")
			write(t, dir, map[string]string{"ground.yaml": ground, "good.yaml": good, "vms.yaml": strings.Replace(good, "good", "other", 2) + c.text})
			inv := read(t, open(t, dir))
			if diff := cmp.Diff(c.want, problems(inv, dir)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			want := append([]string{"good", "other"}, c.kept...)
			if strings.Contains(strings.Join(c.want, ""), "its records are missing") {
				want = []string{"good"}
			}
			if diff := cmp.Diff(want, vmIDs(inv)); diff != "" {
				t.Errorf("VMs that are used (-want +got):\n%s", diff)
			}
			if inv.Incomplete != c.incomplete {
				t.Errorf("incomplete: got %v", inv.Incomplete)
			}
		})
	}
}

// TestAllErrorsAtOnce is the full listing of a directory with many mistakes.
func TestAllErrorsAtOnce(t *testing.T) {
	dir := filepath.Join("testdata", "bad")
	inv := read(t, open(t, dir))
	var b strings.Builder
	for _, p := range inv.Problems {
		fmt.Fprintln(&b, p)
	}
	fmt.Fprintf(&b, "\n%d problems, used: %v, left out: %d records, incomplete: %v\n", len(inv.Problems), vmIDs(inv), len(inv.LeftOut), inv.Incomplete)
	golden := filepath.Join("testdata", "bad.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
