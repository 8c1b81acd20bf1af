package libvirt

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// bases are the files that the VMs' disks rest on, as of the last pass.
type bases struct {
	mu    sync.Mutex
	files []inventory.ImageFile
	err   error         // of the last pass, where none has known them
	ended chan struct{} // closed when the first pass ended
}

// ImageFiles names the files that VMs' disks rest on and that no VM writes to:
// the grounds of backing chains, and disks that are only read. It is as of the
// last pass, and waits for the first.
func (c *Collector) ImageFiles(ctx context.Context) ([]inventory.ImageFile, error) {
	c.setUp()
	select {
	case <-c.bases.ended:
	case <-ctx.Done():
		return nil, &collectors.SourceError{Call: "collect " + c.Source(), Why: inventory.WhyTimedOut, Err: context.Cause(ctx),
			Remedy: "see the problems of source " + c.Source() + ": its VMs tell which images there are"}
	}
	c.bases.mu.Lock()
	defer c.bases.mu.Unlock()
	return c.bases.files, c.bases.err
}

// note keeps what a pass found, and after one that failed what was known.
func (b *bases) note(vms []*reading, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := true
	select {
	case <-b.ended:
		first = false
	default:
		defer close(b.ended)
	}
	switch {
	case err == nil:
		b.files, b.err = basesOf(vms), nil
	case errors.Is(err, collectors.ErrAbsent):
		b.files, b.err = nil, nil
	case first || b.err != nil:
		b.err = err
	}
}

func basesOf(vms []*reading) []inventory.ImageFile {
	files, written := map[string]inventory.ImageFile{}, map[string]bool{}
	add := func(path, format, number, fault string, size *inventory.Bytes) {
		if number != "" && fault == "" && filepath.IsAbs(path) { // a file that was seen
			files[path] = inventory.ImageFile{Path: path, Format: format, VirtualSize: size}
		}
	}
	for _, r := range vms {
		for i := range r.vm.Disks {
			d := &r.vm.Disks[i]
			if !d.ReadOnly {
				written[d.Source], written[d.DataFile] = true, true
			}
			if !d.IsStorage() {
				continue
			}
			if n := len(d.Backing); n > 0 {
				ground := &d.Backing[n-1]
				add(ground.Source, ground.Format, ground.Number, ground.Fault, ground.VirtualSize)
			} else if d.ReadOnly {
				add(d.Source, d.Format, d.Number, d.Fault, d.Capacity)
			}
		}
	}
	maps.DeleteFunc(files, func(path string, _ inventory.ImageFile) bool { return written[path] })
	return slices.SortedFunc(maps.Values(files), func(x, y inventory.ImageFile) int {
		if x.Path < y.Path {
			return -1
		}
		return 1
	})
}
