package libvirt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/test/rig"
)

// TestSocketFaults is the table of what a socket can be like: outcome, why, and
// a remedy each time.
func TestSocketFaults(t *testing.T) {
	r := rig.ForTest(t)
	if err := r.KillLibvirtd(); err != nil {
		t.Fatal(err)
	}
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	for name, c := range map[string]struct {
		sockets []string
		outcome inventory.Outcome
		why     inventory.Why
		says    []string
	}{
		"absent":        {[]string{nowhere, nowhere + "-either"}, inventory.OutcomeAbsent, inventory.WhyAbsent, []string{nowhere, nowhere + "-either"}},
		"stale":         {[]string{nowhere, r.LibvirtReadOnlySocket()}, inventory.OutcomeFailed, inventory.WhyAbsent, []string{"nobody listens", "connection refused"}},
		"below a file":  {[]string{os.Args[0] + "/sock"}, inventory.OutcomeAbsent, inventory.WhyAbsent, nil},
		"not a socket":  {[]string{os.Args[0]}, inventory.OutcomeFailed, inventory.WhyAbsent, nil},
		"path too long": {[]string{"/" + strings.Repeat("x", 120)}, inventory.OutcomeFailed, inventory.WhyBroken, nil},
		"none named":    {[]string{}, inventory.OutcomeAbsent, inventory.WhyAbsent, nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := collect(t, closed(t, &Collector{Sockets: c.sockets}))
			if o.Outcome != c.outcome || o.Complete || len(o.Problems) != 1 || o.Problems[0].Why != c.why {
				t.Fatalf("outcome %s, problems %+v", o.Outcome, o.Problems)
			}
			if o.Problems[0].Remedy == "" {
				t.Error("no remedy")
			}
			for _, s := range c.says {
				if !strings.Contains(o.Problems[0].Error, s) {
					t.Errorf("%q doesn't say %q", o.Problems[0].Error, s)
				}
			}
		})
	}
}

// TestWrongDriver asks the daemon for a driver that it doesn't have.
func TestWrongDriver(t *testing.T) {
	r := rig.ForTest(t)
	o := collect(t, closed(t, &Collector{Sockets: []string{r.LibvirtReadOnlySocket()}, URI: "vbox:///session"}))
	if o.Outcome != inventory.OutcomeFailed || !strings.Contains(o.Problems[0].Call, "vbox") || o.Problems[0].Remedy == "" {
		t.Errorf("outcome %s, problems %+v", o.Outcome, o.Problems)
	}
}

// TestHungDaemon stops libvirtd and makes passes. Each ends in its time and says
// timed-out; nothing is left of them; and when the daemon goes on, so do we.
func TestHungDaemon(t *testing.T) {
	r := rig.ForTest(t)
	definePlain(t, r, 1)
	c := open(t, r)
	complete(t, c)
	c.CallTimeout, c.hot.timeout = 100*time.Millisecond, 100*time.Millisecond
	if err := r.PauseLibvirtd(); err != nil {
		t.Fatal(err)
	}
	hung := func() {
		o := collect(t, c)
		if o.Complete || len(o.VMs) > 0 || len(o.Problems) != 1 || o.Problems[0].Why != inventory.WhyTimedOut || o.Problems[0].Remedy == "" {
			t.Fatalf("outcome %s, problems %+v", o.Outcome, o.Problems)
		}
	}
	hung()
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	for range 10 {
		hung()
	}
	eventually(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= goroutines })
	eventually(t, "descriptors to be closed", func() bool { return openFiles(t) <= files })
	if err := r.ResumeLibvirtd(); err != nil {
		t.Fatal(err)
	}
	c.CallTimeout = time.Minute
	if o := complete(t, c); len(o.VMs) != 1 {
		t.Errorf("%d VMs", len(o.VMs))
	}
}

// TestHungDaemonHonoursContext cancels a pass that waits for a stopped daemon.
func TestHungDaemonHonoursContext(t *testing.T) {
	r := rig.ForTest(t)
	c := open(t, r)
	complete(t, c)
	if err := r.PauseLibvirtd(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("no patience")
	time.AfterFunc(50*time.Millisecond, func() { cancel(why) })
	o := (&collectors.Runner{Collector: c, Timeout: time.Hour}).Run(ctx)
	if o.Complete || !strings.Contains(o.Problems[0].Error, why.Error()) {
		t.Errorf("outcome %s, problems %+v", o.Outcome, o.Problems)
	}
}

// TestDaemonRestarts kills libvirtd and starts it again while passes are made.
// None that calls itself complete may lack a VM, running ones included.
func TestDaemonRestarts(t *testing.T) {
	r := rig.ForTest(t)
	const guests = 60
	var define strings.Builder
	for i := range guests {
		path := fmt.Sprintf("/var/lib/libvirt/plain-%d.xml", i)
		if err := os.WriteFile(r.Outside(path), []byte(plain(fmt.Sprintf("plain-%d", i), i, "")), 0o644); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&define, "define %s\n", path)
	}
	run(t, r, "sh", "-c", `printf %s "$1" | virsh -q -c qemu:///system`, "sh", define.String())
	for i := range 3 {
		if err := r.StartVMPaused(fmt.Sprintf("plain-%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	c := open(t, r)
	complete(t, c)
	for range 4 {
		if err := r.KillLibvirtd(); err != nil {
			t.Fatal(err)
		}
		if o := collect(t, c); o.Complete || o.Outcome != inventory.OutcomeFailed {
			t.Fatalf("outcome without a daemon: %s", o.Outcome)
		}
		restarted := make(chan error, 1)
		go func() { restarted <- r.RestartLibvirtd() }()
		for done := false; !done; {
			select {
			case err := <-restarted:
				if done = true; err != nil {
					t.Fatal(err)
				}
			default:
			}
			o := collect(t, c)
			active := 0
			for _, vm := range o.VMs {
				if vm.State.Active() {
					active++
				}
			}
			if o.Complete && (len(o.VMs) != guests || active != 3) {
				t.Fatalf("a complete pass has %d VMs, %d of them active: want %d and 3", len(o.VMs), active, guests)
			}
		}
		complete(t, c)
	}
}

// TestKilledMidPass kills libvirtd when the third domain is asked for.
func TestKilledMidPass(t *testing.T) {
	r := rig.ForTest(t)
	for i := range 12 {
		definePlain(t, r, i)
	}
	var asked atomic.Int32
	proxy := newFakeProxy(t, r.LibvirtReadOnlySocket(), func(proc uint32, packet []byte) []byte {
		if proc == procGetXML && asked.Add(1) == 3 {
			if err := r.KillLibvirtd(); err != nil {
				t.Error(err)
			}
		}
		return packet
	}, nil)
	o := collect(t, closed(t, &Collector{Sockets: []string{proxy.socket}}))
	if o.Complete || o.Outcome != inventory.OutcomePartial || len(o.VMs) != 12 {
		t.Errorf("outcome %s with %d VMs", o.Outcome, len(o.VMs))
	}
	for _, vm := range o.VMs {
		if _, found := o.ProblemOf(inventory.VMEntity(vm.UUID), "vm.state"); !found && vm.State == "" {
			t.Errorf("VM %s has no state and no problem", vm.Name)
		}
	}
	for _, p := range o.Problems {
		if p.Remedy == "" {
			t.Errorf("no remedy: %+v", p)
		}
	}
}

// TestOneDomainsFault lets one of three domains be at fault between the list and
// its reading: it alone suffers.
func TestOneDomainsFault(t *testing.T) {
	r := rig.ForTest(t)
	victim := plainUUID(1)
	aboutVictim := func(packet []byte) bool { return bytes.Contains(packet[offPayload:], victim[:]) }
	xmlOfVictim := func(packet []byte) bool {
		return bytes.Contains(packet, []byte("<uuid>"+victim.String()+"</uuid>"))
	}
	for _, c := range []struct {
		name        string
		call, reply hook
		timeout     time.Duration // of a call, where not the usual
		why         inventory.Why // of the victim's problem, "" where it is gone
	}{
		{name: "undefined", call: func(proc uint32, packet []byte) []byte {
			if proc == procGetXML && aboutVictim(packet) {
				must(t)(r.Virsh("undefine", "plain-1"))
			}
			return packet
		}},
		{name: "broken XML", why: inventory.WhyBroken, reply: func(proc uint32, packet []byte) []byte {
			if proc == procGetXML && xmlOfVictim(packet) {
				return bytes.Replace(packet, []byte("<devices>"), []byte("<devixes>"), 1)
			}
			return packet
		}},
		{name: "another's XML", why: inventory.WhyBroken, reply: func(proc uint32, packet []byte) []byte {
			if proc == procGetXML && xmlOfVictim(packet) {
				return bytes.ReplaceAll(packet, []byte("-000000000001</uuid>"), []byte("-000000000009</uuid>"))
			}
			return packet
		}},
		{name: "silence", why: inventory.WhyTimedOut, timeout: 2 * time.Second, call: func(proc uint32, packet []byte) []byte {
			if proc == procGetXML && aboutVictim(packet) {
				return nil
			}
			return packet
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i := range 3 {
				definePlain(t, r, i)
			}
			proxy := newFakeProxy(t, r.LibvirtReadOnlySocket(), c.call, c.reply)
			o := collect(t, closed(t, &Collector{Sockets: []string{proxy.socket}, CallTimeout: c.timeout}))
			if !o.Complete {
				t.Fatalf("the list was whole, the document is not: %+v", o.Problems)
			}
			for _, i := range []int{0, 2} {
				if vm := vmOf(t, o, plainUUID(i)); vm.State != inventory.StateStopped || vm.VCPUs == nil {
					t.Errorf("a neighbour suffers: %+v", vm)
				}
			}
			if c.why == "" {
				if len(o.VMs) != 2 || len(o.Problems) != 0 {
					t.Errorf("a domain that is gone is shown: %+v, %+v", o.VMs, o.Problems)
				}
				return
			}
			if vm := vmOf(t, o, victim); vm.Name != "plain-1" || vm.VCPUs != nil || vm.Persistent == nil {
				t.Errorf("VM is %+v", vm)
			}
			if p, found := o.ProblemOf(inventory.VMEntity(victim), "vm.vcpus"); !found || p.Why != c.why || p.Remedy == "" || len(o.Problems) != 1 {
				t.Errorf("problems are %+v", o.Problems)
			}
		})
	}
}

// TestStatesOneByOne takes the call for all states away: each is asked for.
func TestStatesOneByOne(t *testing.T) {
	r := rig.ForTest(t)
	definePlain(t, r, 1)
	var asked atomic.Int32
	proxy := newFakeProxy(t, r.LibvirtReadOnlySocket(), func(proc uint32, packet []byte) []byte {
		switch proc {
		case procAllStats:
			packet[offProc], packet[offProc+1], packet[offProc+2] = 0, 0, 0xff // there is no such procedure
		case procGetState:
			asked.Add(1)
		}
		return packet
	}, nil)
	vm := vmOf(t, complete(t, closed(t, &Collector{Sockets: []string{proxy.socket}})), plainUUID(1))
	if vm.State != inventory.StateStopped || asked.Load() != 1 {
		t.Errorf("state is %s after %d questions", vm.State, asked.Load())
	}
}

// TestStaleStates starts a domain between the call for all states and its
// reading: what is said of it is of one time.
func TestStaleStates(t *testing.T) {
	r := rig.ForTest(t)
	name := definePlain(t, r, 1)
	var once atomic.Bool
	proxy := newFakeProxy(t, r.LibvirtReadOnlySocket(), func(proc uint32, packet []byte) []byte {
		if proc == procGetXML && !once.Swap(true) {
			if err := r.StartVMPaused(name); err != nil {
				t.Error(err)
			}
		}
		return packet
	}, nil)
	vm := vmOf(t, complete(t, closed(t, &Collector{Sockets: []string{proxy.socket}})), plainUUID(1))
	if vm.State != inventory.StatePaused {
		t.Errorf("state is %s", vm.State)
	}
}

// TestStaleCrash starts a crashed domain between the call for all states and its
// reading.
func TestStaleCrash(t *testing.T) {
	r := rig.ForTest(t)
	name := definePlain(t, r, 1)
	if err := r.StartVMPaused(name); err != nil {
		t.Fatal(err)
	}
	signalGuest(t, r, name, "KILL")
	eventually(t, "the crash", func() bool { return must(t)(r.Virsh("domstate", name)) == "shut off" })
	var armed, once atomic.Bool
	proxy := newFakeProxy(t, r.LibvirtReadOnlySocket(), func(proc uint32, packet []byte) []byte {
		if proc == procGetXML && armed.Load() && !once.Swap(true) {
			if err := r.StartVMPaused(name); err != nil {
				t.Error(err)
			}
		}
		return packet
	}, nil)
	c := closed(t, &Collector{Sockets: []string{proxy.socket}})
	if vm := vmOf(t, complete(t, c), plainUUID(1)); vm.State != inventory.StateCrashed || vm.RawState != "shut off (crashed)" {
		t.Errorf("state is %s: %s", vm.State, vm.RawState)
	}
	armed.Store(true)
	if vm := vmOf(t, complete(t, c), plainUUID(1)); vm.State != inventory.StatePaused {
		t.Errorf("state is %s: %s", vm.State, vm.RawState)
	}
}

// TestGarbledPackets answers the list with lengths that no packet can have.
func TestGarbledPackets(t *testing.T) {
	r := rig.ForTest(t)
	for name, length := range map[string][]byte{
		"nothing": {0, 0, 0, 0}, "less than a header": {0, 0, 0, 27}, "negative": {0xff, 0xff, 0xff, 0xff}, "4 GiB": {0xf0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			proxy := newFakeProxy(t, r.LibvirtReadOnlySocket(), nil, func(proc uint32, packet []byte) []byte {
				if proc == procListAll {
					copy(packet, length)
				}
				return packet
			})
			o := collect(t, closed(t, &Collector{Sockets: []string{proxy.socket}, CallTimeout: 5 * time.Second}))
			if o.Outcome != inventory.OutcomeFailed || o.Problems[0].Why != inventory.WhyBroken || o.Problems[0].Remedy == "" {
				t.Errorf("outcome %s, problems %+v", o.Outcome, o.Problems)
			}
		})
	}
}

// TestUnsettledList defines one more domain before each list, as a daemon might
// that is not done loading: no list is called whole. Once it stands still, one is.
func TestUnsettledList(t *testing.T) {
	r := rig.ForTest(t)
	var still atomic.Bool
	n := 0
	proxy := newFakeProxy(t, r.LibvirtReadOnlySocket(), func(proc uint32, packet []byte) []byte {
		if proc == procListAll && !still.Load() {
			n++
			definePlain(t, r, n)
		}
		return packet
	}, nil)
	c := closed(t, &Collector{Sockets: []string{proxy.socket}})
	o := collect(t, c)
	if o.Complete || len(o.VMs) != 0 || len(o.Problems) != 1 || !strings.Contains(o.Problems[0].Error, "agreed") {
		t.Errorf("outcome %s with %d VMs, problems %+v", o.Outcome, len(o.VMs), o.Problems)
	}
	still.Store(true)
	if o := complete(t, c); len(o.VMs) != n {
		t.Errorf("%d VMs, want %d", len(o.VMs), n)
	}
}

func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
