package hardware

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/collectors/collectorstest"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/test/guest"
)

const (
	uuidA, uuidB = "4c4c4544-0038-4b10-8052-b7c04f4d3034", "4c4c4544-0058-5910-8037-b8c04f385a33"
	nicA1, nicA2 = "b8:ce:f6:00:00:01", "b8:ce:f6:00:00:02"
	nicB1        = "b8:ce:f6:00:00:09"
)

// board is a machine with proper marks.
func board(systemUUID, serial, boardSerial string, nics ...string) guest.PC {
	return guest.PC{
		UUID: systemUUID, NICs: nics,
		SMBIOS: []string{"type=1,manufacturer=Dell Inc.,product=PowerEdge R6615,serial=" + serial, "type=2,serial=" + boardSerial, "type=3,serial=CHASSIS1,asset=DV-004711"},
	}
}

// The steps that tests take.
var (
	show     = step{Args: []string{"identity", "show", "-o", "json"}}
	run      = step{Args: []string{"run", "--server", "nats://127.0.0.1:1"}}
	collect  = step{Args: []string{"collect", "--source", "identity", "-o", "json"}}
	asNobody = step{Args: []string{"collect", "--source", "identity", "-o", "json"}, User: 65534}
)

// shown is what identity show says.
type shown struct {
	ID          uuid.UUID `json:"id"`
	Provisional bool      `json:"provisional"`
	Epoch       uint64    `json:"epoch"`
	Evidence    []struct {
		Name, From, Stored, Seen, Says string
	} `json:"evidence"`
	Junk   []string            `json:"junk"`
	Unread []inventory.Problem `json:"unread"`
	Clone  string              `json:"clone"`
}

func parse[T any](t *testing.T, o outcome) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(o.Stdout), &v); err != nil || o.Exit != 0 {
		t.Fatalf("exit %d, %v:\n%s%s", o.Exit, err, o.Stdout, o.Stderr)
	}
	return v
}

// says gives what is said of each piece of evidence.
func (s shown) says() map[string]string {
	all := map[string]string{}
	for _, p := range s.Evidence {
		all[p.Name] = p.Says
	}
	return all
}

// started checks that the agent came up as some host, and gives what it logged
// before.
func started(t *testing.T, o outcome) (log string) {
	t.Helper()
	if o.Exit != 0 || !strings.Contains(o.Stderr, `msg="host identity"`) {
		t.Fatalf("the agent didn't start: exit %d\n%s", o.Exit, o.Stderr)
	}
	return o.Stderr
}

// One host through its life: installed, renamed, given a new board, new NICs and
// disks, and at last its disk in another machine.
func TestHostThroughItsLife(t *testing.T) {
	t.Parallel()
	p, disk := build(t), newDisk(t)
	tpm := guest.NewTPM(t, guest.Certified...)
	key := guest.CertifiedKey(t, tpm, guest.RSACertificate)
	first := board(uuidA, "78KRM04", "BRD1", nicA1, nicA2)
	first.TPM = tpm

	var id uuid.UUID
	t.Run("first start", func(t *testing.T) {
		// Several passes, as a TPM takes its time, and each must wait for it.
		out := p.boot(t, first, disk, "hv1", show, run, show, collect, asNobody, collect, collect, collect, collect)
		if before := parse[shown](t, out[0]); !before.Provisional {
			t.Errorf("before the first start it is %+v", before)
		}
		started(t, out[1])
		s := parse[shown](t, out[2])
		id = s.ID
		if s.Provisional || s.Epoch != 1 || s.Clone != "" || len(s.Unread) > 0 {
			t.Errorf("shown is %+v", s)
		}
		doc := parse[[]inventory.Observation](t, out[3])[0]
		got := *doc.Identity
		want := inventory.Host{
			Hostname: "hv1", SystemUUID: uuid.MustParse(uuidA), Serial: "78KRM04", BoardSerial: "BRD1", ChassisSerial: "CHASSIS1", AssetTag: "DV-004711",
			EndorsementKey: key, Vendor: "Dell Inc.", Product: "PowerEdge R6615",
			MACs:      []inventory.MAC{mac(t, nicA1), mac(t, nicA2)},
			MachineID: got.MachineID, Architecture: "x86_64", Kernel: got.Kernel, CPUModel: got.CPUModel, CPUs: got.CPUs, Memory: got.Memory,
		}
		if diff := cmp.Diff(want, got); diff != "" || doc.Host != id {
			t.Errorf("host %s describes itself (-want +got):\n%s", doc.Host, diff)
		}
		collectorstest.Prove(t, "../../collectors/identity/"+collectorstest.ProofFile, "TestHostThroughItsLife", &doc)
		refused(t, parse[[]inventory.Observation](t, out[4])[0])
		for _, o := range out[5:] {
			if doc := parse[[]inventory.Observation](t, o)[0]; doc.Identity.EndorsementKey != key {
				t.Errorf("another pass shows TPM key %q: %v", doc.Identity.EndorsementKey, doc.Problems)
			}
		}
	})

	renamed := first
	renamed.Disks = []guest.PCDisk{{File: newDisk(t), Serial: "DATA1"}}
	t.Run("reboot, another name, another data disk", func(t *testing.T) {
		out := p.boot(t, renamed, disk, "hv-osl1-01", run, show)
		if log := started(t, out[0]); strings.Contains(log, "not as at the last start") {
			t.Errorf("something is noted:\n%s", log)
		}
		if s := parse[shown](t, out[1]); s.ID != id || s.Epoch != 2 {
			t.Errorf("it is %s, epoch %d", s.ID, s.Epoch)
		}
	})

	t.Run("board swap", func(t *testing.T) {
		swapped := board(uuidB, "78KRM04", "BRD2", nicA1, nicA2) // a technician wrote the serial into it
		out := p.boot(t, swapped, disk, "hv1", show, run, show)
		want := map[string]string{"machine ID": "same", "system UUID": "differs", "serial": "same", "board serial": "differs", "MAC addresses": "same", "TPM key": "unseen"}
		if diff := cmp.Diff(want, parse[shown](t, out[0]).says()); diff != "" {
			t.Errorf("before its start (-want +got):\n%s", diff)
		}
		if log := started(t, out[1]); !strings.Contains(log, "system UUID was "+uuidA+" and is "+uuidB) || !strings.Contains(log, "board serial was BRD1 and is BRD2") {
			t.Errorf("it isn't noted:\n%s", log)
		}
		if s := parse[shown](t, out[2]); s.ID != id || s.Epoch != 3 {
			t.Errorf("it is %s, epoch %d", s.ID, s.Epoch)
		}
	})

	last := board(uuidB, "78KRM04", "BRD2", nicB1)
	last.Disks = []guest.PCDisk{{File: newDisk(t), Serial: "DATA2"}}
	t.Run("NIC swap and disk swap", func(t *testing.T) {
		out := p.boot(t, last, disk, "hv1", run, show)
		if log := started(t, out[0]); !strings.Contains(log, "NIC "+nicB1+" is new") || !strings.Contains(log, "NIC "+nicA1+" is gone") || strings.Contains(log, "DATA") {
			t.Errorf("it isn't noted:\n%s", log)
		}
		if s := parse[shown](t, out[1]); s.ID != id || s.Epoch != 4 {
			t.Errorf("it is %s, epoch %d", s.ID, s.Epoch)
		}
	})

	t.Run("its disk copied to another machine", func(t *testing.T) {
		other := board("4c4c4544-0042-3510-8052-b4c04f4e3232", "XYZ789", "BRD9", "b8:ce:f6:00:01:01")
		out := p.boot(t, other, copyDisk(t, disk), "hv1",
			run, show,
			step{Args: []string{"identity", "adopt"}}, run, show,
			step{Args: []string{"identity", "renew"}}, run, show)
		if o := out[0]; o.Exit != 1 || !strings.Contains(o.Stderr, "was made on another machine, which is host "+id.String()) || !strings.Contains(o.Stderr, "identity renew") {
			t.Errorf("a copy started: exit %d\n%s", o.Exit, o.Stderr)
		}
		if s := parse[shown](t, out[1]); s.Clone == "" || s.Epoch != 4 {
			t.Errorf("a copy is shown as %+v", s)
		}
		started(t, out[3])
		if s := parse[shown](t, out[4]); s.ID != id || s.Clone != "" {
			t.Errorf("adopted, it is %+v", s)
		}
		started(t, out[6])
		if s := parse[shown](t, out[7]); s.ID == id || s.Provisional {
			t.Errorf("renewed, it is %+v", s)
		}
	})
}

// refused checks that what an ordinary user may not read is said, with what to do.
func refused(t *testing.T, doc inventory.Observation) {
	t.Helper()
	got := map[inventory.Field]bool{}
	for _, p := range doc.Problems {
		if p.Why == inventory.WhyRefused && p.Remedy != "" {
			got[p.Field] = true
		}
	}
	want := map[inventory.Field]bool{"host.systemUUID": true, "host.serial": true, "host.boardSerial": true, "host.chassisSerial": true, "host.endorsementKey": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refused to an ordinary user with a remedy (-want +got):\n%s", diff)
	}
	if h := doc.Identity; h.Serial != "" || h.EndorsementKey != "" || h.Vendor != "Dell Inc." || len(h.MACs) != 2 || h.MachineID == uuid.Nil {
		t.Errorf("an ordinary user sees %+v", h)
	}
}

// A host is installed again: same hardware, empty disk. It gets a new ID; what
// both documents say makes the reconciler propose the old one, and the command
// that the finding gives brings it back.
func TestHostThatIsInstalledAgain(t *testing.T) {
	t.Parallel()
	p := build(t)
	pc := board(uuidA, "78KRM04", "BRD1", nicA1)
	before := parse[[]inventory.Observation](t, p.boot(t, pc, newDisk(t), "hv1", run, collect)[1])[0]
	out := p.boot(t, pc, newDisk(t), "localhost", run, collect,
		step{Args: []string{"identity", "adopt", before.Host.String()}}, run, show)
	started(t, out[0])
	after := parse[[]inventory.Observation](t, out[1])[0]
	if after.Host == before.Host || after.Identity.MachineID == before.Identity.MachineID {
		t.Fatalf("it wasn't installed again: %s", after.Host)
	}

	now := time.Now()
	in := reconcile.Input{
		Policy: reconcile.DefaultPolicy(), Now: now,
		Intended: &sentral.Inventory{Sites: []sentral.Site{{ID: "default"}}, Hosts: []sentral.Host{{ID: "hv1", HostID: before.Host, Site: "default", Serial: "78KRM04"}}},
		Observed: []reconcile.Document{{Observation: &before, Received: now.Add(-time.Hour)}, {Observation: &after, Received: now}},
	}
	want := "avstem-agent identity adopt " + before.Host.String()
	proposed := slices.ContainsFunc(reconcile.Reconcile(in).Findings, func(f reconcile.Finding) bool {
		return f.Kind == reconcile.IdentityChanged && slices.ContainsFunc(f.Resolutions, func(r reconcile.Resolution) bool { return strings.Contains(r.Do, want) })
	})
	if !proposed {
		t.Errorf("no finding says %q", want)
	}
	started(t, out[3])
	if s := parse[shown](t, out[4]); s.ID != before.Host || s.Clone != "" {
		t.Errorf("after that it is %+v", s)
	}
}

// What firmware says that was never filled in counts for nothing.
func TestBoardsWithPlaceholders(t *testing.T) {
	t.Parallel()
	p := build(t)
	for name, test := range map[string]struct {
		pc   guest.PC
		junk []string
	}{
		"zeros": {
			guest.PC{UUID: "00000000-0000-0000-0000-000000000000", SMBIOS: []string{"type=1,serial=0000000000", "type=2,serial=None", "type=3,serial=Chassis Serial Number,asset=No Asset Tag"}},
			[]string{"serial: 0000000000", "boardSerial: None", "chassisSerial: Chassis Serial Number", "assetTag: No Asset Tag"},
		},
		"the vendor's defaults": {
			guest.PC{UUID: "03000200-0400-0500-0006-000700080009", SMBIOS: []string{"type=1,serial=To Be Filled By O.E.M.,product=System Product Name", "type=2,serial=Default string", "type=3,serial=Default string,asset=Default string"}},
			[]string{"product: System Product Name", "systemUUID: 03000200-0400-0500-0006-000700080009", "serial: To Be Filled By O.E.M.", "boardSerial: Default string", "chassisSerial: Default string", "assetTag: Default string"},
		},
		"counted up": {
			guest.PC{UUID: "ffffffff-ffff-ffff-ffff-ffffffffffff", SMBIOS: []string{"type=1,serial=0123456789", "type=2,serial=MB-1234567890", "type=3,serial=........,asset=Not Specified"}},
			[]string{"serial: 0123456789", "boardSerial: MB-1234567890", "chassisSerial: ........", "assetTag: Not Specified"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.pc.NICs = []string{nicA1}
			s := parse[shown](t, p.boot(t, test.pc, newDisk(t), "hv1", show)[0])
			if diff := cmp.Diff(test.junk, s.Junk); diff != "" {
				t.Errorf("placeholders (-want +got):\n%s", diff)
			}
			want := map[string]string{"machine ID": "new", "system UUID": "absent", "serial": "absent", "board serial": "absent", "MAC addresses": "new", "TPM key": "absent"}
			if diff := cmp.Diff(want, s.says()); diff != "" {
				t.Errorf("evidence (-want +got):\n%s", diff)
			}
		})
	}
}

func mac(t *testing.T, text string) inventory.MAC {
	t.Helper()
	m, err := inventory.ParseMAC(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
