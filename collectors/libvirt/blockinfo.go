package libvirt

import (
	"context"
	"strings"

	golibvirt "github.com/digitalocean/go-libvirt"

	"github.com/dataverket/avstem/inventory"
)

const blockInfoCall = "virDomainGetBlockInfo"

// sizes asks the daemon for the sizes of a disk, and tells which image is its
// own, "" where that isn't known.
func (c *client) sizes(ctx context.Context, dom golibvirt.Domain, disk asked) (s sizes, image string, err error) {
	var capacity, allocation uint64
	image = disk.source
	if disk.volume {
		capacity, allocation, image, err = c.volume(ctx, disk.source)
	}
	if disk.running || !disk.volume {
		err = c.call(ctx, blockInfoCall+" "+disk.target, func(lv *golibvirt.Libvirt) (err error) {
			allocation, capacity, _, err = lv.DomainGetBlockInfo(dom, disk.target, 0)
			return err
		})
	}
	if err != nil {
		return sizes{}, image, err
	}
	return sizes{capacity: new(inventory.Bytes(capacity)), allocation: new(inventory.Bytes(allocation))}, image, nil
}

// volume asks for a volume that is named as in its disk's source, POOL/VOLUME. A
// pool's name has no slash.
func (c *client) volume(ctx context.Context, source string) (capacity, allocation uint64, path string, err error) {
	poolName, name, _ := strings.Cut(source, "/")
	err = c.call(ctx, "virStorageVolGetInfo "+source, func(lv *golibvirt.Libvirt) error {
		pool, err := lv.StoragePoolLookupByName(poolName)
		if err != nil {
			return err
		}
		volume, err := lv.StorageVolLookupByName(pool, name)
		if err != nil {
			return err
		}
		if path, err = lv.StorageVolGetPath(volume); err != nil {
			return err
		}
		_, capacity, allocation, err = lv.StorageVolGetInfo(volume)
		return err
	})
	return capacity, allocation, path, err
}

func sizeProblem(entity string, disk asked, err error) inventory.Problem {
	p := problemOf(entity, "disk.capacity", err)
	switch disk.offline {
	case "":
		p.Remedy = "see whether the disk's source is there and what the daemon says of it (virsh domblkinfo)"
	case "volume":
		p.Remedy = "see whether the volume is there and its pool is started (virsh vol-info --pool)"
	default:
		p.Why, p.Remedy = inventory.WhyAbsent, "none is needed: libvirt tells the size of a "+disk.offline+" disk only while its VM runs"
	}
	return p
}
