package diskimage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// MaxChain bounds backing chains: QEMU gives up long before, and nothing that
// is longer was made on purpose.
const MaxChain = 64

// Image is one image of a backing chain.
type Image struct {
	// Path is where it is on this host; for one that is elsewhere, what QEMU
	// would be told ("rbd:pool/image", "nbd://…").
	Path string
	// Format is what the runtime, or the image above, says that it is; "" where
	// they don't.
	Format string
	// VirtualSize is what the guest sees, Allocation what the file takes; nil
	// where the image doesn't tell.
	VirtualSize, Allocation *inventory.Bytes
	// Number is that of the file system (major:minor) which holds it; a block
	// device has the kernel's name instead.
	Number, BlockDevice string
	// DataFile holds the data of a qcow2 image that keeps none itself.
	DataFile string
	// Fault is why it can't be read as what it is said to be: that it is missing,
	// or no such image. It is empty where we were only not allowed to look.
	Fault string
}

// Backing gives the image as a layer below a disk.
func (i *Image) Backing() inventory.BackingFile {
	return inventory.BackingFile{Source: i.Path, Format: i.Format, VirtualSize: i.VirtualSize,
		Allocation: i.Allocation, Number: i.Number, BlockDevice: i.BlockDevice, DataFile: i.DataFile, Fault: i.Fault}
}

// Layers gives the images below the first as the layers below a disk.
func Layers(chain []Image) []inventory.BackingFile {
	var layers []inventory.BackingFile
	for i := 1; i < len(chain); i++ {
		layers = append(layers, chain[i].Backing())
	}
	return layers
}

// ReadChain reads an image of this host, whose tree begins at root, and follows
// its backing chain. The image itself comes first, the ground last. With an error
// the chain stands as far as it was followed: what could not be read is its last.
func ReadChain(root, path, format string) ([]Image, error) {
	var chain []Image
	seen := map[string]bool{}
	for {
		if len(chain) == MaxChain {
			return chain, fmt.Errorf("read %s: the backing chain is longer than %d", path, MaxChain)
		}
		image := Image{Path: path, Format: format}
		if seen[path] {
			err := errors.New("the backing chain loops")
			image.Fault = err.Error()
			return append(chain, image), fmt.Errorf("read %s: %w", path, err)
		}
		seen[path] = true
		below, err := image.read(root)
		chain = append(chain, image)
		if err != nil {
			return chain, fmt.Errorf("read %s: %w", path, err)
		}
		if below.backing == "" {
			return chain, nil
		}
		next, local := resolve(path, below.backing)
		if !local {
			return append(chain, Image{Path: next, Format: below.backingFormat}), nil
		}
		path, format = next, below.backingFormat
	}
}

// read fills in what the image says of itself, and gives its header. A raw image
// has none, and one whose format nobody says is not opened: QEMU would probe it,
// and its guest may have written what that would find.
func (i *Image) read(root string) (h header, err error) {
	defer func() { i.Fault = fault(root, i.Path, err) }()
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join("/", root, i.Path), &st); err != nil {
		return header{}, err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		i.Allocation = new(inventory.Bytes(st.Blocks * 512))
		i.Number = fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
		if i.Format == "raw" {
			i.VirtualSize = new(inventory.Bytes(st.Size))
		}
	case unix.S_IFBLK:
		i.BlockDevice = deviceName(root, st.Rdev)
		if i.Format == "raw" {
			i.VirtualSize = deviceSize(root, st.Rdev)
		}
	default:
		return header{}, errNoImage
	}
	parse := parsers[i.Format]
	if parse == nil {
		return header{}, nil
	}
	f, err := open(filepath.Join("/", root, i.Path))
	if err != nil {
		return header{}, err
	}
	defer f.Close()
	if h, err = parse(f); err != nil {
		return header{}, err
	}
	i.VirtualSize = new(inventory.Bytes(h.size))
	if h.dataFile != "" {
		i.DataFile, _ = resolve(i.Path, h.dataFile)
	}
	return h, nil
}

// errNoImage is what is said of a directory, a FIFO, a socket or a character
// device, none of which is opened.
var errNoImage = errors.New("it is neither a file nor a block device")

// open opens a file or block device without waiting: what was one when it was
// looked at may be a FIFO now, which would block.
func open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, errors.Unwrap(err) // without the path, which isn't the host's
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() && info.Mode()&(os.ModeDevice|os.ModeCharDevice) != os.ModeDevice {
		err = errNoImage
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// deviceName is a block device's name by sysfs, where its number is a symbolic
// link to it, and a slash in the name an exclamation mark.
func deviceName(root string, number uint64) string {
	target, err := os.Readlink(filepath.Join("/", root, sysNumber(number)))
	if err != nil {
		return ""
	}
	return strings.ReplaceAll(filepath.Base(target), "!", "/")
}

func sysNumber(number uint64) string {
	return fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(number), unix.Minor(number))
}

// deviceSize is a block device's size by sysfs, which everybody may read.
func deviceSize(root string, number uint64) *inventory.Bytes {
	text, err := collectors.ReadText(root, sysNumber(number)+"/size")
	if err != nil {
		return nil
	}
	sectors, err := strconv.ParseUint(text, 10, 55) // 2^64 bytes are 2^55 sectors
	if err != nil {
		return nil
	}
	return new(inventory.Bytes(sectors * 512))
}

// fault says in what way an image that could not be read is not what it is said
// to be. An image is only missing from a directory that is there: where the
// directory isn't, it may be us who don't see the file system.
func fault(root, path string, err error) string {
	switch {
	case err == nil, errors.Is(err, fs.ErrPermission):
		return ""
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Join("/", root, filepath.Dir(path))); err != nil {
			return ""
		}
		return "missing"
	}
	return err.Error()
}

// protocol matches what QEMU takes for a protocol (path_has_protocol in block.c):
// a colon before any slash, as in "nbd:…", "json:…" or "rbd:pool/image".
var protocol = regexp.MustCompile(`^[^/:]*:`)

// resolve finds what an image's header names as QEMU does: relative to the
// directory of the image that names it. It is not local where it is on the
// network or described in JSON.
func resolve(image, name string) (path string, local bool) {
	name, _, _ = strings.Cut(name, "\x00") // where QEMU, written in C, stops reading
	name = strings.TrimPrefix(name, "file:")
	if protocol.MatchString(name) {
		return name, false
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(image), name)
	}
	return filepath.Clean(name), true
}
