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
	e.tasks = reconcile.TakeTask(e.tasks, t, at)
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
