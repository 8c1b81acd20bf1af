package hostid

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/statefile"
)

// Files in the state directory. An operator may put the first one there.
const (
	givenName = "host-id"
	idName    = "host-id.json"
	epochName = "epoch"
	lockName  = "agent.lock"
)

const recordSchema = "avstem.host-id/v1"

// Record is what is kept of a host's identity.
type Record struct {
	Schema   string    `json:"schema"`
	ID       uuid.UUID `json:"id"`
	Created  time.Time `json:"created"`
	Evidence Evidence  `json:"evidence"`
}

// Read returns the identity kept in a state directory, and an error that is
// fs.ErrNotExist where there is none. It changes nothing and takes no lock.
func Read(dir string) (Record, error) {
	path := filepath.Join(dir, idName)
	data, err := os.ReadFile(path)
	if err != nil {
		return Record{}, fmt.Errorf("read host identity: %w", err)
	}
	r, err := parseRecord(data)
	if err != nil {
		return Record{}, fmt.Errorf("read host identity %s: %w: %s", path, err, restore(dir))
	}
	return r, nil
}

// restore says what helps where an identity can't be read.
func restore(dir string) string {
	return "restore it from a backup; only to give this host a new identity, run `avstem-agent identity renew --state-dir " + dir + "`"
}

// checkLost refuses a directory without identity that had one.
func checkLost(dir string) error {
	if _, err := ReadEpoch(dir); missing(err) {
		return nil
	}
	return fmt.Errorf("read host identity: %s is gone, and %s shows that there was one: %s",
		filepath.Join(dir, idName), filepath.Join(dir, epochName), restore(dir))
}

func newRecord(seen Evidence, now time.Time) Record {
	return Record{Schema: recordSchema, ID: uuid.New(), Created: now.UTC(), Evidence: seen}
}

func parseRecord(data []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return Record{}, err
	}
	if r.Schema != recordSchema {
		return Record{}, fmt.Errorf("its schema is %q and not %s", r.Schema, recordSchema)
	}
	if err := checkID(r.ID); err != nil {
		return Record{}, err
	}
	return r, nil
}

func writeRecord(dir string, r Record) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write host identity: %w", err)
	}
	if err := statefile.Write(filepath.Join(dir, idName), append(data, '\n')); err != nil {
		return fmt.Errorf("write host identity: %w", err)
	}
	return nil
}

// ReadEpoch returns the counter of the agent's starts, and an error that is
// fs.ErrNotExist where there is none.
func ReadEpoch(dir string) (uint64, error) {
	path := filepath.Join(dir, epochName)
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("read epoch: %w", err)
	}
	epoch, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read epoch %s: %q is not a number: remove the file; the agent then goes on from what it published last", path, data)
	}
	return epoch, nil
}

func writeEpoch(dir string, epoch uint64) error {
	if err := statefile.Write(filepath.Join(dir, epochName), fmt.Appendf(nil, "%d\n", epoch)); err != nil {
		return fmt.Errorf("write epoch: %w", err)
	}
	return nil
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
