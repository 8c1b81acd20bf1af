package hostid

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/statefile"
)

// Adopt is an operator's word that the host of the state directory is this
// machine now: the ID stays, and from here on rests on what is seen.
func Adopt(dir string, seen Evidence) (Record, error) {
	return decide(dir, func() (Record, error) {
		r, err := Read(dir)
		if lost := checkLost(dir); missing(err) && lost != nil {
			err = lost
		}
		r.Evidence = seen
		return r, err
	})
}

// Assign is an operator's word that this machine is the host of that ID, whatever
// the state directory says, if there is one: a host that was installed again, or
// one whose ID was chosen beforehand. The epoch goes on.
func Assign(dir string, id uuid.UUID, seen Evidence, now time.Time) (_ Record, err error) {
	defer func() { err = advise(dir, err) }()
	if err := checkID(id); err != nil {
		return Record{}, fmt.Errorf("adopt host ID: %w", err)
	}
	if err := statefile.MkdirAll(dir); err != nil {
		return Record{}, fmt.Errorf("make state directory: %w", err)
	}
	held, err := lock(dir)
	if err != nil {
		return Record{}, err
	}
	defer held.Close()
	r := newRecord(seen, now)
	r.ID = id
	if err := checkProvisioned(dir, id); err != nil {
		return Record{}, err
	}
	if _, err := ReadEpoch(dir); missing(err) { // else its loss would be noted
		if err := writeEpoch(dir, 0); err != nil {
			return Record{}, err
		}
	}
	return r, writeRecord(dir, r)
}

// Renew is an operator's word that this machine is not the host of the state
// directory, or that what was kept is lost: it gets a new ID. The epoch goes on.
func Renew(dir string, seen Evidence, now time.Time) (Record, error) {
	return decide(dir, func() (Record, error) { return newRecord(seen, now), nil })
}

// decide replaces the record of a state directory that has an identity, or the
// traces of one, and that no agent uses.
func decide(dir string, next func() (Record, error)) (_ Record, err error) {
	defer func() { err = advise(dir, err) }()
	if _, err := Read(dir); missing(err) && checkLost(dir) == nil {
		return Record{}, err
	}
	held, err := lock(dir)
	if err != nil {
		return Record{}, err
	}
	defer held.Close()
	r, err := next()
	if err == nil {
		err = checkProvisioned(dir, r.ID)
	}
	if err == nil {
		err = writeRecord(dir, r)
	}
	return r, err
}

// advise adds what helps to an error of the state directory's file system.
func advise(dir string, err error) error {
	_, isPath := errors.AsType[*fs.PathError](err)
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: make room in %s; what it holds is left as it is", err, dir)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: let this user write in %s, or choose another directory with --state-dir", err, dir)
	case isPath:
		return fmt.Errorf("%w: choose another directory with --state-dir", err)
	}
	return err
}
