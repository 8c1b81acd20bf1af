package libvirt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// How pools are read.
const (
	// maxVolumes bounds what is read of all pools together: a document of that
	// many is some 300 KiB on the wire.
	maxVolumes = 10_000
	// Reading a volume makes the daemon open it. So after a round it rests, in
	// proportion to what the round took: reading pools that take less than 2.4 s
	// is at most 1/200 of the daemon's time. What was found stays well below the
	// ten minutes after which a volume without a VM is a finding: both may have
	// been deleted together, and the VM is gone from the next pass on.
	poolRest     = 30 * time.Second
	poolRestMost = 8 * time.Minute
	poolShare    = 200
)

// pools reads the storage pools beside the passes, in rounds, on a connection of
// its own: a pool on a dead server makes the daemon wait, and a big one takes
// seconds. A pass takes what the last round found.
//
// A pool's list of volumes is as old as its last refresh, by whoever made one
// ("virsh pool-refresh", a volume created through libvirt, the pool's start). A
// read-only connection may not refresh it, and we would not: that is a change,
// and a costly one.
type pools struct {
	connect func(context.Context) (*client, error)
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	last   poolRound
	known  bool // a round has ended
	busy   bool
	notYet time.Time
	ended  chan struct{} // closed and replaced when a round ended
}

// poolRound is what a round found.
type poolRound struct {
	pools    map[uuid.UUID]inventory.StoragePool
	problems []inventory.Problem
}

func newPools(c *Collector) *pools {
	p := &pools{ended: make(chan struct{})}
	p.connect = func(ctx context.Context) (*client, error) { return connect(ctx, c.sockets(), c.URI, c.CallTimeout) }
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// start begins a round where one is due.
func (p *pools) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy || p.ctx.Err() != nil || time.Now().Before(p.notYet) {
		return
	}
	p.busy = true
	p.running.Go(p.round)
}

// add puts what the last round found into the document. It waits for the first.
func (p *pools) add(ctx context.Context, b *collectors.Builder, limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	p.mu.Lock()
	ended, known := p.ended, p.known
	p.mu.Unlock()
	if !known {
		select {
		case <-ended:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.known {
		b.Problem(problemOf("", "storagePool.name", &collectors.SourceError{Call: poolsCall,
			Why: inventory.WhyTimedOut, Remedy: remedySoon, Err: errNotYet}))
		return
	}
	for _, pool := range p.last.pools {
		pool.Volumes = slices.Clone(pool.Volumes) // the document sorts its own
		b.StoragePool(pool)
	}
	for _, problem := range p.last.problems {
		b.Problem(problem)
	}
}

func (p *pools) round() {
	began := time.Now()
	reader := &poolReader{pools: p, left: maxVolumes, round: poolRound{pools: map[uuid.UUID]inventory.StoragePool{}}}
	if err := reader.readAll(p.ctx); err != nil {
		reader.problem("", "storagePool.name", err)
		p.mu.Lock() // what was known stays, beside the problem
		for id, pool := range p.last.pools {
			if _, found := reader.round.pools[id]; !found {
				reader.round.pools[id] = pool
			}
		}
		p.mu.Unlock()
	}
	reader.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.known, p.busy = reader.round, true, false
	p.notYet = time.Now().Add(min(max(poolRest, poolShare*time.Since(began)), poolRestMost))
	close(p.ended)
	p.ended = make(chan struct{})
}

func (p *pools) close() {
	p.cancel()
	p.running.Wait()
}

const (
	poolsCall   = "virConnectListAllStoragePools"
	poolCall    = "virStoragePoolGetXMLDesc"
	volumesCall = "virStoragePoolListAllVolumes"
	volumeCall  = "virStorageVolGetXMLDesc"
)

// poolReader is one round.
type poolReader struct {
	*pools
	cl    *client
	left  int // volumes that may be read yet
	round poolRound
}

func (r *poolReader) problem(entity string, field inventory.Field, err error) {
	r.round.problems = append(r.round.problems, problemOf(entity, field, err))
}

func (r *poolReader) close() {
	if r.cl != nil {
		r.cl.close(nil)
	}
}

// call calls the daemon, on a new connection where the last was lost.
func (r *poolReader) call(ctx context.Context, name string, f func(*golibvirt.Libvirt) error) error {
	if r.cl != nil && r.cl.lost() {
		r.close()
		r.cl = nil
	}
	if r.cl == nil {
		cl, err := r.connect(ctx)
		if err != nil {
			return err
		}
		r.cl = cl
	}
	return r.cl.call(ctx, name, f)
}

// readAll reads every pool; an error means that they could not even be listed.
func (r *poolReader) readAll(ctx context.Context) error {
	var list []golibvirt.StoragePool
	err := r.call(ctx, poolsCall, func(lv *golibvirt.Libvirt) (err error) {
		list, _, err = lv.ConnectListAllStoragePools(1, 0)
		return err
	})
	if err != nil {
		return poolsAbsent(err)
	}
	for _, listed := range list {
		pool, err := r.readPool(ctx, listed)
		switch {
		case golibvirt.IsNotFound(err):
			continue
		case ctx.Err() != nil:
			return err
		case err != nil:
			r.problem(poolEntity(pool.Name), "storagePool.volumes", err)
			r.mu.Lock()
			if before, found := r.last.pools[pool.UUID]; found {
				pool.Volumes = before.Volumes
			}
			r.mu.Unlock()
		}
		r.round.pools[pool.UUID] = pool
	}
	return nil
}

func poolEntity(name string) string { return "storagePool:" + name }

// poolsAbsent says what a daemon means that knows no pools.
func poolsAbsent(err error) error {
	if se, ok := errors.AsType[*collectors.SourceError](err); ok && se.Why == inventory.WhyAbsent {
		se.Remedy = "none is needed where libvirt keeps no storage; virtqemud alone can't tell: let virtproxyd and virtstoraged run"
	}
	return err
}

// readPool reads one pool. What it returns with an error is what the list said.
func (r *poolReader) readPool(ctx context.Context, listed golibvirt.StoragePool) (inventory.StoragePool, error) {
	pool := inventory.StoragePool{Name: listed.Name, UUID: uuid.UUID(listed.UUID)}
	var raw string
	var state uint8
	err := r.call(ctx, poolCall+" "+listed.Name, func(lv *golibvirt.Libvirt) (err error) {
		if raw, err = lv.StoragePoolGetXMLDesc(listed, 0); err == nil {
			state, _, _, _, err = lv.StoragePoolGetInfo(listed)
		}
		return err
	})
	if err != nil {
		return pool, err
	}
	parsed, err := parsePool([]byte(raw))
	if err != nil {
		return pool, &collectors.SourceError{Call: "virStoragePoolGetXMLDesc " + listed.Name, Why: inventory.WhyBroken, Remedy: remedyReport, Err: err}
	}
	parsed.Name, parsed.UUID, parsed.State = pool.Name, pool.UUID, poolStates[golibvirt.StoragePoolState(state)]
	pool = parsed
	if pool.State != "running" {
		pool.Capacity, pool.Available = nil, nil // zeros, which nobody measured
		return pool, nil
	}
	pool.Volumes, err = r.readVolumes(ctx, listed)
	return pool, err
}

// readVolumes reads a running pool's volumes. One that can't be read is there by
// its name and key, which in a pool of files is its path.
func (r *poolReader) readVolumes(ctx context.Context, pool golibvirt.StoragePool) ([]inventory.StorageVolume, error) {
	var list []golibvirt.StorageVol
	err := r.call(ctx, volumesCall+" "+pool.Name, func(lv *golibvirt.Libvirt) (err error) {
		list, _, err = lv.StoragePoolListAllVolumes(pool, 1, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	total, taken := len(list), min(len(list), r.left)
	r.left -= taken
	volumes := make([]inventory.StorageVolume, 0, taken)
	var faults volumeFaults
	for _, listed := range list[:taken] {
		v, err := r.readVolume(ctx, listed)
		switch {
		case golibvirt.IsNotFound(err):
			continue
		case connectionLost(err):
			return nil, err
		case err != nil:
			faults.add(listed.Name, err)
			v = inventory.StorageVolume{Name: listed.Name, Path: listed.Key}
		}
		volumes = append(volumes, v)
	}
	faults.file(r, pool.Name)
	if taken < total {
		err = &collectors.SourceError{Call: volumesCall + " " + pool.Name, Why: inventory.WhyBroken,
			Err:    fmt.Errorf("it has %d volumes, of which %d are shown: all pools together are read up to %d", total, taken, maxVolumes),
			Remedy: "spread the volumes over hosts, or leave unused ones away: nothing is concluded from the others"}
		r.problem(poolEntity(pool.Name), "storagePool.volumes", err)
	}
	return volumes, nil
}

func (r *poolReader) readVolume(ctx context.Context, listed golibvirt.StorageVol) (inventory.StorageVolume, error) {
	var raw string
	err := r.call(ctx, volumeCall+" "+listed.Pool+"/"+listed.Name, func(lv *golibvirt.Libvirt) (err error) {
		raw, err = lv.StorageVolGetXMLDesc(listed, 0)
		return err
	})
	if err != nil {
		return inventory.StorageVolume{}, err
	}
	return parseVolume([]byte(raw))
}

// volumeFaults folds what went wrong with a pool's volumes into one problem.
type volumeFaults struct {
	first string
	err   error
	more  int
}

func (f *volumeFaults) add(name string, err error) {
	if f.err == nil {
		f.first, f.err = name, err
		return
	}
	f.more++
}

func (f *volumeFaults) file(r *poolReader, pool string) {
	if f.err == nil {
		return
	}
	p := problemOf(poolEntity(pool), "storageVolume.capacity", f.err)
	if f.more > 0 {
		p.Error += fmt.Sprintf(" (and %d more)", f.more)
	}
	p.Remedy = "see whether the volume is there; if not, have the pool look again (virsh pool-refresh " + pool + ")"
	r.round.problems = append(r.round.problems, p)
}

// poolStates are virStoragePoolState's.
var poolStates = map[golibvirt.StoragePoolState]string{
	golibvirt.StoragePoolInactive: "inactive", golibvirt.StoragePoolBuilding: "building", golibvirt.StoragePoolRunning: "running",
	golibvirt.StoragePoolDegraded: "degraded", golibvirt.StoragePoolInaccessible: "inaccessible",
}
