package incus

import (
	"context"
	"net/url"
	"strings"
	"sync"

	"github.com/dataverket/avstem/inventory"
)

// surroundings asks for what the daemon keeps beside its instances, each thing
// once a pass: volumes, pools and networks that they refer to.
type surroundings struct {
	cl       *client
	volumes  asked[volume]
	networks asked[network]
	pools    map[string]*pool

	// holds says of an instance, by native ID, whether its pool has snapshots of
	// it. Of one that no pool named, nothing is known.
	holds map[string]bool
}

// asked remembers the answers to one kind of call.
type asked[T any] struct {
	mu      sync.Mutex
	answers map[string]*once[T]
}

type once[T any] struct {
	sync.Once
	value T
	err   error
}

func (a *asked[T]) get(ctx context.Context, cl *client, path, project string) (*T, error) {
	a.mu.Lock()
	if a.answers == nil {
		a.answers = map[string]*once[T]{}
	}
	key := project + " " + path
	o := a.answers[key]
	if o == nil {
		o = &once[T]{}
		a.answers[key] = o
	}
	a.mu.Unlock()
	o.Do(func() { o.err = cl.get(ctx, path, url.Values{"project": {project}}, &o.value) })
	return &o.value, o.err
}

// inFlight is how many calls of a pass are under way at once.
const inFlight = 4

// inParallel does n things, some at once. A panic in one is the caller's, whose
// runner makes a problem of it, once the others are done.
func inParallel(n int, do func(int)) {
	next := make(chan int)
	var workers sync.WaitGroup
	panics := make(chan any, n)
	one := func(i int) {
		defer func() {
			if v := recover(); v != nil {
				panics <- v
			}
		}()
		do(i)
	}
	for range min(inFlight, n) {
		workers.Go(func() {
			for i := range next {
				one(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
	if len(panics) > 0 {
		panic(<-panics)
	}
}

// complete adds what the daemon keeps elsewhere to each of the readings.
func (s *surroundings) complete(ctx context.Context, readings []reading) {
	inParallel(len(readings), func(n int) {
		r := &readings[n]
		if r.source.err != nil {
			return
		}
		for d := range r.vm.NICs {
			s.addNetwork(ctx, r, &r.vm.NICs[d])
		}
		for d := range r.vm.Disks {
			s.addVolume(ctx, r, &r.vm.Disks[d])
		}
		s.addSnapshots(ctx, r)
	})
}

func (s *surroundings) addNetwork(ctx context.Context, r *reading, nic *inventory.NIC) {
	if nic.Network == "" {
		return
	}
	n, err := s.networks.get(ctx, s.cl, "/1.0/networks/"+nic.Network, r.source.Project)
	if err != nil {
		r.missed("nic.attachment", err)
		return
	}
	r.onNetwork(nic, n)
}

// addVolume asks for a custom volume, or for the size that a pool gives to root
// disks which nobody gave one. Where the pool has none either, it is the image's
// or the daemon's own choice, and not told.
func (s *surroundings) addVolume(ctx context.Context, r *reading, disk *inventory.Disk) {
	if disk.SourceType != "volume" {
		return
	}
	d := r.source.ExpandedDevices[disk.Target]
	path := "/1.0/storage-pools/" + d["pool"]
	if d["path"] != "/" {
		// A volume may be followed by a path in it.
		name, _, _ := strings.Cut(d["source"], "/")
		v, err := s.volumes.get(ctx, s.cl, path+"/volumes/custom/"+name, r.source.Project)
		if err != nil {
			r.missed("disk.capacity", err)
			return
		}
		r.onVolume(disk, d["pool"], v)
		return
	}
	if disk.Capacity != nil || !r.source.isVM() {
		return
	}
	if p := s.pools[d["pool"]]; p != nil {
		if size, err := parseSize(p.Config["volume.size"]); err == nil {
			disk.Capacity = &size
		}
	}
}

func (s *surroundings) addSnapshots(ctx context.Context, r *reading) {
	if some, listed := s.holds[r.vm.NativeID]; listed && !some {
		return
	}
	var all []snapshot
	err := s.cl.get(ctx, "/1.0/instances/"+r.source.Name+"/snapshots", url.Values{"project": {r.source.Project}, "recursion": {"1"}}, &all)
	switch {
	case gone(err):
		r.gone = true
	case err != nil:
		r.missed("vm.snapshots", err)
	}
	for _, snap := range all {
		// LXD 4 gives INSTANCE/SNAPSHOT.
		name := snap.Name[strings.LastIndexByte(snap.Name, '/')+1:]
		r.vm.Snapshots = append(r.vm.Snapshots, inventory.Snapshot{Name: name, Created: snap.Created.UTC(), Stateful: snap.Stateful})
	}
}

// missed files a call that failed for one field of one instance.
func (r *reading) missed(field inventory.Field, err error) {
	r.problems = append(r.problems, problemOf(r.vm.Entity(), field, err))
}
