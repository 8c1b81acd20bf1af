package libvirt

import (
	"context"
	"errors"
	"fmt"
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
	chain   bool // it is a qcow2 image whose chain the XML doesn't tell
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
	backing              []inventory.BackingFile
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
		if now.backing == nil {
			now.backing = before.backing
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
		if disk.chain && image != "" {
			s.backing, err = l.chain(ctx, image)
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

var errReadersStuck = fmt.Errorf("other images are being read and don't come back: %w", context.DeadlineExceeded)

// chain reads an image's backing chain. A read of a file system that hangs can't
// be taken back: its goroutine is left to it, and only so many may be.
func (l *lane) chain(ctx context.Context, path string) ([]inventory.BackingFile, error) {
	select {
	case l.readers <- struct{}{}:
	default:
		return nil, errReadersStuck
	}
	type result struct {
		chain []inventory.BackingFile
		err   error
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-l.readers }()
		chain, err := readChain(l.root, path)
		done <- result{chain, err}
	}()
	select {
	case r := <-done:
		return r.chain, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("read %s: %w", path, context.Cause(ctx))
	}
}

func chainProblem(entity, image string, err error) inventory.Problem {
	p := inventory.Problem{Entity: entity, Field: "disk.backing", Call: "open " + image, Why: whyOf(err), Error: err.Error(),
		Remedy: "see whether the image is there and whole (qemu-img info --backing-chain)"}
	switch p.Why {
	case inventory.WhyRefused:
		p.Remedy = "libvirt shows the chain of a VM while it runs; for a stopped one let the agent read its images (CAP_DAC_READ_SEARCH)"
	case inventory.WhyTimedOut:
		p.Remedy = "see whether the file system that the image is on answers; it is asked again later and later"
	}
	return p
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
		if len(s.backing) > 0 {
			disk.Backing = s.backing
		}
	}
	setImageSource(&r.vm, r.root)
}

// questionOf asks about every disk that holds data and has a source. The chain
// of a running VM is in its XML; that of a stopped one is in its images.
func questionOf(r *reading) question {
	q := question{id: r.vm.UUID, dom: golibvirt.Domain{UUID: golibvirt.UUID(r.vm.UUID), Name: r.vm.Name, ID: -1}}
	for i := range r.vm.Disks {
		d := &r.vm.Disks[i]
		if !d.IsStorage() || d.Source == "" || d.Target == "" {
			continue
		}
		ask := asked{target: d.Target, source: d.Source}
		local := d.SourceType == "file" || d.SourceType == "block"
		if !r.active {
			ask.chain = d.Format == "qcow2" && len(d.Backing) == 0 && (local || d.SourceType == "volume")
			if !local {
				ask.offline = d.SourceType
			}
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
