package engine

import (
	"cmp"
	"slices"
	"time"

	"github.com/dataverket/avstem/reconcile"
)

// Task takes what Maskin says of a task, heard at the given time.
func (e *Engine) Task(t reconcile.Task, at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := e.tasks
	e.tasks = reconcile.TakeTask(before, t, at)
	e.lives.touchVM(t.VM)
	if len(e.tasks) < len(before)+1 { // some that were over are remembered no more
		for i := range before {
			e.lives.touchVM(before[i].VM)
		}
	}
	e.dirty = true
}

// tasksOf gives the tasks that findings were kept with: Maskin need not say them
// again after a restart of ours.
func tasksOf(findings []reconcile.Finding) []reconcile.Task {
	var all []reconcile.Task
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
