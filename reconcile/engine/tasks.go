package engine

import (
	"cmp"
	"slices"
	"time"

	"github.com/dataverket/avstem/reconcile"
)

// Task takes what Maskin says of a task, said at the given time. What ended long
// before it is heard of says nothing of how the VM is now.
func (e *Engine) Task(t reconcile.Task, at, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := e.tasks
	known := slices.ContainsFunc(before, func(held reconcile.Task) bool { return held.ID == t.ID })
	e.tasks = reconcile.TakeTask(before, t, at)
	if i := slices.IndexFunc(e.tasks, func(held reconcile.Task) bool { return held.ID == t.ID }); i >= 0 && !known && now.Sub(at) > e.policy.DocumentAge {
		e.tasks[i].Settled = true
	}
	e.lives.touchVM(t.VM)
	expected := len(before)
	if !known {
		expected++
	}
	if len(e.tasks) < expected {
		e.forgotten(before)
	}
	e.dirty = true
}

// forgotten has the findings about the VMs looked at of which a task is remembered
// no more.
func (e *Engine) forgotten(before []reconcile.Task) {
	kept := make(map[string]bool, len(e.tasks))
	for i := range e.tasks {
		kept[e.tasks[i].ID] = true
	}
	for i := range before {
		if !kept[before[i].ID] {
			e.lives.touchVM(before[i].VM)
		}
	}
}

// tasksOf adds to those that were heard the tasks that findings were kept with:
// Maskin need not say them again after a restart of ours.
func tasksOf(findings []reconcile.Finding, heard []reconcile.Task) []reconcile.Task {
	all := slices.Clone(heard)
	for i := range findings {
		f := &findings[i]
		if f.Task == nil || f.State == reconcile.Resolved || slices.ContainsFunc(all, func(t reconcile.Task) bool { return t.ID == f.Task.ID }) {
			continue
		}
		all = append(all, *f.Task)
	}
	slices.SortFunc(all, func(a, b reconcile.Task) int { return cmp.Or(a.Began.Compare(b.Began), cmp.Compare(a.ID, b.ID)) })
	return all
}
