package files

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/dataverket/avstem/sentral"
)

// blindPoll is how often the files are looked at where the kernel can't tell of
// changes (inotify's limits are reached, or the file system has none).
const blindPoll = 2 * time.Second

// Watch implements [sentral.Source]. The files are read when they change.
func (s *Source) Watch(ctx context.Context, fn func(*sentral.Inventory)) {
	w := &watch{source: s, kept: sentral.NewKeeper(s.dir, fn)}
	poll := s.poll
	var events <-chan fsnotify.Event
	var errs <-chan error
	if notifier, err := fsnotify.NewWatcher(); err == nil {
		defer notifier.Close()
		w.notifier, events, errs = notifier, notifier.Events, notifier.Errors
	} else {
		poll = min(poll, blindPoll)
	}
	w.refresh(ctx)
	w.run(ctx, events, errs, poll)
}

// watch is one running Watch.
type watch struct {
	source   *Source
	kept     *sentral.Keeper
	notifier *fsnotify.Watcher

	signature string
}

func (w *watch) run(ctx context.Context, events <-chan fsnotify.Event, errs <-chan error, poll time.Duration) {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	quiet := time.NewTimer(time.Hour)
	quiet.Stop()
	var first time.Time // of the changes that have not been read
	changed := func() {
		now := time.Now()
		if first.IsZero() {
			first = now
		}
		quiet.Reset(min(w.source.quiet, max(0, w.source.patience-now.Sub(first))))
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			changed()
		case <-errs: // events were lost
			changed()
		case <-quiet.C:
			first = time.Time{}
			w.refresh(ctx)
		case <-ticker.C:
			if w.moved() {
				w.refresh(ctx)
			}
		}
	}
}

// moved says whether the files look different from when they were last read.
func (w *watch) moved() bool {
	l, err := list(w.source.dir)
	return err != nil || w.signature == "" || l.signature() != w.signature
}

// refresh reads the directory and tells of what is new. Directories that are
// new are watched, and read again, since files may have come in between.
func (w *watch) refresh(ctx context.Context) {
	inv, l, err := w.source.read(ctx)
	if err == nil && w.follow(l) {
		inv, l, err = w.source.read(ctx)
	}
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		w.signature = ""
		w.await()
	default:
		w.signature = l.signature()
	}
	w.kept.Take(inv, err)
}

// await watches for a directory that can't be used to become one that can.
func (w *watch) await() {
	if w.notifier == nil {
		return
	}
	// Either may not be there either: the poll finds what neither tells of.
	_ = w.notifier.Add(w.source.dir)
	_ = w.notifier.Add(filepath.Dir(w.source.dir))
}

// follow watches the directories of a listing, and says whether any is new. A
// directory that is gone takes its watch with it.
func (w *watch) follow(l *listing) bool {
	if w.notifier == nil {
		return false
	}
	now := map[string]bool{}
	for _, dir := range w.notifier.WatchList() {
		now[dir] = true
	}
	if parent := filepath.Dir(w.source.dir); now[parent] && !slices.Contains(l.dirs, parent) {
		_ = w.notifier.Remove(parent) // await's: others may be busy there
	}
	added := false
	for _, dir := range l.dirs {
		if !now[dir] && w.notifier.Add(dir) == nil {
			now[dir], added = true, true
		}
	}
	return added
}
