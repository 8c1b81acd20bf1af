package libvirt

import (
	"context"
	"errors"
	"slices"

	golibvirt "github.com/digitalocean/go-libvirt"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// question is what the slow lane is to find out about one VM, or with uuid.Nil,
// about the hypervisor.
type question struct {
	id    uuid.UUID
	dom   golibvirt.Domain
	disks []asked
}

// asked is one disk that a question is about.
type asked struct {
	target string
	source string
	// offline is the disk's source type where libvirt sees into it, by the domain,
	// only while that runs: a volume has another way, others have none.
	offline string
	volume  bool
	device  bool // a raw block device, below which there is nothing
	// format is the image's own, where the images below are to be looked for; the
	// daemon knows what below a running VM's disk may not be opened.
	format  string
	running bool
	deep    bool // the XML shows layers below it
}

func (q question) same(other question) bool { return slices.Equal(q.disks, other.disks) }

// answer is what came of a question.
type answer struct {
	hypervisor uint64
	disks      map[string]sizes // by target
	problems   []inventory.Problem
	timedOut   bool
}

type sizes struct {
	capacity, allocation *inventory.Bytes
	chain                *chain // nil where it was not followed
}

// over keeps what an earlier answer knew where this one knows nothing.
func (a answer) over(old answer) answer {
	if a.hypervisor == 0 {
		a.hypervisor = old.hypervisor
	}
	for target, before := range old.disks {
		now := a.disks[target]
		if now.capacity == nil {
			now.capacity, now.allocation = before.capacity, before.allocation
		}
		if now.chain == nil {
			now.chain = before.chain
		}
		if a.disks == nil {
			a.disks = map[string]sizes{}
		}
		a.disks[target] = now
	}
	return a
}

// field is what a question's failure hides.
func (q question) field() inventory.Field {
	if q.id == uuid.Nil {
		return "runtime.hypervisor"
	}
	return "disk.capacity"
}

func (q question) entity() string {
	if q.id == uuid.Nil {
		return ""
	}
	return inventory.VMEntity(q.id)
}

// failed is the answer to a question that could not be put.
func (q question) failed(err error) answer {
	p := problemOf(q.entity(), q.field(), err)
	if p.Why == inventory.WhyTimedOut && q.id != uuid.Nil {
		p.Remedy = "see whether the VM's QEMU process or its storage hangs (virsh domblkinfo); it is asked again later and later"
	}
	return answer{problems: []inventory.Problem{p}, timedOut: p.Why == inventory.WhyTimedOut}
}

// answer asks the daemon.
func (l *lane) answer(ctx context.Context, cl *client, q question) answer {
	if q.id == uuid.Nil {
		var a answer
		err := cl.call(ctx, "virConnectGetVersion", func(lv *golibvirt.Libvirt) (err error) {
			a.hypervisor, err = lv.ConnectGetVersion()
			return err
		})
		if err != nil {
			return q.failed(err)
		}
		return a
	}
	a := answer{disks: map[string]sizes{}}
	for _, disk := range q.disks {
		s, image, err := cl.sizes(ctx, q.dom, disk)
		if connectionLost(err) {
			// What is asked of one disk of a wedged VM waits for all of them.
			failed := q.failed(err)
			failed.problems = append(a.problems, failed.problems...)
			failed.disks = a.disks
			return failed
		}
		if err != nil && !golibvirt.IsNotFound(err) {
			a.problems = append(a.problems, sizeProblem(q.entity(), disk, err))
		}
		if disk.format != "" && image != "" {
			s.chain, err = l.follow(ctx, cl, q, disk, image, disk.running || err == nil)
			if err != nil {
				p := chainProblem(q.entity(), image, err)
				a.problems = append(a.problems, p)
				a.timedOut = a.timedOut || p.Why == inventory.WhyTimedOut
			}
		}
		a.disks[disk.target] = s
	}
	return a
}

const remedySoon = "none is needed: it is asked beside the passes, and a later one has it"

var errNotYet = errors.New("not answered yet")

// addSizes completes what was read with what the slow lane knows, and lets it
// know what is to be kept up to date. Where nothing is to be asked (the
// connection was lost), what is known is used all the same.
func (l *lane) addSizes(ctx context.Context, here []*reading, ask bool) {
	if ask {
		questions := []question{{id: uuid.Nil}}
		for _, r := range here {
			if q := questionOf(r); len(q.disks) > 0 {
				questions = append(questions, q)
			}
		}
		l.ask(questions)
		l.await(ctx, l.wait)
	}
	for _, r := range here {
		q := questionOf(r)
		if len(q.disks) == 0 {
			continue
		}
		a, found := l.known(q.id)
		if !found {
			a = q.failed(&collectors.SourceError{Call: blockInfoCall, Why: inventory.WhyTimedOut,
				Remedy: remedySoon, Err: errNotYet})
		}
		r.problems = append(r.problems, a.problems...)
		r.take(a)
	}
}

// take puts an answer's sizes and chains on the VM's disks.
func (r *reading) take(a answer) {
	r.vm.Disks = slices.Clone(r.vm.Disks) // the last pass's document has the others
	for i := range r.vm.Disks {
		disk := &r.vm.Disks[i]
		s, found := a.disks[disk.Target]
		if !found {
			continue
		}
		disk.Capacity, disk.Allocation = s.capacity, s.allocation
		s.chain.below(disk)
	}
	setImageSource(&r.vm, r.root)
}

// questionOf asks about every disk that holds data and has a source.
func questionOf(r *reading) question {
	q := question{id: r.vm.UUID, dom: golibvirt.Domain{UUID: golibvirt.UUID(r.vm.UUID), Name: r.vm.Name, ID: -1}}
	for i := range r.vm.Disks {
		d := &r.vm.Disks[i]
		if !d.IsStorage() || d.Source == "" || d.Target == "" {
			continue
		}
		ask := asked{target: d.Target, source: d.Source, volume: d.SourceType == "volume", running: r.active, deep: len(d.Backing) > 0}
		local := d.SourceType == "file" || d.SourceType == "block"
		if !r.active && !local {
			ask.offline = d.SourceType
		}
		if local || ask.volume {
			ask.format, ask.device = d.Format, d.SourceType == "block" && d.Format == "raw"
		}
		q.disks = append(q.disks, ask)
	}
	return q
}

// hypervisor is the version of what the runtime drives, 0 where it isn't known.
func (l *lane) hypervisor() (uint64, *inventory.Problem) {
	a, found := l.known(uuid.Nil)
	if !found {
		p := problemOf("", "runtime.hypervisor", &collectors.SourceError{Call: "virConnectGetVersion",
			Why: inventory.WhyTimedOut, Remedy: remedySoon, Err: errNotYet})
		return 0, &p
	}
	if len(a.problems) > 0 {
		return a.hypervisor, &a.problems[0]
	}
	return a.hypervisor, nil
}
