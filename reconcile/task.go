package reconcile

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Task is what Maskin does with a VM, as the reconciler heard it.
type Task struct {
	ID       string    `json:"task"`
	VM       string    `json:"vm"` // Sentral's ID
	Action   Action    `json:"action"`
	State    TaskState `json:"state"`
	Fields   []string  `json:"fields,omitempty"` // of the catalogue; empty means what the action usually touches
	Deadline time.Time `json:"deadline,omitzero"`
	// Began is when it was first heard of, Ended when it was heard to have ended,
	// both by the reconciler's clock (or the stream's).
	Began time.Time `json:"began,omitzero"`
	Ended time.Time `json:"ended,omitzero"`
	// Settled says that the runtime was seen to agree with its outcome: what
	// happens to the VM later has nothing to do with it.
	Settled bool `json:"settled,omitempty"`
}

// Action is what a task does.
type Action string

// The actions.
const (
	ActionCreate  Action = "create"
	ActionStart   Action = "start"
	ActionStop    Action = "stop"
	ActionReboot  Action = "reboot"
	ActionResize  Action = "resize"
	ActionAttach  Action = "attach"
	ActionDetach  Action = "detach"
	ActionMigrate Action = "migrate"
	ActionDelete  Action = "delete"
)

// TaskState is how far a task is.
type TaskState string

// The states of a task.
const (
	TaskRunning   TaskState = "running"
	TaskSucceeded TaskState = "succeeded"
	TaskFailed    TaskState = "failed"
)

// taskWithin is how long a task without a deadline may run.
const taskWithin = time.Hour

// touched is what each action may change on its way, as patterns of kinds. A
// runtime that keeps nothing of a stopped VM shows it as missing meanwhile.
var touched = map[Action][]string{
	ActionCreate:  {"*"},
	ActionDelete:  {"*"},
	ActionStart:   {"vm.state", "vm.missing", "vm.transient", "vm.config", "nic.link", "nic.vlan", "nic.network", "network.*"},
	ActionStop:    {"vm.state", "vm.missing", "vm.transient", "vm.config", "nic.link", "nic.vlan", "nic.network", "network.*"},
	ActionReboot:  {"vm.state", "vm.missing", "vm.transient", "vm.config", "vm.machine", "vm.vcpus", "vm.memory", "nic.link", "nic.vlan", "nic.network", "network.*"},
	ActionResize:  {"vm.vcpus", "vm.memory", "vm.state", "vm.missing", "vm.config", "disk.size", "capacity.*"},
	ActionAttach:  {"nic.*", "disk.*", "network.*", "vm.config"},
	ActionDetach:  {"nic.*", "disk.*", "network.*", "vm.config"},
	ActionMigrate: {"vm.missing", "vm.misplaced", "vm.duplicate", "vm.state", "vm.transient", "vm.config", "identity.cloned", "disk.source", "disk.backing", "disk.shared", "nic.*", "network.*", "scope.*", "capacity.*", "observe.conflict"},
}

// Known says whether the action is one of ours.
func (a Action) Known() bool { return touched[a] != nil }

// touches says whether a finding is about something that the task may change on
// its way.
func (t *Task) touches(f *Finding) bool {
	if f.Kind == VMTask {
		return false
	}
	if len(t.Fields) == 0 {
		return slices.ContainsFunc(touched[t.Action], func(kind string) bool { return like(kind, string(f.Kind)) })
	}
	return slices.ContainsFunc(t.Fields, func(field string) bool { return concerns(field, f.Kind) })
}

// concerns says whether a kind's findings are about a field of the catalogue.
func concerns(field string, kind Kind) bool {
	if like(field, string(kind)) {
		return true
	}
	entity, leaf, _ := strings.Cut(field, ".")
	switch field {
	case "vm.uuid", "vm.host":
		return kind == VMMisplaced || kind == VMDuplicate || kind == VMMissing || kind == IdentityChanged
	case "vm.state":
		return kind == VMMissing || kind == VMLingering
	case "vm.nics", "nic.mac":
		return strings.HasPrefix(string(kind), "nic.") || strings.HasPrefix(string(kind), "network.")
	case "vm.disks", "disk.serial", "disk.target":
		return strings.HasPrefix(string(kind), "disk.")
	case "disk.capacity":
		return kind == DiskSize
	case "nic.network", "nic.vlan":
		return kind == NICVLAN || kind == NICNetwork || strings.HasPrefix(string(kind), "network.")
	}
	switch entity {
	case "placement":
		return kind == VMPlacement
	case "image":
		return kind == VMImage || kind == DiskImage
	case "backingFile":
		return kind == DiskBacking || kind == DiskImage
	}
	return leaf == "" && strings.HasPrefix(string(kind), entity+".")
}

// expected is when the task's shield is lifted if it doesn't end before.
func (t *Task) expected() time.Time {
	if t.Deadline.IsZero() {
		return t.Began.Add(taskWithin)
	}
	return t.Deadline
}

// over is when the task's shield was lifted: when it ended, or at its deadline;
// zero while it runs.
func (t *Task) over(now time.Time) time.Time {
	deadline := t.expected()
	switch {
	case !t.Ended.IsZero() && t.Ended.Before(deadline):
		return t.Ended
	case !now.Before(deadline):
		return deadline
	}
	return time.Time{}
}

// outcome is what became of the task as far as itself tells; "" where that is to be
// seen in the runtime.
func (t *Task) outcome(now time.Time) string {
	switch {
	case t.State == TaskFailed:
		return TaskGaveUp
	case t.State == TaskRunning && t.over(now).IsZero():
		return TaskInFlight
	case t.State == TaskRunning:
		return TaskLate
	case t.Settled:
		return TaskAgrees
	}
	return ""
}

// waits says whether what the task says to have done is to be held against what
// the runtime shows.
func (t *Task) waits() bool { return t.State != TaskFailed && t.State != TaskRunning && !t.Settled }

func (t *Task) equal(other *Task) bool { return reflect.DeepEqual(t, other) }

// tasks are the tasks by VM.
type tasks map[string][]*Task

func indexTasks(all []Task) tasks {
	if len(all) == 0 {
		return nil
	}
	index := tasks{}
	for i := range all {
		key := strings.ToLower(all[i].VM)
		index[key] = append(index[key], &all[i])
	}
	for _, of := range index {
		slices.SortFunc(of, func(a, b *Task) int { return cmp.Or(a.Began.Compare(b.Began), cmp.Compare(a.ID, b.ID)) })
	}
	return index
}

// shield says which task keeps a finding from being judged: one that runs, or the
// one that ended last, with the time of that.
func (ts tasks) shield(f *Finding, now time.Time) (by *Task, over time.Time) {
	if f.Subject.Type != "vm" {
		return nil, time.Time{}
	}
	for _, t := range ts[strings.ToLower(f.Subject.ID)] {
		if !t.touches(f) {
			continue
		}
		ended := t.over(now)
		if ended.IsZero() {
			return t, ended
		}
		if ended.After(over) {
			by, over = t, ended
		}
	}
	return by, over
}

// TaskMatch is what became of one task.
type TaskMatch struct {
	Task
	// Outcome is running, failed, waiting (the VM was not seen since it ended),
	// agrees, differs, or late (its deadline passed and nothing was heard).
	Outcome string `json:"outcome"`
	Finding string `json:"finding,omitempty"`
}

// What can become of a task.
const (
	TaskInFlight = "running"
	TaskGaveUp   = "failed"
	TaskWaiting  = "waiting"
	TaskAgrees   = "agrees"
	TaskDiffers  = "differs"
	TaskLate     = "late"
)

const (
	// MaxTasks is how many tasks are remembered; when there are more, those that
	// ended first go, and then those that began first.
	MaxTasks = 50_000
	// keepSettled is how long a task is remembered, for showing it, when nothing
	// is to be concluded from it any more.
	keepSettled = time.Hour
)

// TakeTask takes into the list what was heard of a task at the given time. A
// later task on the same VM ends what is to be concluded from those before it.
func TakeTask(all []Task, t Task, at time.Time) []Task {
	t.Began, t.Ended, t.Settled = at, time.Time{}, false
	if t.State != TaskRunning {
		t.Ended = at
	}
	i := slices.IndexFunc(all, func(held Task) bool { return held.ID == t.ID })
	switch {
	case i >= 0 && !all[i].Ended.IsZero(): // it was told before, and ends once
		return all
	case i >= 0:
		t.Began = all[i].Began
		all = slices.Clone(all)
		all[i] = t
	default:
		all = slices.Clone(all)
		for j := range all {
			if strings.EqualFold(all[j].VM, t.VM) && !all[j].Ended.IsZero() {
				all[j].Settled = true
			}
		}
		all = append(all, t)
	}
	return boundTasks(all, at)
}

// boundTasks forgets tasks that tell nothing any more, and what there is no room
// for.
func boundTasks(all []Task, now time.Time) []Task {
	all = slices.DeleteFunc(all, func(t Task) bool {
		over := t.over(now)
		told := t.Settled || t.State != TaskSucceeded
		return told && !over.IsZero() && now.Sub(over) > keepSettled
	})
	if len(all) <= MaxTasks {
		return all
	}
	slices.SortStableFunc(all, func(a, b Task) int {
		return cmp.Or(yesFirst(!a.Ended.IsZero(), !b.Ended.IsZero()), a.Ended.Compare(b.Ended), a.Began.Compare(b.Began))
	})
	return slices.Delete(all, 0, len(all)-MaxTasks)
}

// SettleTasks notes which tasks the runtime was seen to agree with, by their IDs, which
// are sorted.
func SettleTasks(all []Task, agreed []string) []Task {
	if len(agreed) == 0 {
		return all
	}
	all = slices.Clone(all)
	for i := range all {
		if !all[i].Settled {
			_, all[i].Settled = slices.BinarySearch(agreed, all[i].ID)
		}
	}
	return all
}
