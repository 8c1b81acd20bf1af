package bus

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const taskVM = "0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001"

func TestDecodeTask(t *testing.T) {
	const good = `{"task": "t-1", "vm": "` + taskVM + `", "action": "stop", "state": "running", "fields": ["vm.state"], "deadline": "2026-11-01T12:00:00Z"}`
	subject := "maskin.v1.task.osl1." + taskVM
	got, err := decodeTask(subject, []byte(good))
	if err != nil || got.Site != "osl1" || got.VM != taskVM || got.Action != "stop" || !got.Deadline.Equal(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v, %v", got, err)
	}
	for name, test := range map[string]struct{ subject, data, want string }{
		"subject":  {"maskin.v1.task.osl1", good, "is not maskin.v1.task.SITE.VM"},
		"site":     {"maskin.v1.task.OSL." + taskVM, good, "is not a name"},
		"JSON":     {subject, good[:20], "unexpected end of JSON input"},
		"type":     {subject, `{"task": 1}`, "cannot unmarshal number"},
		"other VM": {"maskin.v1.task.osl1.other", good, "a task can only speak of its subject's"},
		"no ID":    {subject, strings.Replace(good, "t-1", "", 1), "it has no task ID"},
		"long ID":  {subject, strings.Replace(good, "t-1", strings.Repeat("t", 300), 1), "longer than 256 bytes"},
		"action":   {subject, strings.Replace(good, "stop", "explode", 1), `action "explode" is not known`},
		"state":    {subject, strings.Replace(good, `"running"`, `"done"`, 1), `state "done" is not known`},
		"field":    {subject, strings.Replace(good, "vm.state", "", 1), "or one that is none"},
		"deadline": {subject, strings.Replace(good, "2026-11-01T12:00:00Z", "soon", 1), "parsing time"},
		"size":     {subject, good + strings.Repeat(" ", maxTaskSize), "and the limit is"},
	} {
		if _, err := decodeTask(test.subject, []byte(test.data)); err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "read task") {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func FuzzDecodeTask(f *testing.F) {
	f.Add("maskin.v1.task.osl1."+taskVM, []byte(`{"task": "t-1", "vm": "`+taskVM+`", "action": "stop", "state": "running"}`))
	f.Add("maskin.v1.task.osl1.a.b", []byte(`{"vm": "a.b"}`))
	f.Fuzz(func(t *testing.T, subject string, data []byte) {
		task, err := decodeTask(subject, data)
		if err == nil && subject != taskPrefix+"."+task.Site+"."+task.VM {
			t.Errorf("%+v was on %q", task, subject)
		}
	})
}

// heardTasks collects what a subscription says.
type heardTasks struct {
	mu      sync.Mutex
	tasks   []Task
	refused []string
	news    chan struct{}
}

func (h *heardTasks) handler() TaskHandler {
	note := func(add func()) {
		h.mu.Lock()
		add()
		h.mu.Unlock()
		h.news <- struct{}{}
	}
	return TaskHandler{
		Task:    func(t Task, _ time.Time) { note(func() { h.tasks = append(h.tasks, t) }) },
		Refused: func(_ string, err error) { note(func() { h.refused = append(h.refused, err.Error()) }) },
	}
}

// TestTasksOfMaskinsStream: what a stream has last is heard first, then what is
// said; what can't be taken is refused and nothing else.
func TestTasksOfMaskinsStream(t *testing.T) {
	conn := startServer(t).connect(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := conn.js.CreateStream(ctx, jetstream.StreamConfig{Name: "MASKIN_TASKS", Subjects: []string{"maskin.v1.task.>"}, MaxMsgsPerSubject: 1}); err != nil {
		t.Fatal(err)
	}
	fakeMaskin := func(vm, state string) {
		t.Helper()
		if _, err := conn.js.Publish(ctx, "maskin.v1.task.osl1."+vm, []byte(`{"task": "t-`+vm+`", "vm": "`+vm+`", "action": "start", "state": "`+state+`"}`)); err != nil {
			t.Fatal(err)
		}
	}
	fakeMaskin("a", "running")
	fakeMaskin("a", "succeeded")
	heard := &heardTasks{news: make(chan struct{}, 100)}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- conn.Tasks(running, "osl1", heard.handler()) }()
	wait := func() {
		t.Helper()
		select {
		case <-heard.news:
		case <-ctx.Done():
			t.Fatal("nothing was heard")
		}
	}
	wait()
	fakeMaskin("b", "running")
	wait()
	if err := conn.nc.Publish("maskin.v1.task.osl1.c", []byte(`{"vm": "a"}`)); err != nil {
		t.Fatal(err)
	}
	wait()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(heard.tasks) != 2 || heard.tasks[0].State != "succeeded" || heard.tasks[1].VM != "b" || len(heard.refused) != 1 {
		t.Errorf("%+v, refused %v", heard.tasks, heard.refused)
	}
}

// TestTasksSince: everything that a stream of Maskin's keeps since a time is given, in
// order, and that there is none is said.
func TestTasksSince(t *testing.T) {
	conn := startServer(t).connect(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got []string
	read := func(since time.Time) bool {
		t.Helper()
		got = nil
		kept, err := conn.TasksSince(ctx, "osl1", since, func(task Task, at time.Time) {
			if at.Before(since) {
				t.Errorf("%+v was said at %s", task, at)
			}
			got = append(got, task.VM+" "+task.State)
		})
		if err != nil {
			t.Fatal(err)
		}
		return kept
	}
	if read(time.Now().Add(-time.Hour)) {
		t.Error("a stream is kept that there isn't")
	}
	if _, err := conn.js.CreateStream(ctx, jetstream.StreamConfig{Name: "MASKIN_TASKS", Subjects: []string{"maskin.v1.task.>"}}); err != nil {
		t.Fatal(err)
	}
	say := func(subject, text string) time.Time {
		t.Helper()
		ack, err := conn.js.Publish(ctx, subject, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		kept, err := conn.Message(ctx, "MASKIN_TASKS", ack.Sequence)
		if err != nil {
			t.Fatal(err)
		}
		return kept.Time
	}
	task := func(vm, state string) string {
		return `{"task": "t-` + vm + `", "vm": "` + vm + `", "action": "start", "state": "` + state + `"}`
	}
	say("maskin.v1.task.osl1.a", task("a", "running"))
	since := say("maskin.v1.task.osl1.b", task("b", "running"))
	say("maskin.v1.task.osl1.b", `{"vm": "none"}`)
	say("maskin.v1.task.trd1.c", task("c", "running"))
	say("maskin.v1.task.osl1.b", task("b", "succeeded"))
	if !read(since) || strings.Join(got, ", ") != "b running, b succeeded" {
		t.Errorf("since then: %q", got)
	}
	if _, err := conn.TasksSince(ctx, "OSL 1", since, nil); err == nil {
		t.Error("a site that is no name is taken")
	}
}
