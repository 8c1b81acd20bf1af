package files

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dataverket/avstem/sentral"
)

// watching runs Watch, and gives what it tells of.
func watching(t *testing.T, s *Source) <-chan *sentral.Inventory {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	told := make(chan *sentral.Inventory, 100)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Watch(ctx, func(inv *sentral.Inventory) { told <- inv })
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return told
}

// until waits for an inventory with these sites and as many problems.
func until(t *testing.T, told <-chan *sentral.Inventory, problems int, sites ...string) *sentral.Inventory {
	t.Helper()
	deadline := time.After(20 * time.Second)
	var got []string
	for {
		select {
		case inv := <-told:
			got = nil
			for _, site := range inv.Sites {
				got = append(got, site.ID)
			}
			if slices.Equal(got, sites) && len(inv.Problems) == problems {
				return inv
			}
		case <-deadline:
			t.Fatalf("waited for sites %v with %d problems, last seen: %v", sites, problems, got)
		}
	}
}

func try(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// changes is what happens to inventories in real life.
func changes(t *testing.T, dir string, told <-chan *sentral.Inventory) {
	at := func(name string) string { return filepath.Join(dir, name) }
	until(t, told, 0, "a")

	write(t, dir, map[string]string{"b.yaml": site("b")})
	until(t, told, 0, "a", "b")

	write(t, dir, map[string]string{".new": site("c")}) // as editors save
	try(t, os.Rename(at(".new"), at("b.yaml")))
	until(t, told, 0, "a", "c")

	write(t, dir, map[string]string{"b.yaml": "sites: [{id: d"})
	until(t, told, 1, "a", "c")
	write(t, dir, map[string]string{"b.yaml": site("d")})
	until(t, told, 0, "a", "d")

	try(t, os.Remove(at("b.yaml")))
	until(t, told, 0, "a")

	write(t, dir, map[string]string{"deep/er/e.yaml": site("e")})
	until(t, told, 0, "a", "e")
	write(t, dir, map[string]string{"deep/er/f.yaml": site("f")})
	until(t, told, 0, "a", "e", "f")
	try(t, os.RemoveAll(at("deep")))
	until(t, told, 0, "a")

	// As Kubernetes swaps a mounted ConfigMap: ..data is replaced by rename.
	write(t, dir, map[string]string{"..one/g.yaml": site("g1"), "..two/g.yaml": site("g2")})
	try(t, os.Symlink("..one", at("..data")), os.Symlink("..data/g.yaml", at("g.yaml")))
	until(t, told, 0, "a", "g1")
	try(t, os.Symlink("..two", at("..tmp")), os.Rename(at("..tmp"), at("..data")))
	until(t, told, 0, "a", "g2")

	// As git swaps one commit for another: all files at once, by other names too.
	try(t, os.Remove(at("a.yaml")), os.Remove(at("g.yaml")))
	write(t, dir, map[string]string{"h/a.yaml": site("h1"), "i.json": `{"sites": [{"id": "i1"}]}`})
	until(t, told, 0, "h1", "i1")

	// The directory itself goes, and comes again.
	try(t, os.Rename(dir, dir+".away"))
	inv := until(t, told, 1, "h1", "i1")
	if got := inv.Problems[0].String(); !strings.Contains(got, "is not there: create it, or name another directory (the inventory of 2026-11-24T12:00:00Z is used)") || !inv.Incomplete {
		t.Errorf("without its directory: incomplete: %v, %s", inv.Incomplete, got)
	}
	write(t, dir, map[string]string{"j.yaml": site("j")})
	until(t, told, 0, "j")
	try(t, os.Remove(at("j.yaml")))
	until(t, told, 1, "j") // a directory without files is no inventory
	write(t, dir, map[string]string{"k.yaml": site("k")})
	until(t, told, 0, "k")
}

// TestWatchByEvents has a poll that comes too late to find anything.
func TestWatchByEvents(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "inventory")
	write(t, dir, map[string]string{"a.yaml": site("a")})
	s := open(t, dir)
	s.quiet, s.poll = 10*time.Millisecond, time.Hour
	changes(t, dir, watching(t, s))
}

// TestWatchByPoll has no events, as on file systems without inotify.
func TestWatchByPoll(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "inventory")
	write(t, dir, map[string]string{"a.yaml": site("a")})
	s := open(t, dir)
	ctx, cancel := context.WithCancel(context.Background())
	told, ended := make(chan *sentral.Inventory, 100), make(chan struct{})
	w := &watch{source: s, kept: sentral.NewKeeper(s.dir, func(inv *sentral.Inventory) { told <- inv })}
	go func() {
		defer close(ended)
		w.refresh(ctx)
		w.run(ctx, nil, nil, 5*time.Millisecond)
	}()
	changes(t, dir, told)
	cancel()
	<-ended
}

// TestWatchTellsNothingTwice: a file that is touched, or changed where nothing
// is read, says nothing new.
func TestWatchTellsNothingTwice(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.yaml": site("a")})
	s := open(t, dir)
	s.quiet, s.poll = time.Millisecond, time.Millisecond
	told := watching(t, s)
	until(t, told, 0, "a")
	for i := range 20 {
		try(t, os.Chtimes(filepath.Join(dir, "a.yaml"), time.Time{}, time.Unix(int64(i), 0)))
		write(t, dir, map[string]string{"notes.txt": strings.Repeat("x", i)})
	}
	write(t, dir, map[string]string{"b.yaml": site("b")})
	inv := <-told // the next that it tells of is the change
	for len(inv.Sites) != 2 {
		if len(inv.Problems) == 0 {
			t.Fatalf("told of %v again", inv.Sites)
		}
		inv = <-told // b.yaml as it was created, still empty
	}
}
