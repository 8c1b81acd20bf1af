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
	"golang.org/x/sys/unix"
)

// replaceFile writes a file so that after a crash there is the old one or the new
// one. Its mode is 0600.
func replaceFile(path string, data []byte) error {
	next, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = next.Write(data)
	err = errors.Join(err, next.Sync(), next.Close())
	if err == nil {
		err = os.Rename(next.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next.Name()))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return replaceFile(path, append(data, '\n'))
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
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", d.path, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return func() { f.Close() }, nil // and with it the lock
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
		err = replaceFile(path, append(seed, '\n'))
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
