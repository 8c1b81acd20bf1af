package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dataverket/avstem/bus"
)

// makeLink lets avstem commands from any shell find the demo's avstem, which
// can't do it itself: its /run is not the machine's. It leaves the link of
// another one that runs alone, and says whether the link is the demo's.
func (d *demonstration) makeLink(stateDir string) (bool, error) {
	link := bus.RunLink(os.Getenv)
	if to, err := os.Readlink(link); err == nil {
		if to == stateDir {
			return true, nil
		}
		if _, err := os.Stat(filepath.Join(to, bus.SocketName)); err == nil {
			return false, nil
		}
		if err := os.Remove(link); err != nil {
			return false, fmt.Errorf("replace the link of an avstem that has ended: %w", err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return false, err
	}
	return true, os.Symlink(stateDir, link)
}

// dropLink removes the link if it is the demo's, and its directory if that is
// all there was in it.
func (d *demonstration) dropLink() error {
	link := bus.RunLink(os.Getenv)
	if to, err := os.Readlink(link); err != nil || filepath.Dir(to) != d.dir {
		return nil
	}
	if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	_ = os.Remove(filepath.Dir(link)) // another avstem's directory isn't empty
	return nil
}
