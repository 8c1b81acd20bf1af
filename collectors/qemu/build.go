package qemu

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/collectors/internal/manager"
	"github.com/dataverket/avstem/inventory"
)

// faults collects the problems of one VM.
type faults struct {
	call string
	list []inventory.Problem
}

func (f *faults) put(field inventory.Field, why inventory.Why, err error, remedy string) {
	for _, p := range f.list {
		if p.Field == field && p.Error == err.Error() {
			return // of another NIC or disk
		}
	}
	f.list = append(f.list, inventory.Problem{Field: field, Call: f.call, Why: why, Error: err.Error(), Remedy: remedy})
}

// add reports what can't be understood.
func (f *faults) add(field inventory.Field, err error, remedy string) {
	f.put(field, inventory.WhyBroken, err, firstOf(remedy, "please report it: this is a form that avstem doesn't know"))
}

// note reports what isn't there to be read.
func (f *faults) note(field inventory.Field, err error, remedy string) {
	f.put(field, inventory.WhyAbsent, err, remedy)
}

// reading is one VM as it was read.
type reading struct {
	process *process // nil for one that only its monitor shows
	monitor *monitor // nil where none was named
	runBy   string
	vm      inventory.VM
	files   *files
	faults
}

// files is what a process has open, or why that can't be read.
type files struct {
	open []descriptor
	cwd  string
	err  error
}

// whole finds where a relative path leads: to what the process has open under
// that name, or else from where it runs.
func (f *files) whole(path string) string {
	if f == nil || path == "" || filepath.IsAbs(path) || strings.Contains(path, ":") {
		return path
	}
	found := map[string]bool{}
	for _, d := range f.open {
		if strings.HasSuffix(d.target, "/"+filepath.Clean(path)) {
			found[d.target] = true
		}
	}
	if len(found) == 1 {
		for target := range found {
			return target
		}
	}
	if f.cwd == "" {
		return path
	}
	return filepath.Join(f.cwd, path)
}

// entity is how problems name the VM.
func (r *reading) entity() string { return "vm:" + r.vm.Key() }

// read makes a VM of a process and of what its monitor told.
func (c *Collector) read(p *process, m *monitor, boot int64) *reading {
	r := &reading{process: p, monitor: m}
	var a *answers
	if m != nil {
		a = m.answers
	}
	if p != nil {
		r.call = procFile(p.pid, "cmdline")
		r.runBy = p.inv.runBy()
		r.readInvocation(p.inv)
		if name := c.managedBy(p, r.runBy); name != "" {
			r.vm.Manager = &inventory.Manager{Name: name}
		}
		if r.runBy == manager.Proxmox {
			c.readProxmox(r)
		}
		r.readProcess(p, boot)
		r.files = c.filesOf(p, r.others())
	}
	if a != nil {
		r.call = "QMP " + m.path
		r.readAnswers(a)
	}
	nics, disks := r.devices(a)
	if p != nil {
		nics = c.findLinks(r, nics)
	}
	for _, n := range nics {
		r.vm.NICs = append(r.vm.NICs, n.NIC)
	}
	c.readDisks(r, disks, a != nil)
	return r
}

// readInvocation reads what a command line says of the VM itself.
func (r *reading) readInvocation(inv *invocation) {
	vm := &r.vm
	vm.Name, vm.Architecture = inv.name, inv.arch
	vm.RawMachine, vm.Machine = inv.machine, family(inv.machine)
	vm.Firmware = inv.firmware(inv.arch)
	own := r.uuid("vm.uuid", inv.uuid)
	seen := r.uuid("vm.smbiosUUID", inv.guestUUID)
	if vm.UUID = own; own == uuid.Nil {
		vm.UUID = seen
	}
	if seen != vm.UUID {
		vm.SMBIOSUUID = seen
	}
	if inv.generation != "" && inv.generation != "auto" {
		vm.GenerationID = r.uuid("vm.generationID", inv.generation)
	}
	if id, found := strings.CutPrefix(inv.smbios["serial"], "dv:"); found && id != "" {
		vm.Placement = &inventory.Placement{VM: id}
	}
	if n, err := inv.cpus(); len(inv.smp) == 0 && inv.elsewhere() != "" {
		// it may be said there
	} else if err != nil {
		r.add("vm.vcpus", err, "")
	} else {
		vm.VCPUs = &n
	}
	if inv.memory != "" {
		if size, err := parseMemory(inv.memory); err != nil {
			r.add("vm.memory", err, "")
		} else {
			vm.Memory = &size
		}
	}
}

func (r *reading) uuid(field inventory.Field, text string) uuid.UUID {
	if text == "" {
		return uuid.Nil
	}
	id, err := inventory.ParseUUID(text)
	if err != nil {
		r.add(field, err, "")
	}
	return id
}

// readProcess reads what a process's being there says. One that runs may hold a
// VM that is paused; one that was started paused (-S) is only known to run where
// a manager starts all of its VMs so.
func (r *reading) readProcess(p *process, boot int64) {
	vm := &r.vm
	transient := false
	vm.Persistent = &transient
	vm.State, vm.RawState = inventory.StateRunning, "process"
	switch {
	case p.state == 'T' || p.state == 't':
		vm.State, vm.RawState = inventory.StatePaused, "process stopped by a signal"
	case p.inv.incoming:
		vm.State, vm.RawState = inventory.StateUnknown, "process started to be migrated to (-incoming)"
	case p.inv.paused && r.runBy == "":
		vm.State, vm.RawState = inventory.StateUnknown, "process started paused (-S)"
	}
	if boot != 0 {
		const hz = 100 // of user space, on every Linux that Go runs on
		at := time.Unix(boot+int64(p.started/hz), 0).UTC()
		vm.AsOf = &at
	}
	if config := p.inv.elsewhere(); config != "" {
		err := fmt.Errorf("more was read from %s (-readconfig), which isn't read here", config)
		r.note("vm.nics", err, ownMonitor)
		r.note("vm.disks", err, ownMonitor)
	}
}

// states maps QEMU's run states. Those that aren't here are unknown.
var states = map[string]inventory.State{
	"running": inventory.StateRunning, "paused": inventory.StatePaused, "prelaunch": inventory.StatePaused,
	"suspended": inventory.StatePaused, "save-vm": inventory.StatePaused, "restore-vm": inventory.StatePaused,
	"finish-migrate": inventory.StatePaused, "postmigrate": inventory.StatePaused, "inmigrate": inventory.StatePaused,
	"colo": inventory.StatePaused, "debug": inventory.StatePaused, "io-error": inventory.StatePaused, "watchdog": inventory.StatePaused,
	"shutdown": inventory.StateStopped, "guest-panicked": inventory.StateCrashed, "internal-error": inventory.StateCrashed,
}

// readAnswers reads what a monitor told, which is how the VM is now.
func (r *reading) readAnswers(a *answers) {
	vm := &r.vm
	vm.AsOf = nil
	transient := false
	vm.Persistent = &transient
	vm.Name = firstOf(a.name, vm.Name)
	vm.RawState = a.status
	if vm.State = states[a.status]; vm.State == "" {
		vm.State = inventory.StateUnknown
	}
	if r.process == nil {
		vm.UUID = a.uuid
	}
	vm.Architecture = firstOf(a.arch, vm.Architecture)
	vm.RawMachine, vm.Machine = a.machine, family(a.machine)
	if r.process != nil {
		vm.Firmware = r.process.inv.firmware(vm.Architecture)
	}
	vcpus, memory := a.vcpus, inventory.Bytes(a.memory)
	vm.VCPUs, vm.Memory = &vcpus, &memory
	if a.generation != "" {
		vm.GenerationID = r.uuid("vm.generationID", a.generation)
	}
}

// devices are the NICs and disks: those of a monitor where one told them, with
// what only the command line says.
func (r *reading) devices(a *answers) ([]nic, []disk) {
	var nics []nic
	var disks []disk
	if r.process != nil {
		started := &faults{call: r.call}
		nics, disks = r.process.inv.nics(started), r.process.inv.disks()
		if a == nil {
			r.list = append(r.list, started.list...)
		}
		for i := range disks {
			if disks[i].SourceType == "file" || disks[i].SourceType == "block" {
				disks[i].Source = r.files.whole(disks[i].Source)
			}
		}
	}
	if a == nil {
		return nics, disks
	}
	// What -readconfig held is told by the monitor.
	kept := r.list[:0]
	for _, p := range r.list {
		if p.Field != "vm.nics" && p.Field != "vm.disks" {
			kept = append(kept, p)
		}
	}
	r.list = kept
	return a.currentNICs(r, nics), a.currentDisks(r, disks)
}

// others says whether another manager's own source tells the VM's links and
// disks, and what isn't to be had of them here is no loss.
func (r *reading) others() bool {
	return r.runBy == manager.Libvirt || r.runBy == manager.Incus || r.runBy == manager.LXD
}

// filesOf lists what a process has open, where something of it is needed.
func (c *Collector) filesOf(p *process, others bool) *files {
	needed := !others && slices.ContainsFunc(p.inv.netdevs, func(n params) bool { return n["type"] != "user" })
	for _, n := range p.inv.nics(&faults{}) {
		needed = needed || n.tap && n.Link == ""
	}
	for _, d := range p.inv.disks() {
		needed = needed || d.SourceType == "file" && !filepath.IsAbs(d.Source)
	}
	f := &files{}
	if needed {
		f.cwd = c.workingDirectory(p)
		f.open, f.err = c.descriptors(p)
	}
	return f
}

// findLinks finds the links of the host that NICs hang on: by the name or the
// descriptor on the command line, or as the only tap that is left over.
func (c *Collector) findLinks(r *reading, nics []nic) []nic {
	hang, need := 0, 0
	for _, n := range nics {
		if n.tap {
			hang++
			if n.Link == "" {
				need++
			}
		}
	}
	if hang == 0 && len(r.files.open) == 0 {
		return nics
	}
	same, err := c.sameNetwork(r.process)
	if err == nil && !same {
		for i := range nics {
			nics[i].Link, nics[i].Bridge = "", ""
		}
		r.note("nic.link", errors.New("QEMU is in a network namespace of its own: its links aren't the host's"), "none is needed")
		return nics
	}
	if err == nil {
		err = r.files.err
	}
	if err != nil {
		if need > 0 && !r.others() && !gone(err) {
			r.list = append(r.list, problem("", "nic.link", "read "+procFile(r.process.pid, "fd"), err, refusal))
		}
		return nics
	}
	nics, left := assign(nics, c.taps(r.process.pid, r.files.open))
	if left > 0 && (r.monitor == nil || r.monitor.answers == nil) && !r.others() {
		r.note("vm.nics", fmt.Errorf("%d more taps are open than the command line names: NICs were plugged in since it started", left), ownMonitor)
	}
	return nics
}

// assign gives NICs their links, and says how many taps are nobody's.
func assign(nics []nic, taps []tap) ([]nic, int) {
	byFD, free := map[string]string{}, map[string]bool{}
	for _, t := range taps {
		byFD[t.fd] = t.link
		free[t.link] = true
	}
	var open []int
	for i := range nics {
		n := &nics[i]
		for _, fd := range n.fds {
			if n.Link == "" {
				n.Link = byFD[fd]
			}
		}
		if n.Link != "" {
			delete(free, n.Link)
		} else if n.tap {
			open = append(open, i)
		}
	}
	if len(open) == 1 && len(free) == 1 {
		for link := range free {
			nics[open[0]].Link = link
		}
		return nics, 0
	}
	return nics, max(0, len(free)-len(open))
}

// nativeID is what a VM without a UUID is called by: its name, or its process
// where it has none.
func (r *reading) nativeID() string {
	switch {
	case r.vm.Name != "":
		return r.vm.Name
	case r.process != nil:
		return r.processID()
	}
	return r.monitor.path
}

// processID names a process for as long as the host is up.
func (r *reading) processID() string {
	return "pid " + strconv.Itoa(r.process.pid) + " since tick " + strconv.FormatUint(r.process.started, 10)
}

// identify makes the VMs' identities unique. A UUID that two processes were given
// is no identity: it stays what their guests see, and both are called by their
// names; a name that two have is told apart by the process.
func identify(all []*reading) {
	byUUID, byName := map[uuid.UUID]int{}, map[string]int{}
	for _, r := range all {
		byUUID[r.vm.UUID]++
	}
	for _, r := range all {
		vm := &r.vm
		if vm.UUID != uuid.Nil && byUUID[vm.UUID] > 1 {
			r.add("vm.uuid", fmt.Errorf("%d QEMU processes have UUID %s", byUUID[vm.UUID], vm.UUID), "give each its own -uuid: to everybody else they are one VM")
			if vm.SMBIOSUUID == uuid.Nil {
				vm.SMBIOSUUID = vm.UUID
			}
			vm.UUID = uuid.Nil
		}
		if vm.UUID == uuid.Nil {
			vm.NativeID = r.nativeID()
			byName[vm.NativeID]++
		}
	}
	for _, r := range all {
		if r.vm.NativeID == "" || byName[r.vm.NativeID] < 2 {
			continue
		}
		if r.process != nil {
			r.vm.NativeID += ", " + r.processID()
		} else {
			r.vm.NativeID += ", " + r.monitor.path
		}
	}
}
