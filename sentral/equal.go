package sentral

import "slices"

// Equal says whether two records say the same. What isn't there differs from what
// is there and empty.
func (vm *VM) Equal(other *VM) bool {
	if vm == other {
		return true
	}
	return vm.ID == other.ID && vm.RuntimeID == other.RuntimeID && vm.Name == other.Name &&
		vm.Tenant == other.Tenant && vm.Project == other.Project && vm.Environment == other.Environment &&
		vm.Site == other.Site && vm.FailureDomain == other.FailureDomain && vm.Host == other.Host &&
		vm.AntiAffinity == other.AntiAffinity && vm.State == other.State && vm.Machine == other.Machine &&
		sameValue(vm.VCPUs, other.VCPUs) && sameValue(vm.Memory, other.Memory) && sameValue(vm.Image, other.Image) &&
		sameList(vm.NICs, other.NICs, func(a, b *NIC) bool { return *a == *b }) &&
		sameList(vm.Disks, other.Disks, (*Disk).equal)
}

func (d *Disk) equal(other *Disk) bool {
	a, b := *d, *other
	a.Size, b.Size = nil, nil
	return a == b && sameValue(d.Size, other.Size)
}

// Equal says whether two records say the same. What isn't there differs from what
// is there and empty.
func (h *Host) Equal(other *Host) bool {
	if h == other {
		return true
	}
	return h.ID == other.ID && h.HostID == other.HostID && h.Name == other.Name && h.Site == other.Site &&
		h.FailureDomain == other.FailureDomain && h.Platform == other.Platform && h.State == other.State &&
		h.Serial == other.Serial && h.SystemUUID == other.SystemUUID && h.Capacity.equal(other.Capacity) &&
		sameList(h.Links, other.Links, func(a, b *HostLink) bool {
			return a.Name == b.Name && a.MAC == b.MAC && (a.VLANs == nil) == (b.VLANs == nil) && slices.Equal(a.VLANs, b.VLANs)
		}) &&
		sameList(h.Disks, other.Disks, func(a, b *HostDisk) bool {
			return a.Serial == b.Serial && a.WWN == b.WWN && sameValue(a.Size, b.Size)
		})
}

func (q *Quota) equal(other *Quota) bool {
	if q == nil || other == nil {
		return q == other
	}
	return sameValue(q.VCPUs, other.VCPUs) && sameValue(q.Memory, other.Memory) && sameValue(q.Storage, other.Storage)
}

func sameValue[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func sameList[T any](a, b []T, same func(a, b *T) bool) bool {
	if len(a) != len(b) || (a == nil) != (b == nil) {
		return false
	}
	for i := range a {
		if !same(&a[i], &b[i]) {
			return false
		}
	}
	return true
}
