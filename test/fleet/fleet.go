package fleet

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/collectors/identity"
	"github.com/dataverket/avstem/collectors/incus"
	"github.com/dataverket/avstem/collectors/libvirt"
	"github.com/dataverket/avstem/collectors/network"
	"github.com/dataverket/avstem/collectors/qemu"
	"github.com/dataverket/avstem/collectors/storage"
	"github.com/dataverket/avstem/inventory"
)

// Plan says what fleet to make up.
type Plan struct {
	Hosts, VMs int // VMs of each host
	Sites      int
	// DriftEvery is one VM of how many that drifts, and one host of as many; 0 for
	// none. Which drift it is goes by [VMDrift.Share] and [HostDrift.Share].
	DriftEvery int
}

// The platforms that the hosts of a fleet have in turn.
const (
	onLibvirt   = "libvirt"
	onOpenStack = "openstack"
	onIncus     = "incus"
)

// Platforms is how many they are.
const Platforms = 3

var platforms = [Platforms]string{onLibvirt, onOpenStack, onIncus}

// Fleet is a fleet that was made up. Its methods may be called at the same time.
type Fleet struct {
	Plan
	known     map[string][]inventory.Capability // by source
	vmTurns   map[string][]*VMDrift             // by platform
	hostTurns map[string][]*HostDrift
}

// New makes a fleet up.
func New(p Plan) *Fleet {
	f := &Fleet{Plan: p, vmTurns: map[string][]*VMDrift{}, hostTurns: map[string][]*HostDrift{}, known: map[string][]inventory.Capability{
		sourceIdentity: new(identity.Collector).Capabilities(),
		sourceNetwork:  new(network.Collector).Capabilities(),
		sourceStorage:  new(storage.Collector).Capabilities(),
		sourceLibvirt:  new(libvirt.Collector).Capabilities(),
		sourceIncus:    new(incus.Collector).Capabilities(),
		sourceQEMU:     new(qemu.Collector).Capabilities(),
	}}
	for _, platform := range platforms {
		f.vmTurns[platform] = turns(VMDrifts, platform, func(d *VMDrift) (int, string) { return d.Share, d.only })
		f.hostTurns[platform] = turns(HostDrifts, platform, func(d *HostDrift) (int, string) { return d.Share, d.only })
	}
	return f
}

// tenants, with two projects each, own the VMs in turn.
const (
	tenants  = 25
	projects = 2
	// rack is how many hosts of a site fail together.
	rack = 20
)

var (
	epoch   = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	vcpus   = 2
	memory  = 4 * inventory.GiB
	root    = 20 * inventory.GiB
	yes, no = true, false
)

// Site is the ID of a host's site.
func (f *Fleet) Site(host int) string { return fmt.Sprintf("site%d", host%f.Sites+1) }

// Platform is what runs a host's VMs.
func (f *Fleet) Platform(host int) string { return platforms[host/(2*f.Sites)%len(platforms)] }

// Partner is the host of the same site and platform that VMs of a host are copied
// or move to, and false where it has none. Each is its partner's partner.
func (f *Fleet) Partner(host int) (int, bool) {
	other := host + f.Sites
	if host/f.Sites%2 == 1 {
		other = host - f.Sites
	}
	return other, other < f.Hosts
}

// rack is the failure domain of a host.
func (f *Fleet) rack(host int) string {
	return fmt.Sprintf("%s-rack%03d", f.Site(host), host/f.Sites/rack)
}

// HostKey is Sentral's key of a host.
func HostKey(host int) string { return fmt.Sprintf("hv-%05d", host) }

// HostID is the host ID of its agent.
func HostID(host int) uuid.UUID { return numbered('h', host) }

// numbered makes UUIDs that can be told apart and made again.
func numbered(what byte, n int) uuid.UUID {
	return uuid.UUID{what, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), 0, 0x40, 0, 0x80, 0, 0, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

// mac is that of a VM's first NIC; second of its second.
func mac(n int) inventory.MAC {
	return inventory.MAC{0x52, 0x54, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

func second(n int) inventory.MAC {
	m := mac(n)
	m[1] = 0x56
	return m
}

// owner is whose a VM is.
type owner struct {
	tenant, project string
	vlan            inventory.VLAN // of its network, in every site
}

func (f *Fleet) owner(vm int) owner {
	tenant, project := vm%tenants, vm/tenants%projects
	return owner{fmt.Sprintf("tenant%02d", tenant), fmt.Sprintf("project%d", project), inventory.VLAN(100 + tenant*projects + project)}
}

func (o owner) network() string { return o.tenant + "-" + o.project }

// backup is a network of the owner's that is routed and has no VLAN.
func (o owner) backup() string { return o.network() + "-backup" }
