package incus

import (
	"cmp"
	"context"
	"net/url"
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// poolTypes are the words of the model for drivers that have another here.
var poolTypes = map[string]string{"lvm": "logical", "ceph": "rbd"}

// poolStates are our words for a pool's status.
var poolStates = map[string]string{"Created": "running", "Pending": "building", "Errored": "inaccessible", "Unavailable": "inaccessible"}

// askPools asks for the pools and their volumes, which also tell what has
// snapshots: that spares a call for each instance, which would be most of a pass.
// What can't be had is a problem, and each instance is asked.
func (s *surroundings) askPools(ctx context.Context) (found []inventory.StoragePool, problems []inventory.Problem) {
	s.holds, s.pools = map[string]bool{}, map[string]*pool{}
	var all []pool
	if err := s.cl.get(ctx, "/1.0/storage-pools", url.Values{"recursion": {"1"}}, &all); err != nil {
		return nil, []inventory.Problem{problemOf("", "storagePool.name", err)}
	}
	found = make([]inventory.StoragePool, len(all))
	faults := make([][]inventory.Problem, len(all))
	volumes := make([][]volume, len(all))
	inParallel(len(all), func(n int) {
		found[n] = all[n].describe()
		entity, path := "storagePool:"+all[n].Name, "/1.0/storage-pools/"+all[n].Name
		if err := s.cl.get(ctx, path+"/volumes", url.Values{"recursion": {"1"}, "all-projects": {"true"}}, &volumes[n]); err != nil {
			faults[n] = append(faults[n], problemOf(entity, "storagePool.volumes", err))
		}
		var use resources
		if err := s.cl.get(ctx, path+"/resources", nil, &use); err != nil {
			faults[n] = append(faults[n], problemOf(entity, "storagePool.capacity", err))
		} else {
			use.fill(&found[n])
		}
	})
	for n := range all {
		s.pools[all[n].Name] = &all[n]
		problems = append(problems, faults[n]...)
		for i := range volumes[n] {
			v := &volumes[n][i]
			if owner, isSnapshot := v.instance(); owner != "" {
				s.holds[owner] = s.holds[owner] || isSnapshot
			}
			if kept, ok := v.describe(&found[n]); ok {
				found[n].Volumes = append(found[n].Volumes, kept)
			}
		}
	}
	return found, problems
}

// describe is the pool as the model has it. A directory's source is where its
// volumes appear; of other drivers it is what they are made from.
func (p *pool) describe() inventory.StoragePool {
	source := cmp.Or(p.Config["zfs.pool_name"], p.Config["lvm.vg_name"], p.Config["ceph.osd.pool_name"], p.Config["source"])
	kept := inventory.StoragePool{Name: p.Name, Type: cmp.Or(poolTypes[p.Driver], p.Driver), State: cmp.Or(poolStates[p.Status], strings.ToLower(p.Status))}
	if p.Driver == "dir" {
		kept.Target = source
	} else {
		kept.Source = source
	}
	return kept
}

// resources is what we read of a pool's use.
type resources struct {
	Space struct {
		Used  uint64 `json:"used"`
		Total uint64 `json:"total"`
	} `json:"space"`
}

func (u *resources) fill(p *inventory.StoragePool) {
	if u.Space.Total == 0 {
		return // the driver can't tell
	}
	total, free := inventory.Bytes(u.Space.Total), inventory.Bytes(u.Space.Total-min(u.Space.Used, u.Space.Total))
	p.Capacity, p.Available = &total, &free
}

// instance is the native ID of the instance that the volume, or the snapshot of
// one (NAME/SNAPSHOT), is of.
func (v *volume) instance() (nativeID string, isSnapshot bool) {
	if v.Type != typeVM && v.Type != inventory.TypeContainer {
		return "", false
	}
	name, _, isSnapshot := strings.Cut(v.Name, "/")
	return cmp.Or(v.Project, defaultProject) + "/" + name, isSnapshot
}

// describe is the volume as the model has it. Snapshots are their instances', and
// images the daemon's own. Where a directory keeps each kind is the driver's
// layout (internal/server/storage/drivers/utils.go, GetVolumeMountPath).
func (v *volume) describe(p *inventory.StoragePool) (inventory.StorageVolume, bool) {
	name := qualified(v.Project, v.Name)
	dirs := map[string]string{typeVM: "/virtual-machines/" + name, inventory.TypeContainer: "/containers/" + name,
		custom: "/custom/" + cmp.Or(v.Project, defaultProject) + "_" + v.Name}
	dir, known := dirs[v.Type]
	if !known || strings.Contains(v.Name, "/") {
		return inventory.StorageVolume{}, false
	}
	kept := inventory.StorageVolume{Name: v.Type + "/" + name, Type: "block"}
	if v.ContentType == filesystem {
		kept.Type = "dir"
	}
	if p.Target != "" {
		kept.Path = p.Target + dir
		switch v.ContentType {
		case "block":
			kept.Path, kept.Type, kept.Format = kept.Path+"/root.img", "file", "raw"
		case "iso":
			kept.Path, kept.Type, kept.Format = kept.Path+"/root.iso", "file", "iso"
		}
	}
	if size, err := parseSize(v.Config["size"]); err == nil {
		kept.Capacity = &size
	}
	return kept, true
}
