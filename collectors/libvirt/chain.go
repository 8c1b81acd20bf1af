package libvirt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/dataverket/avstem/inventory"
)

// readChain follows the backing chain of a qcow2 image on this host, nearest
// first. An image is only read as qcow2 where the runtime, or the header of the
// image above it, says so: probing a raw image would let a guest write a header
// into its disk and name any file of the host.
func readChain(root, path string) ([]inventory.BackingFile, error) {
	var chain []inventory.BackingFile
	seen := map[string]bool{}
	for format := "qcow2"; format == "qcow2"; {
		if seen[path] {
			return chain, fmt.Errorf("read %s: the backing chain loops", path)
		}
		if len(chain) == maxChain {
			return chain, fmt.Errorf("read %s: the backing chain is longer than %d", path, maxChain)
		}
		seen[path] = true
		header, err := readQcow2(filepath.Join("/", root, path))
		if err != nil {
			return chain, fmt.Errorf("read %s: %w", path, err)
		}
		if header.backing == "" {
			break
		}
		next, local := backingPath(path, header.backing)
		chain = append(chain, inventory.BackingFile{Source: next, Format: header.backingFormat})
		if !local {
			break
		}
		path, format = next, header.backingFormat
	}
	return chain, nil
}

// protocol matches what QEMU takes for a protocol (path_has_protocol in block.c):
// a colon before any slash, as in "nbd:…", "json:…" or "rbd:pool/image".
var protocol = regexp.MustCompile(`^[^/:]*:`)

// backingPath resolves a backing file's name as QEMU does: relative to the
// directory of the image that names it. It is not local where it is on the
// network or described in JSON.
func backingPath(image, name string) (path string, local bool) {
	name = strings.TrimPrefix(name, "file:")
	if protocol.MatchString(name) {
		return name, false
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(image), name)
	}
	return filepath.Clean(name), true
}

// readQcow2 reads the header of a file or block device. Anything else that a
// chain may lead to is refused, and opened without waiting: a FIFO would block.
func readQcow2(path string) (qcow2, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return qcow2{}, errors.Unwrap(err) // without the path, which isn't the host's
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return qcow2{}, err
	}
	if mode := info.Mode(); !mode.IsRegular() && mode&(os.ModeDevice|os.ModeCharDevice) != os.ModeDevice {
		return qcow2{}, fmt.Errorf("%s is neither a file nor a block device", mode.Type())
	}
	return parseQcow2(f)
}
