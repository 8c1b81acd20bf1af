package libvirt

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/test/rig"
)

// threeGuests is a host with three guests with a disk each, in memory.
func threeGuests(t *testing.T) *rig.Rig {
	t.Helper()
	r := rig.ForTest(t)
	for i := range 3 {
		name := fmt.Sprintf("plain-%d", i)
		image := must(t)(r.CreateImage(name+".qcow2", int64(i+1)<<30, ""))
		if err := r.Define(plain(name, i, image)); err != nil {
			t.Fatal(err)
		}
		if err := r.StartVMPaused(name); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// capacity is the size of a guest's only disk, 0 where it isn't reported, and
// the problem that hides it.
func capacity(t *testing.T, o *inventory.Observation, n int) (inventory.Bytes, inventory.Why) {
	t.Helper()
	vm := vmOf(t, o, plainUUID(n))
	if vm.State != inventory.StatePaused || vm.VCPUs == nil {
		t.Fatalf("guest %d is not read in full: %+v", n, vm)
	}
	p, _ := o.ProblemOf(inventory.VMEntity(vm.UUID), "disk.capacity")
	if vm.Disks[0].Capacity == nil {
		return 0, p.Why
	}
	return *vm.Disks[0].Capacity, p.Why
}

// TestWedgedFromTheBeginning stops a guest's QEMU before it is ever asked: the
// neighbours' sizes are in the first document, and it alone has a problem.
func TestWedgedFromTheBeginning(t *testing.T) {
	r := threeGuests(t)
	signalGuest(t, r, "plain-1", "STOP")
	c := open(t, r)
	c.setUp()
	c.lane.box = 2 * time.Second // the neighbours must make it on a busy machine
	c.lane.wait = time.Hour      // the pass ends when every VM had its box
	o := collect(t, c)
	if !o.Complete || len(o.Problems) != 1 {
		t.Fatalf("outcome %s, problems %+v", o.Outcome, o.Problems)
	}
	for i, want := range []inventory.Bytes{1 << 30, 0, 3 << 30} {
		if got, why := capacity(t, o, i); got != want || (why == inventory.WhyTimedOut) != (want == 0) {
			t.Errorf("guest %d has %s (%s), want %s", i, got, why, want)
		}
	}
}

// TestWedgedLater stops a guest's QEMU that was fine before: passes go on, what
// was known stays beside the problem, QEMU isn't asked again before its time,
// and a guest that goes on is whole again.
func TestWedgedLater(t *testing.T) {
	r := threeGuests(t)
	victim := plainUUID(1)
	var asked atomic.Int32
	proxy := newFakeProxy(t, r.LibvirtReadOnlySocket(), func(proc uint32, packet []byte) []byte {
		if proc == procGetBlockInfo && bytes.Contains(packet[offPayload:], victim[:]) {
			asked.Add(1)
		}
		return packet
	}, nil)
	c := closed(t, &Collector{Sockets: []string{proxy.socket}})
	c.setUp()
	c.lane.box, c.lane.fresh, c.lane.backOff = 2*time.Second, 0, time.Hour
	if size, why := capacity(t, complete(t, c), 1); size != 2<<30 || why != "" {
		t.Fatalf("guest 1 has %s (%s)", size, why)
	}
	signalGuest(t, r, "plain-1", "STOP")
	c.lane.wait = time.Hour // nothing is new, so no pass waits for it
	eventually(t, "the problem", func() bool {
		size, why := capacity(t, collect(t, c), 1)
		return size == 2<<30 && why == inventory.WhyTimedOut
	})
	before := asked.Load()
	for range 20 {
		o := collect(t, c)
		for _, i := range []int{0, 2} {
			if size, why := capacity(t, o, i); size != inventory.Bytes(i+1)<<30 || why != "" {
				t.Fatalf("guest %d has %s (%s)", i, size, why)
			}
		}
	}
	if n := asked.Load(); n != before {
		t.Errorf("the wedged guest was asked %d times while it was to be left alone", n-before)
	}

	signalGuest(t, r, "plain-1", "CONT")
	c.lane.mu.Lock()
	c.lane.entries[victim].notYet = time.Time{}
	c.lane.mu.Unlock()
	eventually(t, "the guest to be whole", func() bool {
		size, why := capacity(t, collect(t, c), 1)
		return size == 2<<30 && why == ""
	})
}

// TestNoSlowWait makes a pass that waits for nothing: what isn't known yet is a
// problem, and soon known.
func TestNoSlowWait(t *testing.T) {
	r := threeGuests(t)
	c := open(t, r)
	c.SlowWait = -1
	o := collect(t, c)
	for i := range 3 {
		if size, why := capacity(t, o, i); size == 0 && why != inventory.WhyTimedOut {
			t.Errorf("guest %d has neither a size nor a problem", i)
		}
	}
	eventually(t, "the sizes", func() bool { return collect(t, c).Outcome == inventory.OutcomeComplete })
}

// TestBackOff grows with each try and ends with an answer.
func TestBackOff(t *testing.T) {
	c := closed(t, &Collector{})
	c.setUp()
	e := &entry{}
	last := time.Duration(0)
	for range 10 {
		c.lane.file(e, answer{timedOut: true})
		wait := time.Until(e.notYet)
		if wait < last-time.Second || wait > laneMaxBackOff {
			t.Errorf("waits %s after %s", wait, last)
		}
		last = wait
	}
	if last < laneMaxBackOff-time.Second {
		t.Errorf("waits %s at last, want %s", last, laneMaxBackOff)
	}
	if c.lane.file(e, answer{}); time.Until(e.notYet) > laneFresh || e.tries != 0 {
		t.Errorf("still waits %s after an answer", time.Until(e.notYet))
	}
}

// TestClosed ends what runs and refuses more.
func TestClosed(t *testing.T) {
	r := threeGuests(t)
	signalGuest(t, r, "plain-1", "STOP")
	c := open(t, r)
	c.SlowWait = -1
	collect(t, c) // leaves a question in a monitor
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if o := collect(t, c); o.Outcome != inventory.OutcomeFailed {
		t.Errorf("a closed collector's pass is %s", o.Outcome)
	}
}
