package libvirt

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/inventory"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestParseDomain holds the parser to a golden file for each domain. Those
// called odd- are made by hand, those that say so are of the shape that a platform
// gives, the rest is what libvirt 9.0 said.
func TestParseDomain(t *testing.T) {
	for _, path := range fixtures(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".xml"), func(t *testing.T) {
			d, problems, err := parseDomain(read(t, path))
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(struct {
				Active   bool
				Root     int
				VM       inventory.VM
				Problems []inventory.Problem `json:",omitempty"`
			}{d.active, d.root, d.vm, problems}, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(path, ".xml") + ".golden.json"
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(read(t, golden)), string(got)+"\n"); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, p := range problems {
				if !p.Field.Known() || p.Entity != inventory.VMEntity(d.vm.UUID) {
					t.Errorf("problem names no field of the VM: %+v", p)
				}
			}
		})
	}
}

func TestParseDomainRefuses(t *testing.T) {
	for name, raw := range map[string]string{
		"nothing":                  "",
		"no XML":                   "error: no domain",
		"cut short":                "<domain><name>x</name><uuid>11111111-2222-4333-8444-555555555551</uuid><devices>",
		"another root":             "<network><uuid>11111111-2222-4333-8444-555555555551</uuid></network>",
		"no UUID":                  "<domain><name>x</name></domain>",
		"a UUID too long":          "<domain><uuid>11111111-2222-4333-8444-5555555555512</uuid></domain>",
		"a tag too many on line 2": "<domain>\n</name></domain>",
	} {
		_, _, err := parseDomain([]byte(raw))
		if err == nil {
			t.Errorf("%s was taken for a domain", name)
			continue
		}
		if _, line, found := strings.Cut(name, " on "); found && !strings.Contains(err.Error(), line) {
			t.Errorf("%q doesn't say %q", err, line)
		}
	}
}

// TestConfigDigestIgnores changes what changes on its own, one by one, in a live
// domain: the digest stands.
func TestConfigDigestIgnores(t *testing.T) {
	live := string(read(t, "testdata/domains/rich-live.xml"))
	want := newDigester([]byte(live)).sum()
	for _, change := range [][2]string{
		{`<domain type='qemu' id='1'>`, `<domain type='qemu' id='27'>`},
		{`<currentMemory unit='KiB'>65536<`, `<currentMemory unit='KiB'>32768<`},
		{`dev='vnet0'`, `dev='vnet17'`},
		{`/dev/pts/0`, `/dev/pts/9`},
		{`state='disconnected'`, `state='connected'`},
		{`port='5900'`, `port='5907'`},
		{`<alias name='net0'/>`, ``},
		{`top.qcow2' index='4'`, `top.qcow2' index='9'`},
		{`domain-1-web-1`, `domain-27-web-1`},
		{`<label>+0:+0</label>`, `<label>+107:+107</label>`},
		{`<backingStore type='file' index='5'>`, `<backingStore type='block' index='5'>`},
		{"\n      <mtu", "\n\n   <mtu"},
		{`type='vnc' port=`, `  type='vnc'  port=`},
		{`<target dev='sdb' bus='sata'/>`, `<target dev='sdb' bus='sata' tray='open'/>`},
	} {
		changed := strings.ReplaceAll(live, change[0], change[1])
		if changed == live {
			t.Errorf("%q is not in the domain", change[0])
		}
		if got := newDigester([]byte(changed)).sum(); got != want {
			t.Errorf("%q for %q gives another digest", change[1], change[0])
		}
	}
}

// TestConfigDigestSees changes what only somebody who configures can: another
// digest each time.
func TestConfigDigestSees(t *testing.T) {
	live := string(read(t, "testdata/domains/rich-live.xml"))
	seen := map[string]string{newDigester([]byte(live)).sum(): "nothing"}
	for _, change := range [][2]string{
		{`<memory unit='KiB'>65536<`, `<memory unit='KiB'>65537<`},
		{`<tag id='120'/>`, `<tag id='121'/>`},
		{`<link state='down'/>`, ``},
		{`bridge='br0'`, `bridge='br1'`},
		{`<on_crash>destroy<`, `<on_crash>restart<`},
		{`tenant="t1"`, `tenant="t2"`},
		{`cache='none'`, `cache='writeback'`},
		{`dev='vnet0'`, `dev='tap-web'`},
		{`<alias name='net0'/>`, `<alias name='ua-front'/>`},
		{`top.qcow2`, `top2.qcow2`},
		{`<shareable/>`, `<shareable></shareable><transient/>`},
	} {
		digest := newDigester([]byte(strings.ReplaceAll(live, change[0], change[1]))).sum()
		if other, found := seen[digest]; found {
			t.Errorf("%q gives the digest of %q", change[1], other)
		}
		seen[digest] = change[1]
	}
}

func FuzzParseDomain(f *testing.F) {
	for _, path := range fixtures(f) {
		f.Add(read(f, path))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, problems, err := parseDomain(raw)
		if err != nil {
			return
		}
		if d.root >= len(d.vm.Disks) || d.root >= 0 && !d.vm.Disks[d.root].IsStorage() {
			t.Errorf("root disk %d of %d", d.root, len(d.vm.Disks))
		}
		for _, n := range d.vm.NICs {
			if n.VLAN != nil && *n.VLAN > 4094 {
				t.Errorf("VLAN %d", *n.VLAN)
			}
		}
		for _, p := range problems {
			if !p.Field.Known() {
				t.Errorf("problem on field %q", p.Field)
			}
		}
		again, _, _ := parseDomain(raw)
		if diff := cmp.Diff(d.vm, again.vm); diff != "" {
			t.Errorf("parsed twice (-first +then):\n%s", diff)
		}
	})
}

func fixtures(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/domains/*.xml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	return paths
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
