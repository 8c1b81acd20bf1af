package collectors

import (
	"fmt"
	"sync"

	"github.com/dataverket/avstem/inventory"
)

// Builder takes what one pass of a collector saw. Its methods may be called
// from several goroutines. Misuse (the same entity twice, a field that the
// catalogue doesn't know, an entity without identity) makes the pass fail with
// a sentence that names it, so that the conformance suite finds it.
type Builder struct {
	mu         sync.Mutex
	body       inventory.Body
	problems   []inventory.Problem
	seen       map[string]bool
	misuse     error
	enumerated bool
	sealed     bool
}

func newBuilder() *Builder { return &Builder{seen: map[string]bool{}} }

// add runs set under the lock if the entity is new and has an identity.
func (b *Builder) add(kind, key string, set func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	entity := kind + ":" + key
	switch {
	case b.sealed: // a straggler of a pass that was given up
	case key == "":
		b.fault("a %s without identity was added", kind)
	case b.seen[entity]:
		b.fault("%s was added twice", entity)
	default:
		b.seen[entity] = true
		set()
	}
}

func (b *Builder) fault(format string, args ...any) {
	if b.misuse == nil {
		b.misuse = fmt.Errorf("collector is at fault: "+format, args...)
	}
}

// Host sets the host's description of itself.
func (b *Builder) Host(h inventory.Host) {
	b.add("host", "self", func() { b.body.Identity = &h })
}

// Link adds a link.
func (b *Builder) Link(l inventory.Link) {
	b.add("link", l.Name, func() { b.body.Links = append(b.body.Links, l) })
}

// OVSBridge adds an Open vSwitch bridge.
func (b *Builder) OVSBridge(br inventory.OVSBridge) {
	b.add("ovsBridge", br.Name, func() { b.body.OVSBridges = append(b.body.OVSBridges, br) })
}

// BlockDevice adds a block device.
func (b *Builder) BlockDevice(d inventory.BlockDevice) {
	b.add("blockDevice", d.Name, func() { b.body.BlockDevices = append(b.body.BlockDevices, d) })
}

// FileSystem adds a mounted file system.
func (b *Builder) FileSystem(f inventory.FileSystem) {
	b.add("fileSystem", f.Mount, func() { b.body.FileSystems = append(b.body.FileSystems, f) })
}

// Runtime sets the runtime that the source is.
func (b *Builder) Runtime(r inventory.Runtime) {
	b.add("runtime", r.Name, func() { b.body.Runtime = &r })
}

// VM adds a VM. One that was listed but could not be read is added with what is
// known of it, beside a Problem, so that it doesn't look absent.
func (b *Builder) VM(vm inventory.VM) {
	b.add("vm", vm.Key(), func() { b.body.VMs = append(b.body.VMs, vm) })
}

// StoragePool adds a storage pool with its volumes.
func (b *Builder) StoragePool(p inventory.StoragePool) {
	b.add("storagePool", p.Name, func() { b.body.StoragePools = append(b.body.StoragePools, p) })
}

// ImageFile adds a file that disks rest on.
func (b *Builder) ImageFile(f inventory.ImageFile) {
	b.add("imageFile", f.Path, func() { b.body.ImageFiles = append(b.body.ImageFiles, f) })
}

// Problem records what could not be read.
func (b *Builder) Problem(p inventory.Problem) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.sealed:
	case p.Field != "" && !p.Field.Known():
		b.fault("field %q is not in the catalogue", p.Field)
	default:
		b.problems = append(b.problems, p)
	}
}

// Enumerated says that every entity of the source has been listed, so that what
// is not in the observation isn't there.
func (b *Builder) Enumerated() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.enumerated = true
}
