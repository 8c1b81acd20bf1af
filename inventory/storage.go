package inventory

import (
	"time"

	"github.com/google/uuid"
)

// StoragePool is where a runtime keeps volumes that VMs may use.
type StoragePool struct {
	Name string    `json:"name"`
	UUID uuid.UUID `json:"uuid,omitzero"`
	// Type is the runtime's word: dir, fs, netfs, logical, rbd, zfs, iscsi …
	Type string `json:"type,omitempty"`
	// State is inactive, building, running, degraded or inaccessible. Only the
	// volumes of a running pool are known.
	State string `json:"state,omitempty"`
	// Source is what the pool is made from: a volume group, server:/export, the
	// name of a Ceph or ZFS pool, a device. Target is where its volumes appear.
	Source string `json:"source,omitempty"`
	Target string `json:"target,omitempty"`
	// Available changes all the time, so it is no part of the digest.
	Capacity  *Bytes `json:"capacity,omitempty"`
	Available *Bytes `json:"available,omitempty"`
	// Volumes are those that the runtime knows of, which for libvirt are those
	// that were there when somebody last refreshed the pool.
	Volumes []StorageVolume `json:"volumes,omitempty"`
}

// StorageVolume is a volume of a pool: a file, a logical volume, an RBD image.
type StorageVolume struct {
	Name   string `json:"name"`
	Path   string `json:"path,omitempty"`
	Type   string `json:"type,omitempty"` // file, block, dir, network, netdir, ploop
	Format string `json:"format,omitempty"`
	// Capacity is what a guest would see. Allocation is what it takes now, and no
	// part of the digest.
	Capacity   *Bytes `json:"capacity,omitempty"`
	Allocation *Bytes `json:"allocation,omitempty"`
	// Backing is the layer right below; that layer's own may be another volume's.
	Backing *BackingFile `json:"backing,omitempty"`
}

// ImageFile is a file that VMs' disks rest on and that nothing writes to: the
// ground of backing chains, or a disk that is only read.
type ImageFile struct {
	Path        string     `json:"path"`
	Format      string     `json:"format,omitempty"`
	Size        *Bytes     `json:"size,omitempty"` // of the file
	VirtualSize *Bytes     `json:"virtualSize,omitempty"`
	Modified    *time.Time `json:"modified,omitempty"` // st_mtime
	// Digest is SHA-256 of the file's bytes, "sha256:…". Undigested says why
	// there is none, or none yet.
	Digest     string `json:"digest,omitempty"`
	Undigested string `json:"undigested,omitempty"`
}
