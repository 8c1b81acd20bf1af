package history

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/files"
)

const (
	web01 = "0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001"
	nic   = "nics[52:54:00:aa:00:01]"
)

var start = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

// past is a site's past that is being made up, a minute a step.
type past struct {
	tb      testing.TB
	entries []Entry
	seq     map[Side]uint64
	docs    map[string]*inventory.Observation // by source, as said last
	inv     *sentral.Inventory
	kept    map[sentral.RecordID]string
	version int
}

// newPast begins with the fleet that the commands' tests have: one host, whose
// documents come first.
func newPast(tb testing.TB) *past {
	p := &past{tb: tb, seq: map[Side]uint64{}, docs: map[string]*inventory.Observation{}, kept: map[sentral.RecordID]string{}}
	dir := filepath.Join("..", "cmd", "avstem", "testdata", "fleet")
	source, err := files.Open(filepath.Join(dir, "inventory"))
	if err != nil {
		tb.Fatal(err)
	}
	if p.inv, err = source.Read(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "hv-osl1-01.json"))
	if err != nil {
		tb.Fatal(err)
	}
	documents, err := inventory.DecodeObservations(strings.NewReader(string(data)), 1<<20)
	if err != nil {
		tb.Fatal(err)
	}
	p.intend(0, func(*sentral.Inventory) {})
	for _, o := range documents {
		p.docs[o.Source] = o
		p.observe(0, o.Source, func(*inventory.Observation) {})
	}
	return p
}

func (p *past) next(side Side) uint64 { p.seq[side]++; return p.seq[side] }

func at(minute int) time.Time { return start.Add(time.Duration(minute) * time.Minute) }

// observe has a source say what it said before, with a change.
func (p *past) observe(minute int, source string, change func(*inventory.Observation)) {
	p.tb.Helper()
	text, err := json.Marshal(p.docs[source])
	if err != nil {
		p.tb.Fatal(err)
	}
	o := new(inventory.Observation)
	if err := json.Unmarshal(text, o); err != nil {
		p.tb.Fatal(err)
	}
	o.Gen++
	o.ObservedAt = at(minute)
	change(o)
	if err := o.Seal(); err != nil {
		p.tb.Fatal(err)
	}
	p.docs[source] = o
	p.entries = append(p.entries, Document(o, "OBSERVED", p.next(Observed), at(minute)))
}

// intend has the inventory changed, and keeps what differs.
func (p *past) intend(minute int, change func(*sentral.Inventory)) {
	p.tb.Helper()
	change(p.inv)
	p.version++
	p.inv.Version = fmt.Sprintf("v%d", p.version)
	there := map[sentral.RecordID]bool{}
	add := func(e Entry) {
		e.At, e.Sequence = at(minute), p.next(Intended)
		p.entries = append(p.entries, e)
	}
	for e := range Said(p.inv) {
		text, _, err := e.Content()
		if err != nil {
			p.tb.Fatal(err)
		}
		id := sentral.RecordID{Type: e.Type, ID: e.ID}
		there[id] = true
		if p.kept[id] == string(text) {
			continue
		}
		p.kept[id] = string(text)
		copied := Entry{Cause: e.Cause} // the inventory's own record changes later
		if err := copied.SetContent(text, e.Left != nil); err != nil {
			p.tb.Fatal(err)
		}
		add(copied)
	}
	for id := range p.kept {
		if !there[id] {
			delete(p.kept, id)
			add(Entry{Cause: Cause{Side: Intended, Type: id.Type, ID: id.ID, Version: p.inv.Version}, Gone: true})
		}
	}
}

func (p *past) vm(o *inventory.Observation) *inventory.VM {
	for i := range o.VMs {
		if o.VMs[i].UUID.String() == web01 {
			return &o.VMs[i]
		}
	}
	p.tb.Fatal("web-01 is not in the document")
	return nil
}

func tag(vlan inventory.VLAN) func(*inventory.Observation) {
	return func(o *inventory.Observation) { o.OVSBridges[0].Ports[0].Tag = &vlan }
}

func lines(changes []Change) (all []string) {
	for _, c := range changes {
		by := fmt.Sprintf("%s %s", c.Cause.Type, c.Cause.Version)
		if c.Side == Observed {
			by = fmt.Sprintf("%s %d.%d", c.Cause.Source, c.Cause.Epoch, c.Cause.Gen)
		}
		was, _ := json.Marshal(c.Was)
		now, _ := json.Marshal(c.Now)
		all = append(all, fmt.Sprintf("%s %s %s: %s → %s by %s", c.At.Format("15:04"), c.Side, c.Path, was, now, by))
	}
	return all
}

var theVM = Thing{Type: "vm", Name: "web-01", Record: web01, ID: uuid.MustParse(web01)}

func TestWalk(t *testing.T) {
	for name, tt := range map[string]struct {
		thing  Thing
		happen func(*past)
		want   []string
	}{
		"nothing changed, however often it is said": {theVM, func(p *past) {
			p.observe(10, "network", func(*inventory.Observation) {})
			p.observe(10, "runtime-libvirt", func(*inventory.Observation) {})
			p.intend(11, func(*sentral.Inventory) {})
		}, nil},
		"a port's VLAN is the NIC's": {theVM, func(p *past) {
			p.observe(5, "network", tag(110))
		}, []string{
			`10:05 observed nics[52:54:00:aa:00:01].path: "tap vnet0 → OVS port vnet0, tag 120 → OVS bridge br0" → "tap vnet0 → OVS port vnet0, tag 110 → OVS bridge br0" by network 3.6`,
			`10:05 observed nics[52:54:00:aa:00:01].vlan: 120 → 110 by network 3.6`,
		}},
		"so is a network's on the other side": {theVM, func(p *past) {
			p.intend(5, func(inv *sentral.Inventory) { inv.Networks[0].VLANs["osl1"] = 111 })
		}, []string{`10:05 intended nics[52:54:00:aa:00:01].vlan: 110 → 111 by network v2`}},
		"what was said first is said again, and something else with it": {theVM, func(p *past) {
			p.intend(5, func(inv *sentral.Inventory) { inv.Networks[0].VLANs["osl1"] = 111 })
			from := len(p.entries)
			p.intend(6, func(inv *sentral.Inventory) { inv.Networks[0].VLANs["osl1"] = 110 })
			for i := range p.entries[from:] { // whose version is of what it says
				p.entries[from+i].Version = "v1"
			}
			p.intend(7, func(inv *sentral.Inventory) { inv.Networks[1].VLANs["osl1"] = 130 })
		}, []string{
			`10:05 intended nics[52:54:00:aa:00:01].vlan: 110 → 111 by network v2`,
			`10:06 intended nics[52:54:00:aa:00:01].vlan: 111 → 110 by network v1`,
		}},
		"a record is known although a host doesn't show the VM yet, nor anybody its ID": {
			Thing{Type: "vm", Name: "web-01", ID: uuid.MustParse(web01)}, func(p *past) {
				p.intend(5, func(inv *sentral.Inventory) { inv.Networks[0].VLANs["osl1"] = 111 })
			}, []string{`10:05 intended nics[52:54:00:aa:00:01].vlan: 110 → 111 by network v2`},
		},
		"a record and a document": {theVM, func(p *past) {
			p.intend(5, func(inv *sentral.Inventory) { *inv.VMs[0].VCPUs = 8 })
			p.observe(6, "runtime-libvirt", func(o *inventory.Observation) { p.vm(o).State = inventory.StateStopped })
		}, []string{
			`10:05 intended vcpus: 2 → 8 by vm v2`,
			`10:06 observed state: "running" → "stopped" by runtime-libvirt 3.19`,
		}},
		"a NIC goes as a whole": {theVM, func(p *past) {
			p.intend(5, func(inv *sentral.Inventory) { inv.VMs[0].NICs = nil })
		}, []string{`10:05 intended ` + nic + `: {"mac":"52:54:00:aa:00:01","network":"web-prod","vlan":110} → null by vm v2`}},
		"a VM goes and comes back otherwise": {theVM, func(p *past) {
			var kept []inventory.VM
			p.observe(5, "runtime-libvirt", func(o *inventory.Observation) {
				kept = o.VMs
				o.VMs, o.Problems, o.Outcome = nil, nil, inventory.OutcomeComplete
			})
			p.observe(6, "runtime-libvirt", func(o *inventory.Observation) { o.VMs = kept; p.vm(o).State = inventory.StatePaused })
		}, []string{
			`10:05 observed : "there" → "not there" by runtime-libvirt 3.19`,
			`10:06 observed : "not there" → "there" by runtime-libvirt 3.20`,
			`10:06 observed state: "running" → "paused" by runtime-libvirt 3.20`,
		}},
		"a runtime that can't be seen takes no VM with it": {theVM, func(p *past) {
			p.observe(5, "runtime-libvirt", func(o *inventory.Observation) {
				o.VMs, o.Complete, o.Outcome = nil, false, inventory.OutcomeFailed
			})
		}, []string{`10:05 observed : "there" → "out of sight" by runtime-libvirt 3.19`}},
		"a record goes and another comes": {
			Thing{Type: "vm", Record: "new", Name: "new-01"}, func(p *past) {
				p.intend(5, func(inv *sentral.Inventory) {
					vm := inv.VMs[0]
					vm.ID, vm.Name, vm.NICs, vm.Disks = "new", "new-01", nil, nil
					inv.VMs = append(inv.VMs, vm)
				})
				p.intend(6, func(inv *sentral.Inventory) { inv.VMs = inv.VMs[:len(inv.VMs)-1] })
			}, []string{
				`10:05 intended : "not there" → "there" by vm v2`,
				`10:06 intended : "there" → "not there" by vm v3`,
			},
		},
		"a record that can't be used is there no more": {theVM, func(p *past) {
			p.intend(5, func(inv *sentral.Inventory) {
				inv.LeftOut = append(inv.LeftOut, sentral.LeftOut{Type: "vm", ID: web01, Name: "web-01"})
				inv.VMs = inv.VMs[1:]
			})
		}, []string{`10:05 intended : "there" → "not there" by vm v2`}},
		"a host's own": {Thing{Type: "host", Record: "hv-osl1-01"}, func(p *past) {
			p.observe(5, "network", tag(110))
			p.observe(6, "identity", func(o *inventory.Observation) { o.Identity.Kernel = "6.1.0-29-amd64" })
			p.observe(7, "runtime-libvirt", func(o *inventory.Observation) { p.vm(o).State = inventory.StateStopped })
			p.intend(8, func(inv *sentral.Inventory) { inv.Hosts[0].State = sentral.HostMaintenance })
		}, []string{
			`10:05 observed ovsBridges[br0].ports[vnet0].tag: 120 → 110 by network 3.6`,
			`10:06 observed kernel: "6.1.0-28-amd64" → "6.1.0-29-amd64" by identity 3.3`,
			`10:07 observed vms[` + web01 + `].state: "running" → "stopped" by runtime-libvirt 3.19`,
			`10:08 intended state: null → "maintenance" by host v2`,
		}},
		"one that nobody ever knew": {Thing{Type: "vm", Record: "nobody"}, func(p *past) { p.observe(5, "network", tag(110)) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPast(t)
			tt.happen(p)
			if diff := cmp.Diff(tt.want, lines(Walk(tt.thing, p.entries, reconcile.DefaultPolicy()).Changes)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBlame(t *testing.T) {
	p := newPast(t)
	p.observe(3, "network", func(*inventory.Observation) {})
	p.observe(5, "network", tag(130))
	p.observe(7, "network", tag(110))
	p.observe(8, "network", func(*inventory.Observation) {})
	p.intend(9, func(inv *sentral.Inventory) { inv.Networks[0].VLANs["osl1"] = 110 })
	line := Walk(theVM, p.entries, reconcile.DefaultPolicy())
	for _, query := range []string{"nic.vlan", nic + ".vlan", "NIC.vlan"} {
		found := line.Blame(query)
		if len(found) != 1 || found[0].Path != nic+".vlan" || !found[0].Agrees {
			t.Fatalf("blame %s: %+v", query, found)
		}
		changed := found[0].Observed.Changed
		if changed == nil || fmt.Sprintf("%v %v", changed.Was, changed.Now) != "130 110" || changed.Cause.Source != "network" || changed.Cause.Gen != 8 ||
			!changed.At.Equal(at(7)) || !changed.LastWas.Equal(at(5)) {
			t.Errorf("observed: %+v", changed)
		}
		known := found[0].Intended.Known
		if known == nil || known.Type != "network" || known.ID != "web-prod" || known.Version != "v1" {
			t.Errorf("intended: %+v", found[0].Intended)
		}
	}
	for _, query := range []string{"memory", "vm.memory"} {
		found := line.Blame(query)
		if len(found) != 1 || found[0].Intended.Known == nil || found[0].Intended.Known.ID != web01 || found[0].Observed.Known == nil || found[0].Observed.Known.Source != "runtime-libvirt" {
			t.Errorf("blame %s: %+v", query, found)
		}
	}
	if found := line.Blame("nosuch"); len(found) != 0 {
		t.Errorf("blame of no field: %+v", found)
	}
	if fields := strings.Join(line.Fields(), " "); !strings.Contains(fields, "nic.vlan") || strings.Contains(fields, "[") {
		t.Errorf("fields: %s", fields)
	}
}

// TestBlameNamesWhoKnows: the VLAN that a NIC is on is the word of the host's links,
// before anybody has said which it should be, too.
func TestBlameNamesWhoKnows(t *testing.T) {
	p := newPast(t)
	for name, late := range map[string]func(Entry) bool{
		"the inventory is read last":    func(e Entry) bool { return e.Side == Intended },
		"the network is looked at last": func(e Entry) bool { return e.Source == "network" },
	} {
		var entries []Entry
		for _, last := range []bool{false, true} {
			for _, e := range p.entries {
				if late(e) == last {
					entries = append(entries, e)
				}
			}
		}
		found := Walk(theVM, entries, reconcile.DefaultPolicy()).Blame("nic.vlan")
		if len(found) != 1 || found[0].Observed == nil || found[0].Observed.Known == nil || found[0].Observed.Known.Source != "network" {
			t.Errorf("%s: %+v", name, found)
		}
	}
}

// However the past went, what it ends with is what a look at the last books gives,
// and each value has a cause that is one of the entries.
func TestWalkEndsWithWhatIs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := newPast(t)
		for minute := range rapid.IntRange(1, 8).Draw(rt, "steps") {
			switch rapid.IntRange(0, 3).Draw(rt, "what") {
			case 0:
				p.observe(minute+1, "network", tag(inventory.VLAN(rapid.IntRange(110, 112).Draw(rt, "tag"))))
			case 1:
				p.observe(minute+1, "runtime-libvirt", func(o *inventory.Observation) {
					p.vm(o).State = rapid.SampledFrom([]inventory.State{inventory.StateRunning, inventory.StateStopped}).Draw(rt, "state")
				})
			case 2:
				p.intend(minute+1, func(inv *sentral.Inventory) { *inv.VMs[0].VCPUs = rapid.IntRange(1, 3).Draw(rt, "vcpus") })
			case 3:
				p.intend(minute+1, func(inv *sentral.Inventory) {
					inv.Networks[0].VLANs["osl1"] = inventory.VLAN(rapid.IntRange(110, 112).Draw(rt, "vlan"))
				})
			}
		}
		line := Walk(theVM, p.entries, reconcile.DefaultPolicy())
		last := p.entries[len(p.entries)-1].At
		is := line.Books.see(&theVM, reconcile.Reconcile(line.Books.Input(last, reconcile.DefaultPolicy())))
		known := map[string]bool{}
		for _, e := range p.entries {
			known[fmt.Sprint(e.Side, e.Sequence)] = true
		}
		for _, side := range []Side{Intended, Observed} {
			for path, value := range is.values[side] {
				got := line.Values[side][path]
				if path == Here {
					continue
				}
				if !equal(got.Value, value) {
					rt.Errorf("%s %s is %v, want %v", side, path, got.Value, value)
				}
				switch {
				case got.Changed != nil && known[fmt.Sprint(got.Changed.Cause.Side, got.Changed.Cause.Sequence)]:
				case got.Known != nil && known[fmt.Sprint(got.Known.Side, got.Known.Sequence)]:
				default:
					rt.Errorf("%s %s has no cause: %+v", side, path, got)
				}
			}
		}
	})
}
