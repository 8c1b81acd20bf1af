package vmidentity

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/collectors/libvirt"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/test/rig"
)

const (
	web01UUID = "6f1c0000-0000-4000-8000-000000000001"
	web01MAC  = "52:54:00:aa:00:01"
	otherUUID = "6f1c0000-0000-4000-8000-0000000000ff"
	otherMAC  = "52:54:00:aa:00:ff"
)

// guest is a domain in the few words that its identity takes.
type guest struct {
	name, uuid, mac string
	label           string // the Sentral ID in its metadata
	hardware        string // the UUID that the guest is to see, by sysinfo
	generation      string // <genid>
}

func (g guest) xml() string {
	element := func(name, text string) string {
		if text == "" {
			return ""
		}
		return fmt.Sprintf("<%s>%s</%[1]s>", name, text)
	}
	label := ""
	if g.label != "" {
		label = fmt.Sprintf(`<metadata><dv:placement xmlns:dv="urn:dataverket:maskin:placement:v1" vm="%s" tenant="acme" project="web" environment="prod"/></metadata>`, g.label)
	}
	smbios, sysinfo := "", ""
	if g.hardware != "" {
		smbios, sysinfo = `<smbios mode='sysinfo'/>`, fmt.Sprintf(`<sysinfo type='smbios'><system><entry name='uuid'>%s</entry></system></sysinfo>`, g.hardware)
	}
	return fmt.Sprintf(`<domain type='qemu'><name>%s</name><uuid>%s</uuid>%s%s<memory unit='MiB'>32</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/>%s</os>%s
<devices><interface type='user'><mac address='%s'/><model type='virtio'/></interface></devices></domain>`,
		g.name, g.uuid, element("genid", g.generation), label, smbios, sysinfo, g.mac)
}

// host is one libvirtd of the test's own, as an agent on its host sees it.
type host struct {
	id        uuid.UUID
	rig       *rig.Rig
	collector *libvirt.Collector
}

func newHost(t *testing.T, name string) *host {
	h := &host{id: uuid.NewSHA1(uuid.NameSpaceDNS, []byte(name)), rig: rig.ForTestAs(t, name)}
	h.collector = &libvirt.Collector{Sockets: []string{h.rig.LibvirtReadOnlySocket()}}
	t.Cleanup(func() {
		if err := h.collector.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *host) define(t *testing.T, g guest) {
	t.Helper()
	if err := h.rig.Define(g.xml()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.forget(t, g) })
}

// forget ends a guest and removes its definition.
func (h *host) forget(t *testing.T, g guest) {
	_, _ = h.rig.Virsh("destroy", g.name) // it may not run
	if out, err := h.rig.Virsh("undefine", g.name); err != nil && !strings.Contains(out+err.Error(), "failed to get domain") {
		t.Error(err)
	}
}

// migrate begins to move a guest to another host, for good, and gives what comes
// of it. Both libvirtds and both QEMUs meet in the other rig's directory.
func (h *host) migrate(t *testing.T, g guest, to *host) <-chan error {
	done := make(chan error, 1)
	go func() {
		out, err := h.rig.Virsh("migrate", "--live", "--p2p", "--persistent", g.name,
			"--desturi", "qemu+unix:///system?socket="+to.rig.Dir()+"/run/libvirt/libvirt-sock", "--migrateuri", "unix://"+to.rig.Dir()+"/migration.sock")
		if err != nil {
			err = fmt.Errorf("migrate %s: %w: %s", g.name, err, out)
		}
		done <- err
	}()
	return done
}

func (h *host) start(t *testing.T, g guest) {
	t.Helper()
	if err := h.rig.StartVMPaused(g.name); err != nil {
		t.Fatal(err)
	}
}

// virsh runs a command that must succeed.
func (h *host) virsh(t *testing.T, args ...string) {
	t.Helper()
	if out, err := h.rig.Virsh(args...); err != nil {
		t.Fatalf("virsh %s: %v\n%s", args, err, out)
	}
}

// refuse defines a guest that libvirt must not take, and gives its words.
func (h *host) refuse(t *testing.T, g guest) string {
	t.Helper()
	path := "/var/lib/libvirt/refused.xml"
	if err := os.WriteFile(h.rig.Outside(path), []byte(g.xml()), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := h.rig.Virsh("define", path)
	if err == nil {
		t.Fatalf("libvirt took %s: %s", g.name, out)
	}
	return out + err.Error()
}

func (h *host) observe(t *testing.T, now time.Time) reconcile.Document {
	t.Helper()
	o := (&collectors.Runner{Collector: h.collector}).Run(t.Context())
	if o.Outcome != inventory.OutcomeComplete {
		t.Fatalf("pass over %s: %s: %v", h.id, o.Outcome, o.Problems)
	}
	o.Host, o.Site = h.id, "osl1"
	return reconcile.Document{Observation: o, Received: now}
}

// judged is what the reconciler says of the hosts now, against a record of web-01.
func judged(t *testing.T, hosts ...*host) *reconcile.Result {
	t.Helper()
	now := time.Now()
	in := reconcile.Input{Policy: reconcile.DefaultPolicy(), Now: now, Intended: &sentral.Inventory{
		Sites: []sentral.Site{{ID: "osl1"}},
		VMs: []sentral.VM{{ID: web01UUID, Name: "web-01", Tenant: "acme", Project: "web", Environment: "prod", Site: "osl1",
			NICs: []sentral.NIC{{MAC: mustMAC(web01MAC)}}}},
	}}
	for i, h := range hosts {
		in.Intended.Hosts = append(in.Intended.Hosts, sentral.Host{ID: fmt.Sprintf("hv%d", i+1), HostID: h.id, Site: "osl1"})
		in.Observed = append(in.Observed, h.observe(t, now))
	}
	return reconcile.Reconcile(in)
}

func mustMAC(text string) inventory.MAC {
	m, err := inventory.ParseMAC(text)
	if err != nil {
		panic(err)
	}
	return m
}

// identities are the findings about identity, as "kind subject field".
func identities(r *reconcile.Result) []string {
	var lines []string
	for _, f := range r.Findings {
		if strings.HasPrefix(string(f.Kind), "identity.") || f.Kind == reconcile.VMDuplicate {
			lines = append(lines, fmt.Sprintf("%s %s %s", f.Kind, f.Subject.Name, f.Field))
		}
	}
	slices.SortFunc(lines, cmp.Compare[string])
	return lines
}

// noted are the notes in the evidence of the match of web-01.
func noted(r *reconcile.Result) (notes []string) {
	for _, vm := range r.VMs {
		for _, e := range vm.Evidence {
			if vm.Intended != nil && e.Note != "" {
				notes = append(notes, e.Rung+": "+e.Note)
			}
		}
	}
	return notes
}
