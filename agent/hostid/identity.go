package hostid

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/statefile"
)

// Identity is a host's identity for one start of its agent.
type Identity struct {
	// Record is what is kept, as it stands now.
	Record Record
	// Minted says that the ID was made by this start, Provisioned that this start
	// took the one that an operator had put there.
	Minted, Provisioned bool
	// Notes say what changed about the host since the last start.
	Notes []string

	dir   string
	lock  *os.File
	mu    sync.Mutex
	epoch uint64
}

// CloneError says that the state directory came from another host.
type CloneError struct {
	Dir     string
	ID      uuid.UUID
	Differs []string
}

func (e *CloneError) Error() string {
	return fmt.Sprintf("state directory %s was made on another machine, which is host %s (other than here: %s): nothing is published as that host: "+
		"if this machine is a copy, give it an identity of its own with `avstem-agent identity renew --state-dir %s`; "+
		"if that host was moved to this machine, with `avstem-agent identity adopt --state-dir %s` it keeps its identity",
		e.Dir, e.ID, strings.Join(e.Differs, ", "), e.Dir, e.Dir)
}

// Open takes the state directory's identity for this start: it takes the ID that
// an operator put there, or makes one if there never was any, holds the evidence against what was stored, and counts
// the epoch up on disk before it returns. A directory that came from another
// host is refused with [*CloneError], one that another agent uses, and one whose
// files can't be read or understood, with an error: no ID is ever made in place
// of one that is there.
func Open(dir string, seen Evidence, now time.Time) (_ *Identity, err error) {
	defer func() { err = advise(dir, err) }()
	if err := statefile.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("make state directory: %w", err)
	}
	i := &Identity{dir: dir}
	if i.lock, err = lock(dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			i.Close()
		}
	}()
	if err := i.load(seen, now); err != nil {
		return nil, err
	}
	if err := i.begin(); err != nil {
		return nil, err
	}
	return i, nil
}

func (i *Identity) load(seen Evidence, now time.Time) error {
	stored, err := Read(i.dir)
	if missing(err) {
		return i.begun(seen, now)
	}
	if err == nil {
		err = checkProvisioned(i.dir, stored.ID)
	}
	if err != nil {
		return err
	}
	if clone := stored.CheckHost(i.dir, seen); clone != nil {
		return clone
	}
	i.Notes = compare(stored.Evidence, seen).notes
	i.Record = stored
	i.Record.Evidence = merge(stored.Evidence, seen)
	if i.Record.Evidence.equal(stored.Evidence) {
		return nil
	}
	return writeRecord(i.dir, i.Record)
}

// begun makes the record of a state directory that has none.
func (i *Identity) begun(seen Evidence, now time.Time) error {
	i.Record = newRecord(seen, now)
	given, err := Provisioned(i.dir)
	switch {
	case err != nil:
		return err
	case given != uuid.Nil:
		i.Record.ID, i.Provisioned = given, true
	default:
		if err := checkLost(i.dir); err != nil {
			return err
		}
		i.Minted = true
	}
	return writeRecord(i.dir, i.Record)
}

// CheckHost holds the evidence against what was stored, and gives nil unless
// nothing of it agrees.
func (r Record) CheckHost(dir string, seen Evidence) *CloneError {
	if v := compare(r.Evidence, seen); v.clone() {
		return &CloneError{Dir: dir, ID: r.ID, Differs: v.differs}
	}
	return nil
}

// begin counts the epoch up.
func (i *Identity) begin() error {
	last, err := ReadEpoch(i.dir)
	if missing(err) {
		if !i.Minted && !i.Provisioned {
			i.Notes = append(i.Notes, "the epoch counter was lost: it begins again, and goes on from what is on the stream")
		}
	} else if err != nil {
		return err
	}
	i.epoch = last + 1
	return writeEpoch(i.dir, i.epoch)
}

// ID is the host's.
func (i *Identity) ID() uuid.UUID { return i.Record.ID }

// Epoch is this start's.
func (i *Identity) Epoch() uint64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.epoch
}

// Pass moves the epoch past one that was found to be used, on disk first, and
// returns the new one.
func (i *Identity) Pass(used uint64) (uint64, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if used < i.epoch {
		return i.epoch, nil
	}
	if err := writeEpoch(i.dir, used+1); err != nil {
		return i.epoch, err
	}
	i.epoch = used + 1
	return i.epoch, nil
}

// Close lets go of the state directory.
func (i *Identity) Close() {
	i.lock.Close()
}

// lock keeps a second agent off the state directory. The kernel lets go of it
// when the process ends, however it ends.
func lock(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	f, err := statefile.Lock(path, false)
	if errors.Is(err, unix.EWOULDBLOCK) {
		holder, _ := os.ReadFile(path)
		return nil, fmt.Errorf("state directory %s is in use by the agent in process %s: stop that one, or choose another with --state-dir",
			dir, cmp.Or(strings.TrimSpace(string(holder)), "(unknown)"))
	}
	if err != nil {
		return nil, fmt.Errorf("lock state directory: %s: %w", path, err)
	}
	if err := f.Truncate(0); err == nil { // the PID is for people only, and a full disk doesn't take it
		_, _ = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return f, nil
}
