package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nkeys"

	"github.com/dataverket/avstem/statefile"
	"github.com/dataverket/avstem/statefile/asuser"
)

func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return statefile.Write(path, append(data, '\n'))
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// Lock keeps other processes out until unlock; what it guards has the name of a file
// in the directory.
func (d *Dir) Lock(name string) (unlock func(), err error) {
	path := filepath.Join(d.path, name)
	f, err := statefile.Lock(path, true)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil // and with it the lock
}

// change calls do with the rights of whose the directory is, while no other process
// changes anything: setup.json says where files are, and is written by who has the
// directory.
func (d *Dir) change(do func() error) error {
	return asuser.Below(d.path, func() error {
		unlock, err := d.Lock("lock")
		if err != nil {
			return err
		}
		defer unlock()
		if err := d.load(); err != nil {
			return err
		}
		return do()
	})
}

// loadKey reads a seed.
func loadKey(path string, kind nkeys.PrefixByte) (nkeys.KeyPair, error) {
	if err := checkMode(path); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	key, err := nkeys.FromSeed([]byte(strings.TrimSpace(string(data))))
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", path, err)
	}
	public, err := key.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", path, err)
	}
	if nkeys.Prefix(public) != kind {
		return nil, fmt.Errorf("read key %s: it is another kind of key", path)
	}
	return key, nil
}

// keyAt reads a seed, and makes it the first time.
func keyAt(path string, kind nkeys.PrefixByte) (key nkeys.KeyPair, made bool, err error) {
	key, err = loadKey(path, kind)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	if key, err = nkeys.CreatePair(kind); err != nil {
		return nil, false, fmt.Errorf("make key: %w", err)
	}
	seed, err := key.Seed()
	if err == nil {
		err = statefile.Write(path, append(seed, '\n'))
	}
	if err != nil {
		return nil, false, fmt.Errorf("make key: %w", err)
	}
	return key, true, nil
}

// checkMode refuses a secret that others may read.
func checkMode(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("read key %s: its mode is %04o, so others than its owner could have it: chmod 600, and think about who had it", path, mode)
	}
	return nil
}
