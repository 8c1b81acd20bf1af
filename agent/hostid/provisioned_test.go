package hostid

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
)

var chosen = uuid.MustParse("6f1c0000-0000-4000-8000-0000000000aa")

func TestProvisionedIDIsTaken(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, givenName, chosen.String()+"\n")
	first := open(t, dir, physical())
	if first.ID() != chosen || first.Minted || !first.Provisioned || first.Epoch() != 1 || len(first.Notes) > 0 {
		t.Errorf("the first start gives %+v", first)
	}
	first.Close()
	next := open(t, dir, physical())
	if next.ID() != chosen || next.Provisioned || next.Epoch() != 2 {
		t.Errorf("the next start gives %+v", next)
	}
	next.Close()
	// It also brings back an identity whose record was lost.
	if err := os.Remove(filepath.Join(dir, idName)); err != nil {
		t.Fatal(err)
	}
	if again := open(t, dir, physical()); again.ID() != chosen || again.Epoch() != 3 {
		t.Errorf("without its record it is %+v", again)
	}
}

func TestCopiesThatDisagreeAreRefused(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir, physical())
	first.Close()
	write(t, dir, givenName, chosen.String())
	decisions := map[string]func() error{
		"open":  func() error { _, err := Open(dir, physical(), now); return err },
		"adopt": func() error { _, err := Adopt(dir, physical()); return err },
		"renew": func() error { _, err := Renew(dir, physical(), now); return err },
		"assign another": func() error {
			_, err := Assign(dir, uuid.MustParse("6f1c0000-0000-4000-8000-0000000000bb"), physical(), now)
			return err
		},
	}
	for name, decide := range decisions {
		if err := decide(); err == nil || !strings.Contains(err.Error(), "host IDs disagree") || !strings.Contains(err.Error(), "adopt "+chosen.String()) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if kept, err := Read(dir); err != nil || kept.ID != first.ID() {
		t.Errorf("kept is %+v, %v", kept, err)
	}
	if _, err := Assign(dir, chosen, physical(), now); err != nil {
		t.Fatal(err)
	}
	if i := open(t, dir, physical()); i.ID() != chosen || i.Epoch() != 2 {
		t.Errorf("after the decision it is %+v", i)
	}
}

func TestWhatIsNoHostIDIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "is not a UUID",
		"hv-1":                                  "is not a UUID",
		"00000000-0000-0000-0000-000000000000":  "has no id",
		"03000200-0400-0500-0006-000700080009":  "placeholder",
		Provisional(physical(), "hv1").String(): "provisional",
		chosen.String() + "\n" + chosen.String() + "\n": "is not a UUID",
	} {
		dir := t.TempDir()
		write(t, dir, givenName, text)
		if _, err := Open(dir, physical(), now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
		if _, err := os.Stat(filepath.Join(dir, idName)); err == nil {
			t.Errorf("%q: an ID was made beside it", text)
		}
	}
}

func TestIDIsAssignedBeforeTheFirstStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if r, err := Assign(dir, chosen, physical(), now); err != nil || r.ID != chosen {
		t.Fatalf("got %+v, %v", r, err)
	}
	first := open(t, dir, physical())
	if first.ID() != chosen || first.Epoch() != 1 || len(first.Notes) > 0 {
		t.Errorf("the first start gives %+v", first)
	}
	if _, err := Assign(dir, chosen, physical(), now); err == nil || !strings.Contains(err.Error(), "in use by the agent") {
		t.Errorf("beside an agent: got %v", err)
	}
}
