package libvirt

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net"

	"libvirt.org/go/libvirtxml"

	"github.com/dataverket/avstem/inventory"
)

// parsePool reads a pool's XML as virStoragePoolGetXMLDesc gives it.
func parsePool(raw []byte) (inventory.StoragePool, error) {
	var doc libvirtxml.StoragePool
	if err := xml.Unmarshal(raw, &doc); err != nil {
		return inventory.StoragePool{}, fmt.Errorf("parse pool XML: %w", err)
	}
	pool := inventory.StoragePool{Name: doc.Name, Type: doc.Type, Source: poolSource(doc.Source)}
	if doc.Target != nil {
		pool.Target = doc.Target.Path
	}
	pool.Capacity, pool.Available = poolSize(doc.Capacity), poolSize(doc.Available)
	return pool, nil
}

// poolSource writes what a pool is made from as people do: the name of a volume
// group or of a Ceph or ZFS pool, server:/export, else its device or adapter.
func poolSource(s *libvirtxml.StoragePoolSource) string {
	switch {
	case s == nil:
	case s.Name != "":
		return s.Name
	case len(s.Host) > 0:
		host := s.Host[0].Name
		if s.Host[0].Port != "" {
			host = net.JoinHostPort(host, s.Host[0].Port)
		}
		switch {
		case s.Dir != nil:
			return host + ":" + s.Dir.Path
		case len(s.Device) > 0: // iSCSI's target
			return host + " " + s.Device[0].Path
		}
		return host
	case len(s.Device) > 0:
		return s.Device[0].Path
	case s.Adapter != nil:
		return s.Adapter.Name
	case s.Dir != nil:
		return s.Dir.Path
	}
	return ""
}

func poolSize(s *libvirtxml.StoragePoolSize) *inventory.Bytes {
	if s == nil {
		return nil
	}
	return storageSize(s.Value, s.Unit)
}

func volumeSize(s *libvirtxml.StorageVolumeSize) *inventory.Bytes {
	if s == nil {
		return nil
	}
	return storageSize(s.Value, s.Unit)
}

// storageSize reads a size, which is in bytes where no unit is given, other than
// a domain's sizes.
func storageSize(n uint64, unit string) *inventory.Bytes {
	if unit == "" {
		unit = "bytes"
	}
	size, err := memory(n, unit)
	if err != nil {
		return nil
	}
	return &size
}

// parseVolume reads a volume's XML as virStorageVolGetXMLDesc gives it.
func parseVolume(raw []byte) (inventory.StorageVolume, error) {
	var doc libvirtxml.StorageVolume
	if err := xml.Unmarshal(raw, &doc); err != nil {
		return inventory.StorageVolume{}, fmt.Errorf("parse volume XML: %w", err)
	}
	if doc.Name == "" {
		return inventory.StorageVolume{}, errors.New("parse volume XML: it has no name")
	}
	v := inventory.StorageVolume{Name: doc.Name, Type: doc.Type, Capacity: volumeSize(doc.Capacity), Allocation: volumeSize(doc.Allocation)}
	if doc.Target != nil {
		v.Path = doc.Target.Path
		v.Format = formatOf(doc.Target.Format)
	}
	if below := doc.BackingStore; below != nil && below.Path != "" {
		v.Backing = &inventory.BackingFile{Source: below.Path, Format: formatOf(below.Format)}
	}
	return v, nil
}

func formatOf(f *libvirtxml.StorageVolumeTargetFormat) string {
	if f == nil || f.Type == "unknown" {
		return ""
	}
	return f.Type
}
