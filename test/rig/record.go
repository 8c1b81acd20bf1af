package rig

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// ErrNotRunning says that a directory holds no running rig.
var ErrNotRunning = errors.New("no rig runs there")

// errNotARig says that a directory was not made by this package.
var errNotARig = errors.New("not a rig's directory: it has no " + recordFile)

const recordFile = "rig.json"

// record is what a rig's directory says about it. It is the first file in the
// directory and the last one out, so that a directory without it is never ours.
type record struct {
	Hostname string  `json:"hostname"`
	Persist  bool    `json:"persist"`
	Init     process `json:"init,omitzero"` // written before init.sh may do anything
	// CGroups are its control groups, written before they are made.
	CGroups []string `json:"cgroups,omitempty"`
	Ready   bool     `json:"ready"` // start-up went to its end
}

func readRecord(dir string) (record, error) {
	data, err := os.ReadFile(dir + "/" + recordFile)
	if errors.Is(err, os.ErrNotExist) {
		return record{}, fmt.Errorf("%s: %w", dir, ErrNotRunning)
	}
	if err != nil {
		return record{}, err
	}
	var rec record
	if err := json.Unmarshal(data, &rec); err != nil {
		return record{}, fmt.Errorf("read %s/%s: %w", dir, recordFile, err)
	}
	return rec, nil
}

// write replaces the record in one step: a reader sees the old or the new one.
func (rec record) write(dir string) error {
	data, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	path := dir + "/" + recordFile
	if err := os.WriteFile(path+".new", append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
