package images

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"

	"github.com/dataverket/avstem/statefile"
)

const (
	cacheSchema = "avstem.images/v1"
	maxKept     = 1024
	maxCache    = 1 << 20 // bytes of the file
)

// cache is the digests that were computed.
type cache struct {
	Schema string `json:"schema"`
	Kept   []kept `json:"kept"` // the newest first
}

type kept struct {
	stamp
	Digest string `json:"digest"`
}

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// readCache reads what is kept. One that isn't there is empty and no error; one
// that can't be understood is empty too: all of it can be computed again.
func readCache(path string) (*cache, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &cache{}, nil
	}
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxCache) {
		err = fmt.Errorf("it is no file of at most %d bytes", maxCache)
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(path)
	}
	c := &cache{}
	if err == nil {
		c, err = parseCache(data)
	}
	if err != nil {
		return &cache{}, fmt.Errorf("read %s: %w", path, err)
	}
	return c, nil
}

func parseCache(data []byte) (*cache, error) {
	c := &cache{}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, err
	}
	if c.Schema != cacheSchema {
		return nil, fmt.Errorf("its schema is %q and not %s", c.Schema, cacheSchema)
	}
	for _, k := range c.Kept {
		if !digestForm.MatchString(k.Digest) {
			return nil, fmt.Errorf("%q is no digest", k.Digest)
		}
	}
	c.Kept = c.Kept[:min(len(c.Kept), maxKept)]
	return c, nil
}

// of is the digest of the file with that stamp, "" where none is kept.
func (c *cache) of(s stamp) string {
	for i := range c.Kept {
		if c.Kept[i].stamp == s {
			return c.Kept[i].Digest
		}
	}
	return ""
}

// set keeps a digest. Those of files that nothing rests on now go first when there
// are too many; another state of the same file goes at once.
func (c *cache) set(s stamp, digest string, current []stamp) {
	c.Kept = slices.DeleteFunc(c.Kept, func(k kept) bool { return k.Device == s.Device && k.Inode == s.Inode })
	c.Kept = slices.Insert(c.Kept, 0, kept{s, digest})
	if len(c.Kept) <= maxKept {
		return
	}
	slices.SortStableFunc(c.Kept, func(a, b kept) int {
		inUse := func(k kept) int {
			if slices.Contains(current, k.stamp) {
				return 0
			}
			return 1
		}
		return inUse(a) - inUse(b)
	})
	c.Kept = c.Kept[:maxKept]
}

// write replaces the file, so that after a crash there is the old or the new one.
func (c *cache) write(path string) error {
	c.Schema = cacheSchema
	data, err := json.MarshalIndent(c, "", " ")
	if err != nil {
		return err
	}
	return statefile.Write(path, append(data, '\n'))
}
