package hostid

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/dataverket/avstem/inventory"
)

var now = time.Date(2026, 11, 24, 1, 2, 3, 0, time.UTC)

func mac(last byte) inventory.MAC { return inventory.MAC{0xb8, 0xce, 0xf6, 0, 0, last} }

// physical is a host with all the evidence there is.
func physical() Evidence {
	return Evidence{MachineID: uuid.MustParse("11111111-0000-4000-8000-000000000001"), SystemUUID: uuid.MustParse("4c4c4544-0031-3510-8032-b2c04f595331"),
		Serial: "ABC123", BoardSerial: "BRD77", MACs: []inventory.MAC{mac(1), mac(2)}}
}

// another is a host that shares none of it.
func another() Evidence {
	return Evidence{MachineID: uuid.MustParse("22222222-0000-4000-8000-000000000002"), SystemUUID: uuid.MustParse("4c4c4544-0032-3510-8032-b2c04f595332"),
		Serial: "XYZ789", BoardSerial: "BRD99", MACs: []inventory.MAC{mac(8), mac(9)}}
}

func open(t *testing.T, dir string, seen Evidence) *Identity {
	t.Helper()
	i, err := Open(dir, seen, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	return i
}

func TestIDIsMadeOnceAndEachStartIsAnEpoch(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	first := open(t, dir, physical())
	if !first.Minted || first.ID().Version() != 4 || IsProvisional(first.ID()) || first.Epoch() != 1 {
		t.Errorf("the first start gives %+v", first)
	}
	first.Close()
	for epoch := uint64(2); epoch < 5; epoch++ {
		next := open(t, dir, physical())
		if next.Minted || next.ID() != first.ID() || next.Epoch() != epoch || len(next.Notes) > 0 {
			t.Errorf("start %d gives %+v", epoch, next)
		}
		next.Close()
	}
	kept, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Record{Schema: recordSchema, ID: first.ID(), Created: now, Evidence: physical()}, kept); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	for _, name := range []string{idName, epochName} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", name, info.Mode(), err)
		}
	}
}

func TestWhatAHostMayChangeAndStayItself(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Evidence)
		notes  []string
	}{
		"nothing":             {func(*Evidence) {}, nil},
		"a new NIC":           {func(e *Evidence) { e.MACs = append(e.MACs, mac(3)) }, []string{"NIC b8:ce:f6:00:00:03 is new"}},
		"all NICs":            {func(e *Evidence) { e.MACs = []inventory.MAC{mac(9)} }, []string{"NIC b8:ce:f6:00:00:09 is new", "NIC b8:ce:f6:00:00:01 is gone", "NIC b8:ce:f6:00:00:02 is gone"}},
		"board":               {func(e *Evidence) { e.SystemUUID, e.BoardSerial = another().SystemUUID, another().BoardSerial }, nil},
		"board and NICs":      {func(e *Evidence) { s := e.Serial; *e = another(); e.Serial = s }, nil},
		"only NIC, no root":   {func(e *Evidence) { *e = Evidence{MachineID: e.MachineID, MACs: another().MACs} }, nil},
		"system reinstalled":  {func(e *Evidence) { e.MachineID = another().MachineID }, []string{"machine ID was another and is new"}},
		"firmware byte order": {func(e *Evidence) { e.SystemUUID = inventory.SwapUUID(e.SystemUUID) }, nil},
		"no root this time":   {func(e *Evidence) { e.SystemUUID, e.Serial, e.BoardSerial = uuid.Nil, "", "" }, nil},
		"nothing readable":    {func(e *Evidence) { *e = Evidence{} }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			first := open(t, dir, physical())
			first.Close()
			seen := physical()
			test.change(&seen)
			next := open(t, dir, seen)
			if next.ID() != first.ID() {
				t.Errorf("the ID became %s", next.ID())
			}
			if test.notes != nil || name == "nothing" {
				if diff := cmp.Diff(test.notes, next.Notes); diff != "" {
					t.Errorf("notes (-want +got):\n%s", diff)
				}
			}
			// What was not seen this time is not forgotten.
			if e := next.Record.Evidence; e.Serial == "" || e.MachineID == uuid.Nil || len(e.MACs) == 0 {
				t.Errorf("evidence is lost: %+v", e)
			}
			next.Close()
			if again := open(t, dir, seen); name != "firmware byte order" && len(again.Notes) > 0 {
				t.Errorf("it is noted again: %q", again.Notes)
			}
		})
	}
}

func TestStateDirectoryOfAnotherHostIsRefused(t *testing.T) {
	weak := func(e Evidence) Evidence { return Evidence{MachineID: e.MachineID} }
	for name, hosts := range map[string][2]Evidence{
		"all the evidence":     {physical(), another()},
		"only machine IDs":     {weak(physical()), weak(another())},
		"rooted, then not":     {physical(), Evidence{MachineID: another().MachineID, MACs: another().MACs}},
		"machine ID and board": {physical(), Evidence{MachineID: another().MachineID, BoardSerial: "BRD99"}},
		"the whole disk":       {physical(), wholeDisk()},
		"a VM's disk":          {vm("4c4c4544-0031-3510-8032-b2c04f595331"), vm("4c4c4544-0032-3510-8032-b2c04f595332")},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			first := open(t, dir, hosts[0])
			first.Close()
			_, err := Open(dir, hosts[1], now)
			clone, ok := errors.AsType[*CloneError](err)
			if !ok || clone.ID != first.ID() {
				t.Fatalf("got %v", err)
			}
			for _, help := range []string{"identity renew --state-dir " + dir, "identity adopt --state-dir " + dir} {
				if !strings.Contains(err.Error(), help) {
					t.Errorf("%q doesn't name %q", err, help)
				}
			}
			if epoch, err := ReadEpoch(dir); err != nil || epoch != 1 {
				t.Errorf("the epoch moved to %d, %v", epoch, err)
			}
			open(t, dir, hosts[0]).Close() // and the host it belongs to still has it
			// What the message says helps.
			if r, err := Adopt(dir, hosts[1]); err != nil || r.ID != first.ID() {
				t.Fatalf("adopted is %+v, %v", r, err)
			}
			adopted := open(t, dir, hosts[1])
			if adopted.ID() != first.ID() || len(adopted.Notes) > 0 {
				t.Errorf("after it was adopted it is %+v", adopted)
			}
			adopted.Close()
			if r, err := Renew(dir, hosts[1], now); err != nil || r.ID == first.ID() {
				t.Fatalf("renewed is %+v, %v", r, err)
			}
			if i := open(t, dir, hosts[1]); i.ID() == first.ID() || i.Epoch() <= adopted.Epoch() {
				t.Errorf("after it was renewed it is %+v", i)
			}
		})
	}
}

// wholeDisk is other hardware that has the disk of physical.
func wholeDisk() Evidence {
	e := another()
	e.MachineID = physical().MachineID
	return e
}

func vm(systemUUID string) Evidence {
	return Evidence{MachineID: physical().MachineID, SystemUUID: uuid.MustParse(systemUUID)}
}

func TestNothingIsDecidedOverARunningAgentOrNoIdentity(t *testing.T) {
	dir := t.TempDir()
	for name, decide := range map[string]func() (Record, error){
		"adopt": func() (Record, error) { return Adopt(dir, physical()) },
		"renew": func() (Record, error) { return Renew(dir, physical(), now) },
	} {
		if _, err := decide(); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s without identity: got %v", name, err)
		}
		running := open(t, dir, physical())
		if _, err := decide(); err == nil || !strings.Contains(err.Error(), "in use by the agent in process") {
			t.Errorf("%s beside an agent: got %v", name, err)
		}
		running.Close()
		if err := errors.Join(os.Remove(filepath.Join(dir, idName)), os.Remove(filepath.Join(dir, epochName))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLostIdentityIsNotAdopted(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, epochName, "3\n")
	_, err := Adopt(dir, physical())
	if err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "restore it from a backup") {
		t.Errorf("got %v", err)
	}
}

// A renewed identity also ends the case of a file that can't be read.
func TestRenewReplacesWhatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, idName, "{")
	write(t, dir, epochName, "3\n")
	r, err := Renew(dir, physical(), now)
	if err != nil {
		t.Fatal(err)
	}
	if i := open(t, dir, physical()); i.ID() != r.ID || i.Epoch() != 4 {
		t.Errorf("got %+v", i)
	}
}

func TestStateDirectoryThatIsFullOrReadOnly(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size=65536"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	first := open(t, dir, physical())
	first.Close()
	ballast, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ballast.Write(make([]byte, 1<<17)); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("it isn't full: %v", err)
	}
	ballast.Close()
	if _, err := Open(dir, physical(), now); err == nil || !strings.Contains(err.Error(), "make room in "+dir) {
		t.Errorf("full: got %v", err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, physical(), now); err == nil || !strings.Contains(err.Error(), "let this user write in "+dir) {
		t.Errorf("read-only: got %v", err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(ballast.Name()); err != nil {
		t.Fatal(err)
	}
	if again := open(t, dir, physical()); again.ID() != first.ID() || again.Epoch() != 2 {
		t.Errorf("with room it is %+v", again)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 3 {
		t.Errorf("left behind is %v, %v", entries, err)
	}
}

func TestNoIDIsMadeInPlaceOfOneThatCannotBeRead(t *testing.T) {
	good := `{"schema":"avstem.host-id/v1","id":"6f1c0000-0000-4000-8000-00000000000a","created":"2026-11-24T01:02:03Z","evidence":{}}`
	for name, test := range map[string]struct{ id, epoch, want string }{
		"cut short":      {good[:40], "3\n", "restore it from a backup"},
		"empty":          {"", "3\n", "restore it from a backup"},
		"no ID":          {`{"schema":"avstem.host-id/v1"}`, "3\n", "it has no id"},
		"newer":          {`{"schema":"avstem.host-id/v2"}`, "3\n", "schema"},
		"provisional":    {strings.Replace(good, "4000-8000", "5000-8000", 1), "3\n", "provisional"},
		"epoch is junk":  {good, "three", "is not a number: remove the file"},
		"epoch is empty": {good, "", "is not a number: remove the file"},
		"ID is gone":     {"-", "3\n", "shows that there was one"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if test.id != "-" {
				write(t, dir, idName, test.id)
			}
			write(t, dir, epochName, test.epoch)
			_, err := Open(dir, physical(), now)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), dir) {
				t.Fatalf("got %v", err)
			}
			if data, err := os.ReadFile(filepath.Join(dir, idName)); test.id != "-" && (err != nil || name != "epoch is junk" && name != "epoch is empty" && string(data) != test.id) {
				t.Errorf("the file was changed to %q, %v", data, err)
			}
		})
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLostEpochIsSaidAndBeginsAgain(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir, physical())
	first.Close()
	if err := os.Remove(filepath.Join(dir, epochName)); err != nil {
		t.Fatal(err)
	}
	next := open(t, dir, physical())
	if next.ID() != first.ID() || next.Epoch() != 1 || len(next.Notes) != 1 || !strings.Contains(next.Notes[0], "epoch counter was lost") {
		t.Errorf("got %+v", next)
	}
}

func TestEpochPassesOneThatIsUsed(t *testing.T) {
	dir := t.TempDir()
	i := open(t, dir, physical())
	for _, step := range []struct{ used, want uint64 }{{0, 1}, {1, 2}, {7, 8}, {3, 8}} {
		if got, err := i.Pass(step.used); err != nil || got != step.want || i.Epoch() != step.want {
			t.Errorf("past %d is %d, %v; want %d", step.used, got, err, step.want)
		}
		if kept, err := ReadEpoch(dir); err != nil || kept != step.want {
			t.Errorf("kept is %d, %v; want %d", kept, err, step.want)
		}
	}
}

func TestOneAgentAStateDirectory(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir, physical())
	_, err := Open(dir, physical(), now)
	if err == nil || !strings.Contains(err.Error(), "in process "+strconv.Itoa(os.Getpid())) {
		t.Fatalf("got %v", err)
	}
	first.Close()
	open(t, dir, physical())
}

func TestReadChangesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	if _, err := Read(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory was made: %v", err)
	}
}

func TestDirectoryThatCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, filepath.Dir(file), "file", "")
	_, err := Open(filepath.Join(file, "state"), physical(), now)
	if err == nil || !strings.Contains(err.Error(), "--state-dir") {
		t.Errorf("got %v", err)
	}
}

func TestProvisionalIDs(t *testing.T) {
	byMachine, byName := Provisional(physical(), "hv1"), Provisional(Evidence{Serial: "x"}, "hv1")
	if byMachine != Provisional(physical(), "renamed") || byMachine == Provisional(another(), "hv1") || byMachine == byName ||
		byName == Provisional(Evidence{}, "hv2") {
		t.Error("the ID is not the machine's, or else the name's")
	}
	if !IsProvisional(byMachine) || !IsProvisional(byName) || IsProvisional(uuid.New()) {
		t.Error("provisional IDs can't be told from others")
	}
}

// Law: a host is itself as long as one piece of its hardware stays, whatever
// else changes and whatever can't be read.
func TestOnePieceOfEvidenceIsEnough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stored, seen := physical(), another()
		if rapid.Bool().Draw(t, "same system") {
			seen.MachineID = stored.MachineID
		}
		if v := compare(stored, seen); !v.clone() {
			t.Fatalf("not a clone, though of the hardware nothing agrees: %+v", v)
		}
		switch rapid.IntRange(1, 4).Draw(t, "stays") {
		case 1:
			seen.SystemUUID = stored.SystemUUID
		case 2:
			seen.Serial = stored.Serial
		case 3:
			seen.BoardSerial = stored.BoardSerial
		case 4:
			seen.MACs = append(seen.MACs, stored.MACs[0])
		}
		if v := compare(stored, seen); v.clone() {
			t.Fatalf("a clone, though %v agree", v.same)
		}
	})
}

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte(`{"schema":"avstem.host-id/v1","id":"6f1c0000-0000-4000-8000-00000000000a","evidence":{"macs":["b8:ce:f6:00:00:01"]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := parseRecord(data); err == nil && (r.ID == uuid.Nil || IsProvisional(r.ID)) {
			t.Fatalf("taken as %+v", r)
		}
	})
}
