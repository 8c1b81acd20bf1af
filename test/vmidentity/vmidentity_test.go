package vmidentity

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
)

var web01 = guest{name: "web-01", uuid: web01UUID, mac: web01MAC, label: web01UUID}

func expect(t *testing.T, r *reconcile.Result, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, identities(r)); diff != "" {
		t.Errorf("findings about identity (-want +got):\n%s", diff)
	}
}

func TestOnOneHost(t *testing.T) {
	h := newHost(t, "hv1")
	t.Run("as recorded", func(t *testing.T) {
		h.define(t, web01)
		h.start(t, web01)
		expect(t, judged(t, h))
	})
	t.Run("a second VM with its UUID is refused", func(t *testing.T) {
		h.define(t, web01)
		twin := guest{name: "web-01-twin", uuid: web01UUID, mac: otherMAC}
		if said := h.refuse(t, twin); !strings.Contains(said, "is already defined with uuid") {
			t.Errorf("libvirt says %q", said)
		}
		expect(t, judged(t, h))
	})
	t.Run("a clone with its label", func(t *testing.T) {
		h.define(t, web01)
		h.define(t, guest{name: "web-01-clone", uuid: otherUUID, mac: otherMAC, label: web01UUID})
		expect(t, judged(t, h), "identity.cloned web-01-clone vm.identity")
	})
	t.Run("a clone of a running guest, generation and all", func(t *testing.T) {
		const generation = "6f1c0000-0000-4000-8000-00000000aaaa"
		original, clone := web01, guest{name: "web-01-clone", uuid: otherUUID, mac: otherMAC, label: web01UUID}
		original.generation, clone.generation = generation, generation
		h.define(t, original)
		h.define(t, clone)
		r := judged(t, h)
		expect(t, r, "identity.cloned web-01-clone vm.identity")
		told := func(f reconcile.Finding) bool {
			return slices.ContainsFunc(f.Evidence, func(line string) bool { return strings.Contains(line, "both have generation ID "+generation) })
		}
		if !slices.ContainsFunc(r.Findings, told) {
			t.Error("that its guest was not told is not said")
		}
	})
	// libvirt 11.6 has hwuuid for that; scenarios identity-cloned-smbios-uuid and
	// trap-12 say what is made of it.
	t.Run("another UUID in the firmware is refused", func(t *testing.T) {
		if said := h.refuse(t, guest{name: "web-01-clone", uuid: otherUUID, mac: otherMAC, hardware: web01UUID}); !strings.Contains(said, "UUID mismatch") {
			t.Errorf("libvirt says %q", said)
		}
	})
	t.Run("restored under a new UUID, MAC kept", func(t *testing.T) {
		h.define(t, guest{name: "web-01", uuid: otherUUID, mac: web01MAC})
		expect(t, judged(t, h), "identity.changed web-01 vm.uuid")
	})
	t.Run("restored under a new UUID, label kept", func(t *testing.T) {
		h.define(t, guest{name: "web-01", uuid: otherUUID, mac: otherMAC, label: web01UUID})
		expect(t, judged(t, h), "identity.changed web-01 vm.uuid")
	})
	t.Run("renamed", func(t *testing.T) {
		h.define(t, web01)
		h.virsh(t, "domrename", "web-01", "web-01-renamed")
		t.Cleanup(func() { h.virsh(t, "undefine", "web-01-renamed") })
		expect(t, judged(t, h))
	})
	t.Run("its UUID in the other byte order", func(t *testing.T) {
		swapped := inventory.SwapUUID(uuid.MustParse(web01UUID)).String()
		h.define(t, guest{name: "web-01", uuid: swapped, mac: web01MAC})
		r := judged(t, h)
		expect(t, r)
		if diff := cmp.Diff([]string{"runtime-uuid: in the other byte order"}, noted(r)); diff != "" {
			t.Errorf("notes (-want +got):\n%s", diff)
		}
	})
}

func TestOnTwoHosts(t *testing.T) {
	first, second := newHost(t, "hv1"), newHost(t, "hv2")
	t.Run("what a migration leaves behind", func(t *testing.T) {
		first.define(t, web01)
		first.start(t, web01)
		second.define(t, web01)
		expect(t, judged(t, first, second))
	})
	t.Run("active on both", func(t *testing.T) {
		for _, h := range []*host{first, second} {
			h.define(t, web01)
			h.start(t, web01)
		}
		expect(t, judged(t, first, second), "vm.duplicate web-01 vm.host")
	})
	t.Run("copied with its UUID, stopped", func(t *testing.T) {
		first.define(t, web01)
		first.start(t, web01)
		second.define(t, guest{name: "web-01-copy", uuid: web01UUID, mac: otherMAC})
		expect(t, judged(t, first, second), "identity.cloned web-01 vm.uuid")
	})
	t.Run("copied with its UUID, started", func(t *testing.T) {
		second.define(t, guest{name: "web-01-copy", uuid: web01UUID, mac: otherMAC})
		second.start(t, guest{name: "web-01-copy"})
		first.define(t, web01)
		first.start(t, web01)
		expect(t, judged(t, first, second), "vm.duplicate web-01 vm.host")
	})
	t.Run("moved by a live migration", func(t *testing.T) {
		first.define(t, web01)
		first.start(t, web01)
		done := first.migrate(t, web01, second)
		for moving := true; moving; { // whatever is seen on the way, nobody is alarmed
			select {
			case err := <-done:
				if err != nil {
					t.Fatal(err)
				}
				moving = false
			default:
			}
			for _, f := range judged(t, first, second).Findings {
				switch {
				case f.Kind == reconcile.VMState: // the test's guests are paused, which costs no CPU
				case f.Kind == reconcile.VMDuplicate && f.Verdict == reconcile.Potential:
					// Pending for a moment, before it says that it migrates.
				case f.Severity == reconcile.High || f.Severity == reconcile.Critical:
					t.Errorf("on the way: %s: %s", f.Kind, f.Message)
				}
			}
		}
		r := judged(t, first, second)
		expect(t, r)
		i := slices.IndexFunc(r.VMs, func(vm reconcile.VMMatch) bool { return vm.Intended != nil })
		if vm := r.VMs[i]; vm.Observed.Host != "hv2" || len(vm.Copies) != 1 || vm.Copies[0].RawState != "shut off (migrated)" {
			t.Errorf("it is on %s, and left behind is %+v", vm.Observed.Host, vm.Copies)
		}
		second.forget(t, web01)
	})
}
