package reconcile

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// resource is one of the things that quotas and capacities bound.
type resource int

const (
	vcpus resource = iota
	memory
	diskSpace
	resources // how many there are
)

// field is how findings name it; the inventory's keys are the same.
func (r resource) field() string { return [...]string{"vcpus", "memory", "storage"}[r] }

// words writes an amount as people say it.
func (r resource) words(n uint64) string {
	if r == vcpus {
		if n == 1 {
			return "1 vCPU"
		}
		return strconv.FormatUint(n, 10) + " vCPUs"
	}
	return fmt.Sprintf("%s of %s", inventory.Bytes(n), r.field())
}

// value is an amount as findings hold it: a number of vCPUs, or of bytes.
func (r resource) value(n uint64) any {
	if r == vcpus {
		return n
	}
	return inventory.Bytes(n)
}

// amounts are how much there is of each; a nil one is not bounded or not known.
type amounts [resources]*uint64

func limitsOf(q *sentral.Quota) (a amounts) {
	if q == nil {
		return a
	}
	if q.VCPUs != nil {
		n := uint64(max(*q.VCPUs, 0))
		a[vcpus] = &n
	}
	a[memory], a[diskSpace] = bytesOf(q.Memory), bytesOf(q.Storage)
	return a
}

func bytesOf(b *inventory.Bytes) *uint64 {
	if b == nil {
		return nil
	}
	n := uint64(*b)
	return &n
}

// load is what VMs take of each resource together.
type load struct {
	sum   [resources]uint64
	vms   [resources][]share // who takes it, where that is to be named
	named bool
}

// share is what one VM takes.
type share struct {
	name string
	n    uint64
}

func (l *load) add(r resource, name string, n uint64) {
	if n == 0 {
		return
	}
	if l.sum[r] += n; l.sum[r] < n { // past what can be counted is past every limit
		l.sum[r] = math.MaxUint64
	}
	if l.named {
		l.vms[r] = append(l.vms[r], share{name, n})
	}
}

// largest names those that take the most.
func (l *load) largest(r resource) string {
	all := slices.Clone(l.vms[r])
	slices.SortFunc(all, func(a, b share) int {
		switch {
		case a.n != b.n:
			return yesFirst(a.n > b.n, false)
		case a.name < b.name:
			return -1
		case a.name > b.name:
			return 1
		}
		return 0
	})
	const named = 5
	var words []string
	for _, s := range all[:min(len(all), named)] {
		words = append(words, s.name+" has "+r.words(s.n))
	}
	if more := len(all) - named; more > 0 {
		words = append(words, fmt.Sprintf("%d more have the rest", more))
	}
	return listed(words, "and")
}

// recorded is what a VM takes as Sentral has it.
func (l *load) addRecord(want *sentral.VM) {
	if want.VCPUs != nil {
		l.add(vcpus, want.Name, uint64(max(*want.VCPUs, 0)))
	}
	if want.Memory != nil {
		l.add(memory, want.Name, uint64(*want.Memory))
	}
	for i := range want.Disks {
		if d := &want.Disks[i]; d.Size != nil && !d.Shared {
			l.add(diskSpace, want.Name, uint64(*d.Size))
		}
	}
}

// addComputing adds what a VM takes as long as it is in memory, addDisks what it
// takes whether it runs or not.
func (l *load) addComputing(name string, vm *inventory.VM) {
	if vm.VCPUs != nil {
		l.add(vcpus, name, uint64(max(*vm.VCPUs, 0)))
	}
	if vm.Memory != nil {
		l.add(memory, name, uint64(*vm.Memory))
	}
}

// addDisks leaves out what several VMs may share: whose it is isn't settled.
func (l *load) addDisks(name string, vm *inventory.VM, counts func(*inventory.Disk) bool) {
	for i := range vm.Disks {
		if d := &vm.Disks[i]; d.IsStorage() && d.Capacity != nil && !d.ReadOnly && !d.Shareable && counts(d) {
			l.add(diskSpace, name, uint64(*d.Capacity))
		}
	}
}
