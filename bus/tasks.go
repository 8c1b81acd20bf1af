package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const taskPrefix = "maskin.v1.task"

// Bounds on what one task may say.
const (
	maxTaskSize   = 64 << 10
	maxTaskFields = 64
	maxTaskWord   = 256
)

var (
	taskActions = []string{"create", "start", "stop", "reboot", "resize", "attach", "detach", "migrate", "delete"}
	taskStates  = []string{"running", "succeeded", "failed"}
)

// Task is what Maskin says of one of its tasks, on maskin.v1.task.SITE.VM.
type Task struct {
	Site     string    `json:"-"` // from the subject
	Task     string    `json:"task"`
	VM       string    `json:"vm"` // Sentral's ID
	Action   string    `json:"action"`
	State    string    `json:"state"`
	Fields   []string  `json:"fields,omitempty"` // of the catalogue; empty means what the action usually touches
	Deadline time.Time `json:"deadline,omitzero"`
}

// TaskHandler takes tasks.
type TaskHandler struct {
	// Task is called with each, and when it was said: by the stream's clock where
	// Maskin keeps one, else now. It may be called from two goroutines at once, and
	// again with what it was called with before.
	Task func(Task, time.Time)
	// Refused is called with what is no task, or not of its subject's VM.
	Refused func(subject string, err error)
}

// Tasks delivers what Maskin says of the tasks of a site, until ctx ends: what it
// says from now on, and first what a stream of Maskin's has last of each VM, where
// there is one.
func (c *Conn) Tasks(ctx context.Context, site string, h TaskHandler) error {
	if err := CheckName("site", site); err != nil {
		return fmt.Errorf("subscribe to tasks: %w", err)
	}
	filter := taskPrefix + "." + site + ".>" // an ID of Sentral's may hold dots
	take := func(subject string, data []byte, at time.Time) {
		t, err := decodeTask(subject, data)
		if err != nil {
			h.Refused(subject, err)
			return
		}
		h.Task(t, at)
	}
	sub, err := c.nc.Subscribe(filter, func(msg *nats.Msg) { take(msg.Subject, msg.Data, time.Now().UTC()) })
	if err != nil {
		return fmt.Errorf("subscribe to tasks: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	c.keptTasks(ctx, filter, take)
	up := c.nc.StatusChanged(nats.CONNECTED)
	defer c.nc.RemoveStatusListener(up)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-up: // what was said meanwhile is in the stream alone
			c.keptTasks(ctx, filter, take)
		}
	}
}

// keptTasks reads what a stream has last of each VM. Without a stream, or without
// leave to read it, there is nothing from before.
func (c *Conn) keptTasks(ctx context.Context, filter string, take func(string, []byte, time.Time)) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	stream, err := c.js.StreamNameBySubject(ctx, filter)
	if err != nil {
		return
	}
	messages, pending, err := c.lastValues(ctx, stream, filter, 0, ReadOnce)
	if err != nil {
		return
	}
	defer messages.Stop()
	for pending > 0 {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return
		}
		meta, err := msg.Metadata()
		if err != nil {
			return
		}
		take(msg.Subject(), msg.Data(), meta.Timestamp.UTC())
		pending = meta.NumPending
	}
}

// TasksSince gives what Maskin said of the tasks of a site since a time, as far as a
// stream of Maskin's keeps it; kept is false where there is none. What is no task is
// passed over.
func (c *Conn) TasksSince(ctx context.Context, site string, since time.Time, take func(Task, time.Time)) (kept bool, err error) {
	if err := CheckName("site", site); err != nil {
		return false, fmt.Errorf("read tasks: %w", err)
	}
	filter := taskPrefix + "." + site + ".>"
	stream, err := c.js.StreamNameBySubject(ctx, filter)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("read tasks: %w", err)
	}
	return true, c.Read(ctx, Past{Stream: stream, Subjects: []string{filter}, Since: since}, func(k Kept) error {
		if t, err := decodeTask(k.Subject, k.Data); err == nil {
			take(t, k.Time)
		}
		return nil
	})
}

// decodeTask reads a message of Maskin's. It refuses what is not about the VM of
// its subject, and an action or state that it doesn't know.
func decodeTask(subject string, data []byte) (Task, error) {
	rest, found := strings.CutPrefix(subject, taskPrefix+".")
	site, vm, both := strings.Cut(rest, ".")
	if !found || !both || vm == "" {
		return Task{}, fmt.Errorf("read task: subject %q is not %s.SITE.VM", subject, taskPrefix)
	}
	fail := func(format string, args ...any) (Task, error) {
		return Task{}, fmt.Errorf("read task on %s: %w", subject, fmt.Errorf(format, args...))
	}
	if err := CheckName("site", site); err != nil {
		return fail("%w", err)
	}
	if len(data) > maxTaskSize {
		return fail("it is %d bytes and the limit is %d", len(data), maxTaskSize)
	}
	var t Task
	if err := json.Unmarshal(data, &t); err != nil {
		return fail("%w", err)
	}
	t.Site = site
	switch {
	case t.VM != vm:
		return fail("it claims to be of VM %.100q: a task can only speak of its subject's", t.VM)
	case t.Task == "":
		return fail("%w", errors.New("it has no task ID"))
	case len(t.Task) > maxTaskWord || len(t.VM) > maxTaskWord:
		return fail("its IDs are longer than %d bytes", maxTaskWord)
	case !slices.Contains(taskActions, t.Action):
		return fail("action %.100q is not known: want one of %s", t.Action, strings.Join(taskActions, ", "))
	case !slices.Contains(taskStates, t.State):
		return fail("state %.100q is not known: want one of %s", t.State, strings.Join(taskStates, ", "))
	case len(t.Fields) > maxTaskFields || slices.ContainsFunc(t.Fields, func(f string) bool { return f == "" || len(f) > maxTaskWord }):
		return fail("it names more than %d fields, or one that is none", maxTaskFields)
	}
	return t, nil
}
