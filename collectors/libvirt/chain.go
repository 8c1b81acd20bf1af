package libvirt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	golibvirt "github.com/digitalocean/go-libvirt"

	"github.com/dataverket/avstem/collectors/internal/diskimage"
	"github.com/dataverket/avstem/inventory"
)

// chain is what was found at and below a disk's own image.
type chain struct {
	own    diskimage.Image // of which the disk has format and sizes from the runtime
	layers []inventory.BackingFile
}

// below puts a chain on a disk. Where the XML tells the disk's chain, that is the
// one that QEMU uses, and ours only adds what its layers say of themselves.
func (c *chain) below(disk *inventory.Disk) {
	if c == nil {
		return
	}
	disk.Number, disk.BlockDevice = c.own.Number, c.own.BlockDevice
	disk.DataFile, disk.Fault = c.own.DataFile, c.own.Fault
	if len(disk.Backing) == 0 {
		disk.Backing = c.layers
		return
	}
	disk.Backing = slices.Clone(disk.Backing) // the last pass's document has the others
	for i := range disk.Backing {
		own := &disk.Backing[i]
		at := slices.IndexFunc(c.layers, func(l inventory.BackingFile) bool { return l.Source == own.Source })
		if at >= 0 {
			format := own.Format
			*own = c.layers[at]
			own.Format = format
		}
	}
}

// follow follows a disk's chain: by the images' own headers where they may be
// read, which costs the VM nothing, and else by what the daemon knows, of a
// running VM from its QEMU, of a stopped one from the pools that have the images.
// there says that the daemon found the image: if we don't, it isn't missing, we
// see another file system than the daemon does.
func (l *lane) follow(ctx context.Context, cl *client, q question, disk asked, image string, there bool) (*chain, error) {
	images, err := l.readChain(ctx, image, disk.format)
	if len(images) == 0 {
		return nil, err
	}
	unseen := there && len(images) == 1 && errors.Is(err, fs.ErrNotExist)
	if unseen {
		images[0].Fault = ""
	}
	found := &chain{own: images[0], layers: diskimage.Layers(images)}
	if disk.device && err != nil {
		return &chain{}, nil // the agent may see no devices, and libvirt tells its size
	}
	switch {
	case err == nil || !unseen && whyOf(err) != inventory.WhyRefused:
		return found, err
	case disk.format == "raw":
		return found, nil // there is nothing below it
	case disk.running && !disk.deep:
		return found, nil // the XML says that there is nothing below it
	case disk.running:
		if layers, told := cl.layers(ctx, q.dom, disk.target); told == nil {
			found.layers, err = layers, nil
		}
		return found, err
	}
	last := len(images) - 1
	layers, told := cl.volumes(ctx, images[last].Path, images[last].Format)
	if told != nil {
		return found, err
	}
	// What was refused is the first of what the pools tell.
	all := append(diskimage.Layers(images[:last]), layers...)
	if last == 0 {
		all = all[1:] // the disk's own image
	}
	found.layers = all
	return found, nil
}

var errReadersStuck = fmt.Errorf("other images are being read and don't come back: %w", context.DeadlineExceeded)

// readChain reads an image's backing chain. A read of a file system that hangs
// can't be taken back: its goroutine is left to it, and only so many may be.
func (l *lane) readChain(ctx context.Context, path, format string) ([]diskimage.Image, error) {
	select {
	case l.readers <- struct{}{}:
	default:
		return nil, errReadersStuck
	}
	type result struct {
		images []diskimage.Image
		err    error
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-l.readers }()
		images, err := diskimage.ReadChain(l.root, path, format)
		done <- result{images, err}
	}()
	select {
	case r := <-done:
		return r.images, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("read %s: %w", path, context.Cause(ctx))
	}
}

const statsCall = "virConnectGetAllDomainStats"

// layers asks a running VM's QEMU, by the daemon, for the layers below a disk.
func (c *client) layers(ctx context.Context, dom golibvirt.Domain, target string) ([]inventory.BackingFile, error) {
	var records []golibvirt.DomainStatsRecord
	err := c.call(ctx, statsCall+" block", func(lv *golibvirt.Libvirt) (err error) {
		records, err = lv.ConnectGetAllDomainStats([]golibvirt.Domain{dom}, uint32(golibvirt.DomainStatsBlock),
			uint32(golibvirt.ConnectGetAllDomainsStatsBacking))
		return err
	})
	if err != nil || len(records) == 0 {
		return nil, err
	}
	return layersIn(records[0].Params, target), nil
}

// layersIn reads the statistics of block devices: "block.N.name" is the disk, and
// each of its layers has an N of its own, nearest first, of which the disk's own
// image comes first.
func layersIn(params []golibvirt.TypedParam, target string) []inventory.BackingFile {
	names, layers := map[string]string{}, []inventory.BackingFile(nil)
	at := map[string]int{}
	for _, p := range params {
		entry, what, _ := strings.Cut(strings.TrimPrefix(p.Field, "block."), ".")
		switch v := p.Value.I.(type) {
		case string:
			if what == "name" {
				names[entry] = v
			}
			if what == "path" && names[entry] == target {
				at[entry] = len(layers)
				layers = append(layers, inventory.BackingFile{Source: v})
			}
		case uint64:
			i, ours := at[entry]
			switch {
			case !ours:
			case what == "capacity":
				layers[i].VirtualSize = new(inventory.Bytes(v))
			case what == "physical":
				layers[i].Allocation = new(inventory.Bytes(v))
			}
		}
	}
	if len(layers) == 0 {
		return nil
	}
	return layers[1:]
}

// volumes follows a chain by the volumes that pools know: the image at path comes
// first. What libvirt took a volume for when it probed it counts for nothing, as
// its guest may have written that: a layer is what the one above it says.
func (c *client) volumes(ctx context.Context, path, format string) ([]inventory.BackingFile, error) {
	var layers []inventory.BackingFile
	for len(layers) < diskimage.MaxChain {
		v, err := c.volumeAt(ctx, path)
		switch {
		case golibvirt.IsNotFound(err) && len(layers) > 0:
			return append(layers, inventory.BackingFile{Source: path, Format: format}), nil // in no pool
		case err != nil:
			return nil, err
		}
		own := inventory.BackingFile{Source: path, Format: format, Allocation: v.Allocation}
		if v.Format == format { // else that is the size of something else
			own.VirtualSize = v.Capacity
		}
		layers = append(layers, own)
		if v.Backing == nil || v.Format != format || format == "raw" {
			break
		}
		path, format = v.Backing.Source, v.Backing.Format
	}
	return layers, nil
}

func (c *client) volumeAt(ctx context.Context, path string) (inventory.StorageVolume, error) {
	var raw string
	err := c.call(ctx, "virStorageVolLookupByPath "+path, func(lv *golibvirt.Libvirt) error {
		volume, err := lv.StorageVolLookupByPath(path)
		if err == nil {
			raw, err = lv.StorageVolGetXMLDesc(volume, 0)
		}
		return err
	})
	if err != nil {
		return inventory.StorageVolume{}, err
	}
	return parseVolume([]byte(raw))
}

func chainProblem(entity, image string, err error) inventory.Problem {
	p := inventory.Problem{Entity: entity, Field: "disk.backing", Call: "open " + image, Why: whyOf(err), Error: err.Error(),
		Remedy: "see whether the image is there and whole (qemu-img info --backing-chain)"}
	switch p.Why {
	case inventory.WhyRefused:
		p.Remedy = "let the agent read its images (CAP_DAC_READ_SEARCH), or make their directory a storage pool: libvirt tells what its volumes rest on"
	case inventory.WhyTimedOut:
		p.Remedy = "see whether the file system that the image is on answers; it is asked again later and later"
	}
	return p
}
