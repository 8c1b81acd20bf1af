package probe

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

func TestHeld(t *testing.T) {
	a, b, extra := inventory.MAC{0x52, 0x54, 0, 0, 0, 1}, inventory.MAC{0x52, 0x54, 0, 0, 0, 2}, inventory.MAC{0x52, 0x54, 0, 0, 0, 9}
	id := uuid.MustParse("0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001")
	throwaway := &VM{ExtraMAC: extra, ExtraSerial: "extra"}
	made := func(change func(*inventory.VM)) *inventory.VM {
		vm := &inventory.VM{UUID: id, NICs: []inventory.NIC{{MAC: a}, {MAC: b}}, Disks: []inventory.Disk{{Serial: "root"}}, Placement: &inventory.Placement{Tenant: "t"}}
		change(vm)
		return vm
	}
	asIs := func(*inventory.VM) {}
	all := func(but ...string) map[string]bool {
		kept := map[string]bool{}
		for _, what := range []string{"uuid", "macs", "nics", "serials", "metadata"} {
			kept[what] = !slices.Contains(but, what)
		}
		return kept
	}
	for name, test := range map[string]struct {
		step          string
		before, after *inventory.VM
		want          map[string]bool
		changed       []string
	}{
		"all":            {"stop", made(asIs), made(asIs), all(), nil},
		"nothing before": {"stop", nil, made(asIs), nil, nil},
		"gone after":     {"delete", made(asIs), nil, nil, nil},
		"another UUID":   {"stop", made(asIs), made(func(vm *inventory.VM) { vm.UUID = uuid.Nil }), all("uuid"), []string{"uuid: " + id.String() + " → " + uuid.Nil.String()}},
		"another order":  {"stop", made(asIs), made(func(vm *inventory.VM) { slices.Reverse(vm.NICs) }), all("nics"), []string{"nics: " + a.String() + " " + b.String() + " → " + b.String() + " " + a.String()}},
		"the extra ones": {"attach-nic", made(asIs), made(func(vm *inventory.VM) {
			vm.NICs = append(vm.NICs, inventory.NIC{MAC: extra})
			vm.Disks = append(vm.Disks, inventory.Disk{Serial: "extra"})
		}), all(), nil},
		"no serial":       {"stop", made(asIs), made(func(vm *inventory.VM) { vm.Disks = nil }), all("serials"), []string{"serials: root → "}},
		"no metadata":     {"stop", made(asIs), made(func(vm *inventory.VM) { vm.Placement = nil }), all("metadata"), []string{"metadata: tenant t → nothing"}},
		"other metadata":  {"stop", made(asIs), made(func(vm *inventory.VM) { vm.Placement = &inventory.Placement{Tenant: "u", Project: "p"} }), all("metadata"), []string{"metadata: tenant t → tenant u, project p"}},
		"none to be kept": {"stop", &inventory.VM{}, made(asIs), map[string]bool{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			kept, changed := held(test.step, throwaway, test.before, test.after)
			if diff := cmp.Diff(test.want, kept); diff != "" {
				t.Errorf("(-want +kept):\n%s", diff)
			}
			if diff := cmp.Diff(test.changed, changed); diff != "" {
				t.Errorf("(-want +changed):\n%s", diff)
			}
		})
	}
	if kept, _ := held("set-metadata", throwaway, made(asIs), made(func(vm *inventory.VM) { vm.Placement = nil })); !cmp.Equal(kept, map[string]bool{"uuid": true, "macs": true, "nics": true, "serials": true}) {
		t.Errorf("what the step was to change is judged: %v", kept)
	}
}

func TestFirstEventOfAStep(t *testing.T) {
	vm := &VM{Name: Prefix + "a"}
	change := func(entity, word string) event {
		return event{collectors.Change{Entity: entity, Event: word}, time.Now()}
	}
	for name, test := range map[string]struct {
		step  string
		heard []event
		want  string
	}{
		"silence":                  {"start", nil, ""},
		"another VM's":             {"start", []event{change("web", "RESUME"), change("vm:default/"+Prefix+"a", "STOP")}, "STOP"},
		"a watch that begins":      {"start", []event{change("", "watching libvirt")}, ""},
		"about any":                {"start", []event{change("", "lost some")}, "lost some"},
		"a guest boots again":      {"start", []event{change("vm:"+Prefix+"a", "RESET"), change("vm:"+Prefix+"a", "RESUME")}, "RESUME"},
		"unless it was asked to":   {"reboot", []event{change("vm:"+Prefix+"a", "RESET")}, "RESET"},
		"a clone's is not its own": {"start", []event{change("vm:"+Prefix+"a-clone", "defined")}, ""},
	} {
		e := &eyes{heard: test.heard}
		got := ""
		if first := e.first(test.step, vm, nil); first != nil {
			got = first.Event
		}
		if got != test.want {
			t.Errorf("%s: heard %q, want %q", name, got, test.want)
		}
	}
}
