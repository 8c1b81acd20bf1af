package reconcile

import (
	"cmp"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// taskUnit is what is to be concluded from the tasks on one VM. There is one while
// some of them succeeded and the runtime was not seen to agree: of the others the
// task alone says what became of it.
type taskUnit struct {
	unit
	tasks  []*Task
	became map[string]TaskMatch // by the task's ID
	reads  []dependency         // what it was judged by
}

// Follow takes Maskin's tasks: all that run, or ended of late. They are not to be
// changed afterwards.
func (b *Book) Follow(all []Task) {
	if shared(b.in.Tasks, all) {
		return
	}
	was := b.tasks
	b.in.Tasks, b.tasks = all, indexTasks(all)
	for vm, tasks := range b.tasks {
		if !slices.EqualFunc(tasks, was[vm], (*Task).equal) {
			b.followVM(vm, tasks)
		}
	}
	for vm := range was {
		if b.tasks[vm] == nil {
			b.followVM(vm, nil)
		}
	}
}

// followVM takes the tasks on one VM, by its ID in lower case.
func (b *Book) followVM(vm string, tasks []*Task) {
	tasks = slices.DeleteFunc(slices.Clone(tasks), func(t *Task) bool { return !t.waits() })
	u := b.taskUnits[vm]
	switch {
	case len(tasks) > 0 && u == nil:
		u = &taskUnit{unit: unit{stage: stageTask, key: vm}}
		b.taskUnits[vm] = u
	case len(tasks) == 0 && u != nil:
		b.put(&u.unit, nil)
		b.ledger.blame(&u.unit, nil)
		b.readByTasks(u, nil)
		delete(b.taskUnits, vm)
		delete(b.dirtyTasks, u)
	}
	if len(tasks) > 0 {
		u.tasks, b.dirtyTasks[u] = tasks, true
	}
}

// Tasks gives what became of them.
func (b *Book) Tasks() []TaskMatch {
	all := make([]TaskMatch, 0, len(b.in.Tasks))
	for i := range b.in.Tasks {
		t := &b.in.Tasks[i]
		m := TaskMatch{Task: *t, Outcome: t.outcome(b.in.Now)}
		if t.waits() {
			m = b.taskUnits[strings.ToLower(t.VM)].became[t.ID]
		}
		all = append(all, m)
	}
	slices.SortStableFunc(all, func(a, b TaskMatch) int {
		return cmp.Or(cmp.Compare(a.VM, b.VM), a.Began.Compare(b.Began), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// Agreed gives the IDs of the tasks that the runtime was seen to agree with in the
// last settling, of those that waited for it.
func (b *Book) Agreed() []string { return b.agreed }

// Life is that of the findings of the last settling.
func (b *Book) Life() *Life {
	return &Life{policy: &b.in.Policy, tasks: b.tasks, now: b.in.Now, holds: b.Holds}
}

// settleTasks judges the tasks that wait, of the VMs of which something changed.
func (b *Book) settleTasks() {
	b.agreed = nil
	for vm := range b.stirred {
		if u := b.taskUnits[vm]; u != nil {
			b.dirtyTasks[u] = true
		}
	}
	b.stirred = emptied(b.stirred)
	if len(b.dirtyTasks) == 0 {
		return
	}
	p := b.scratch()
	for u := range b.dirtyTasks {
		vp := b.vmNamed(u.key)
		p.begin()
		u.became = p.checkTasks(u.tasks, vp, b.about(u.key))
		b.put(&u.unit, p.findings)
		b.ledger.blame(&u.unit, p.blames)
		b.readByTasks(u, taskReads(u.key, vp))
		for id, m := range u.became {
			if m.Outcome == TaskAgrees {
				b.agreed = append(b.agreed, id)
			}
		}
	}
	slices.Sort(b.agreed)
	b.dirtyTasks = emptied(b.dirtyTasks)
}

// taskReads are what is read for the tasks on a VM, besides the findings about it.
func taskReads(vm string, vp *pair) []dependency {
	reads := []dependency{{"vm", vm}}
	if id, err := uuid.Parse(vm); err == nil && id.String() != vm {
		reads = append(reads, dependency{"vm", id.String()})
	}
	if vp == nil {
		return reads
	}
	if want := vp.Intended; want != nil {
		reads = append(reads, dependency{"host", want.Host})
		if vp.seen == nil && want.Host == "" { // it may be on any of them
			reads = append(reads, dependency{"site", want.Site})
		}
	}
	if vp.seen != nil {
		reads = append(reads, dependency{"host", vp.seen.lead.host.key()})
	}
	return reads
}

// readByTasks notes what a unit of tasks was judged by, so that it is again when
// that changes.
func (b *Book) readByTasks(u *taskUnit, reads []dependency) {
	for _, dep := range u.reads {
		if delete(b.readers[dep], u); len(b.readers[dep]) == 0 {
			delete(b.readers, dep)
		}
	}
	u.reads = reads
	for _, dep := range reads {
		if b.readers[dep] == nil {
			b.readers[dep] = map[*taskUnit]bool{}
		}
		b.readers[dep][u] = true
	}
}

// wakeTasks has the tasks judged again that were judged by something.
func (b *Book) wakeTasks(what, name string) {
	for u := range b.readers[dependency{what, name}] {
		b.dirtyTasks[u] = true
	}
}

// vmNamed finds a VM by Sentral's ID, or by its UUID where there is no record.
func (b *Book) vmNamed(id string) *pair {
	var record, place *thing
	b.marked(b.marker.label(id), func(t *thing) {
		if t.want != nil && strings.EqualFold(t.want.ID, id) && (record == nil || compareThings(record, t) < 0) {
			record = t
		}
	})
	parsed, err := uuid.Parse(id)
	if err == nil && record == nil {
		b.marker.marks = b.marker.marks[:0]
		b.marker.uuid(parsed)
		for _, mark := range b.marker.marks {
			b.marked(mark, func(t *thing) {
				if t.want == nil && t.vm().UUID == parsed && t.doc.host.former == nil && !t.vm().IsContainer() {
					place = t
				}
			})
		}
	}
	p := b.scratch()
	p.whole = true
	switch {
	case record != nil:
		p.judge(b.unitOf(record).things)
		vp := p.pairOf(record.want)
		if record.alone > 0 {
			p.checkAbsence(vp)
		}
		return vp
	case place != nil:
		p.judge(b.unitOf(place).things)
		for _, seen := range p.vms {
			if seen.lead.vm.UUID == parsed {
				return seen.pair
			}
		}
	}
	return nil
}
