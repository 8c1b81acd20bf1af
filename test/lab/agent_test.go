package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/inventory"
)

const (
	agentProgram = "/usr/local/bin/avstem-agent"
	// startAgent runs the agent as systemd would run its unit: as a user that has
	// nothing but its state directory. Where it doesn't start, it says why.
	startAgent = "systemd-run --quiet --unit=avstem-agent --property=Type=notify --property=DynamicUser=yes --property=StateDirectory=avstem " +
		agentProgram + " run --server tls://lab:4222 --ca /etc/avstem/ca.pem --state-dir /var/lib/avstem --interval 2s" +
		" || { journalctl --no-pager --unit=avstem-agent >&2; exit 1; }"
)

// putAgent builds the agent as it ships and puts it on every host.
func putAgent(t *testing.T, l *Lab) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "avstem-agent")
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-s -w", "-o", file, "github.com/dataverket/avstem/cmd/avstem-agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build avstem-agent: %v\n%s", err, said)
	}
	program, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range l.Hosts() {
		if err := h.Put(t.Context(), agentProgram, program, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// shown is what the agent says of its host.
type shown struct {
	ID       uuid.UUID `json:"id"`
	Evidence []struct {
		Name, Stored, Seen, Says string
	} `json:"evidence"`
	Clone string `json:"clone"`
}

func identityOf(t *testing.T, h *Host) (s shown) {
	t.Helper()
	if err := json.Unmarshal([]byte(run(t, h, agentProgram+" identity show -o json --state-dir /var/lib/avstem")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// published are the documents of one host that the stream had, by source.
type published map[string]*inventory.Observation

// await follows the stream until what it has of the host will do.
func (p published) await(t *testing.T, c *bus.Conn, host uuid.UUID, enough func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	done := false
	err := c.Observations(ctx, bus.ObservationHandler{
		Observation: func(o *inventory.Observation) {
			if o.Host != host {
				return
			}
			p[o.Source] = o
			if enough() {
				done = true
				cancel()
			}
		},
		Refused: func(subject string, err error) { t.Errorf("%s: %v", subject, err) },
		Ready:   func() {},
	})
	if !done {
		t.Fatalf("the stream never had what is waited for: %v; there are %v", err, slices.Sorted(maps.Keys(p)))
	}
}

// agentCases go in this order, on hosts as they booted.
func agentCases(t *testing.T, l *Lab) {
	first, second := l.Host(0), l.Host(1)
	c := serveNATS(t, l)
	seen := published{}

	t.Run("the agent runs unprivileged under systemd and publishes", func(t *testing.T) {
		run(t, first, startAgent)
		if user := run(t, first, "ps -o user= -C avstem-agent"); user == "" || user == "root" {
			t.Errorf("it runs as %q", user)
		}
		id := identityOf(t, first).ID
		seen.await(t, c, id, func() bool {
			return seen["identity"] != nil && seen["network"] != nil && seen["storage"] != nil && seen["storage"].Complete && seen["network"].Complete
		})
		if got := seen["identity"].Identity.Hostname; got != "hv1" {
			t.Errorf("hostname %q is published", got)
		}
		if boot := run(t, first, "cat /proc/sys/kernel/random/boot_id"); seen["network"].BootID != boot {
			t.Errorf("boot ID %s is published, it is %s", seen["network"].BootID, boot)
		}
	})

	t.Run("a rename changes no identity", func(t *testing.T) {
		before := identityOf(t, first).ID
		run(t, first, "hostname renamed && echo renamed >/etc/hostname")
		seen.await(t, c, before, func() bool { return seen["identity"].Identity.Hostname == "renamed" })
		if after := identityOf(t, first).ID; after != before {
			t.Errorf("the ID was %s and is %s", before, after)
		}
	})

	t.Run("a state directory copied to another host is refused", func(t *testing.T) {
		state, err := first.run(t.Context(), "tar -C /var/lib/private -c avstem", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := second.run(t.Context(), "mkdir -p /var/lib && tar --no-same-owner -C /var/lib -x", state); err != nil {
			t.Fatal(err)
		}
		_, err = second.Run(t.Context(), agentProgram+" run --server tls://lab:4222 --ca /etc/avstem/ca.pem --state-dir /var/lib/avstem")
		if err == nil {
			t.Fatal("the agent ran")
		}
		for _, words := range []string{"exit status 1", "was made on another machine, which is host " + identityOf(t, first).ID.String(),
			"nothing is published as that host", "identity adopt", "identity renew"} {
			if !strings.Contains(err.Error(), words) {
				t.Errorf("it doesn't say %q: %v", words, err)
			}
		}
		run(t, second, agentProgram+" identity renew --state-dir /var/lib/avstem")
		if s := identityOf(t, second); s.ID == identityOf(t, first).ID || s.Clone != "" {
			t.Errorf("after it was renewed it is %+v", s)
		}
	})
}

// A host that was furnished shows what was built and nothing else.
func proveFurnished(t *testing.T, h *Host) {
	if err := h.Furnish(t.Context()); err != nil {
		t.Fatal(err)
	}
	var all []*inventory.Observation
	if err := json.Unmarshal([]byte(run(t, h, agentProgram+" collect -o json")), &all); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, o := range all {
		if o.Source != "network" && o.Source != "storage" {
			continue
		}
		if !o.Complete || len(o.Problems) > 0 {
			t.Errorf("%s is complete: %v, with problems %v", o.Source, o.Complete, o.Problems)
		}
		for _, l := range o.Links {
			got["link "+l.Name] = describeLink(l)
		}
		for _, b := range o.OVSBridges {
			got["Open vSwitch bridge "+b.Name] = b.Datapath
		}
		for _, d := range o.BlockDevices {
			got["block device "+d.Name] = fmt.Sprint(d.Kind, " ", d.Size, " ", d.Serial, d.WWN, d.DMName, " ", d.Members)
		}
		for _, f := range o.FileSystems {
			got["file system "+f.Mount] = f.Type + " on " + f.BlockDevice
		}
	}
	const disk = "disk 64 MiB 200033333330000007d0 []" // the serial and the WWN of either path
	want := map[string]string{
		"link lo":      "loopback",
		"link mgmt0":   "physical",
		"link nic0":    "physical in bond0, active",
		"link nic1":    "physical in bond0, backup",
		"link bond0":   "bond in br0, active-backup, nic0 active, VLANs 110 120",
		"link br0":     "bridge VLANs 1u 110",
		"link br0.110": "vlan 110 of br0",
		// Links of the kernel's datapath, and its bridge's own.
		"link ovs-system":          "openvswitch",
		"link ovs0":                "openvswitch",
		"Open vSwitch bridge ovs0": "system",
		"block device sda":         disk,
		"block device sdb":         disk,
		"block device dm-0":        "dm 64 MiB mpatha [sda sdb]",
		"block device dm-1":        "dm 32 MiB vg0-images [dm-0]",
		"file system /srv/images":  "ext4 on dm-1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what the host shows (-want +got):\n%s", diff)
	}
}

// describeLink says what matters of a link here.
func describeLink(l inventory.Link) string {
	var b strings.Builder
	b.WriteString(l.Kind)
	if l.VLAN != nil {
		fmt.Fprintf(&b, " %d of %s", *l.VLAN, l.Parent)
	}
	if l.Master != "" {
		b.WriteString(" in " + l.Master)
	}
	if l.BondState != "" {
		b.WriteString(", " + l.BondState)
	}
	if l.BondMode != "" {
		fmt.Fprintf(&b, ", %s, %s active,", l.BondMode, l.ActiveMember)
	}
	if len(l.PortVLANs) > 0 {
		b.WriteString(" VLANs")
	}
	for _, v := range l.PortVLANs {
		fmt.Fprintf(&b, " %d", v.ID)
		if v.PVID && v.Untagged {
			b.WriteString("u")
		}
	}
	return b.String()
}

// proveNewNIC gives the first host a NIC and expects its next start to note it.
func proveNewNIC(t *testing.T, h *Host) {
	before := identityOf(t, h).ID
	if err := h.AddNIC(); err != nil {
		t.Fatal(err)
	}
	if err := h.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := identityOf(t, h)
	if s.ID != before || s.Clone != "" {
		t.Errorf("the ID was %s, and now it is %+v", before, s)
	}
	for _, e := range s.Evidence {
		if strings.Contains(e.Seen, h.MAC("nic2")) && !strings.Contains(e.Stored, h.MAC("nic2")) {
			return
		}
	}
	t.Errorf("identity show doesn't tell of %s: %+v", h.MAC("nic2"), s.Evidence)
}
