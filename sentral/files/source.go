package files

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/document"
)

// maxFileSize bounds one file: 64 MiB is about 100,000 VMs.
const maxFileSize = 64 * inventory.MiB

// Source is a directory that holds an inventory. It keeps in memory what each
// file last said.
type Source struct {
	dir string
	now func() time.Time
	// A change is read when nothing has changed for quiet, or after patience of
	// changes without end. What no event told of is found within poll.
	quiet, patience, poll time.Duration

	mu    sync.Mutex
	files map[string]file // by path
}

// file is what a Source remembers of a file.
type file struct {
	document.Content
	digest [sha256.Size]byte // of the bytes that Content was read from
}

// Open makes a source of a directory that is there and can be listed. Its files
// are read by [Source.Read].
func Open(dir string) (*Source, error) {
	if err := checkDir(dir); err != nil {
		return nil, err
	}
	return &Source{
		dir: filepath.Clean(dir), now: time.Now,
		quiet: 200 * time.Millisecond, patience: 2 * time.Second, poll: 30 * time.Second,
	}, nil
}

// Read reads the directory. Problems with files and records are in the
// inventory; an error means that the directory itself can't be used: it is not
// there, not a directory, can't be listed, or holds no inventory file.
// Inventories of one source share their records: nobody may write to them.
func (s *Source) Read(ctx context.Context) (*sentral.Inventory, error) {
	inv, _, err := s.read(ctx)
	return inv, err
}

// read makes an inventory of one moment: it begins again where files came, went
// or changed meanwhile, as they do while git swaps one commit for another.
func (s *Source) read(ctx context.Context) (*sentral.Inventory, *listing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for attempt := 1; ; attempt++ {
		before, err := list(s.dir)
		if err != nil {
			return nil, nil, err
		}
		files, err := s.load(ctx, before)
		if err != nil {
			return nil, nil, err
		}
		after, err := list(s.dir)
		if err != nil {
			return nil, nil, err
		}
		if before.signature() == after.signature() || attempt == 3 {
			s.files = files
			return s.assemble(before), before, nil
		}
	}
}

// load reads every file that is listed, and gives those that are used.
func (s *Source) load(ctx context.Context, l *listing) (map[string]file, error) {
	files := make(map[string]file, len(l.files))
	for _, f := range l.files {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("read inventory: %w", err)
		}
		known, isKnown := s.files[f.path]
		data, err := readFile(f.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		next := file{digest: sha256.Sum256(data)}
		switch {
		case err != nil:
			next.Broken = &sentral.Fault{Place: sentral.Place{Name: f.path, Line: 1, Column: 1}, Error: err.Error(), Lost: true}
		case isKnown && known.Broken == nil && known.digest == next.digest:
			next = known
		default:
			next.Content = document.Parse(f.path, data)
		}
		files[f.path] = next.orElse(known, isKnown)
	}
	for path, known := range s.files {
		if slices.ContainsFunc(l.unread, func(dir string) bool { return strings.HasPrefix(path, dir+string(filepath.Separator)) }) {
			files[path] = known
		}
	}
	return files, nil
}

// orElse keeps what a file said before, where it is broken now.
func (f file) orElse(known file, isKnown bool) file {
	if f.Broken == nil {
		return f
	}
	fault := *f.Broken
	if !isKnown || known.Broken != nil && known.Broken.Lost {
		fault.Error += " (its records are missing)"
		f.Broken = &fault
		return f
	}
	fault.Error += " (what it said before is used)"
	fault.Lost = false
	known.Broken = &fault
	return known
}

// readFile reads a regular file. It doesn't wait for what may never come, as
// reading a named pipe does.
func readFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("read %s: it is not a file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, int64(maxFileSize)+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > int(maxFileSize):
		return nil, fmt.Errorf("read %s: it is larger than %s: split it", path, maxFileSize)
	}
	return data, nil
}

// Records reads the directory as [Source.Read] does, and gives what the files
// say before an inventory is made of it: for those who look at files.
func (s *Source) Records(ctx context.Context) ([]sentral.Record, []sentral.Fault, error) {
	_, l, err := s.read(ctx)
	if err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	records, faults := s.records(l)
	return records, faults, nil
}

// records are those of all files that are used.
func (s *Source) records(l *listing) ([]sentral.Record, []sentral.Fault) {
	var records []sentral.Record
	faults := slices.Clone(l.faults)
	for _, path := range slices.Sorted(maps.Keys(s.files)) {
		f := s.files[path]
		records = append(records, f.Records...)
		faults = append(faults, f.Faults...)
		if f.Broken != nil {
			faults = append(faults, *f.Broken)
		}
	}
	return records, faults
}

// assemble makes the inventory of the files that are used.
func (s *Source) assemble(l *listing) *sentral.Inventory {
	version := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(s.files)) {
		name, err := filepath.Rel(s.dir, path) // the same in every copy of the directory
		if err != nil {
			name = path
		}
		fmt.Fprintf(version, "%s\x00%x\n", name, s.files[path].digest)
	}
	inv := sentral.Assemble(s.records(l))
	inv.Source = s.dir
	inv.Version = "sha256:" + hex.EncodeToString(version.Sum(nil))
	inv.ReadAt = s.now().UTC()
	return inv
}
