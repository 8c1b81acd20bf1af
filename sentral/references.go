package sentral

import (
	"fmt"
	"maps"
	"slices"
)

// references knows every record by type and ID, those that were left out too.
type references struct {
	*assembler
	byID     map[claim]*entry
	imageIDs map[string]bool
	said     int // about the record that is looked at
}

// checkReferences reports references to what isn't there, and places that
// contradict each other. The records stay: what they say of themselves holds. Those
// that are left out are looked at too, but for what was refused of them.
func (a *assembler) checkReferences() {
	r := &references{assembler: a, byID: map[claim]*entry{}, imageIDs: map[string]bool{}}
	for i := range a.entries {
		e := &a.entries[i]
		r.byID[claim{e.identity.Type, e.identity.ID}] = e
		if e.identity.Type == "image" {
			r.imageIDs[e.identity.Name] = true // an image's ID without its version
		}
	}
	for i := range a.entries {
		e := &a.entries[i]
		r.said = len(e.wrong)
		switch v := e.Value.(type) {
		case *FailureDomain:
			r.resolve(e, "site", "site", v.Site)
		case *Network:
			r.project(e, v.Tenant, v.Project)
			for _, site := range slices.Sorted(maps.Keys(v.VLANs)) {
				r.resolve(e, "vlans."+site, "site", site)
			}
		case *Host:
			r.resolve(e, "site", "site", v.Site)
			r.failureDomain(e, v.FailureDomain, v.Site)
		case *VM:
			r.vm(e, v)
		}
		if over := r.said - maxComplaints; over > 0 && len(e.wrong) <= maxComplaints {
			a.complain(e, "", "more problems: %d", over)
		}
	}
}

// vm passes over one that is to be absent: its host, network or project may
// well be gone already.
func (r *references) vm(e *entry, v *VM) {
	if v.State == VMAbsent {
		return
	}
	r.resolve(e, "site", "site", v.Site)
	r.failureDomain(e, v.FailureDomain, v.Site)
	r.environment(e, v)
	r.host(e, v)
	r.image(e, v.Image)
	for i, nic := range v.NICs {
		r.resolve(e, fmt.Sprintf("nics[%d].network", i), "network", nic.Network)
	}
}

// resolve finds what a key refers to. Nil says that it isn't there, or is not
// to be trusted.
func (r *references) resolve(e *entry, key, kind, id string) *entry {
	if id == "" {
		return nil
	}
	target, found := r.byID[claim{kind, id}]
	switch {
	case !found:
		r.complain(e, key, "%s %q is not in the inventory", kind, id)
		return nil
	case target.left:
		return nil
	}
	return target
}

// complain reports what a reference leads to, unless the key's value was refused.
func (r *references) complain(e *entry, key, format string, args ...any) {
	if r.said++; e.wrong[key] || r.said > maxComplaints {
		return
	}
	r.report(e.Place(key), Problem{Record: e.identity.Label(), Name: e.identity.Called(), Key: key, Error: fmt.Sprintf(format, args...), Reference: true})
}

func (r *references) project(e *entry, tenant, project string) *Project {
	if tenant == "" || project == "" {
		return nil
	}
	target := r.resolve(e, "project", "project", pair(tenant, project))
	if target == nil {
		return nil
	}
	return target.Value.(*Project)
}

// environment holds a VM's environment against its project's, where that lists
// any.
func (r *references) environment(e *entry, v *VM) {
	project := r.project(e, v.Tenant, v.Project)
	if project == nil || len(project.Environments) == 0 || slices.Contains(project.Environments, v.Environment) {
		return
	}
	r.complain(e, "environment", "project %q has no environment %q", pair(v.Tenant, v.Project), v.Environment)
}

func (r *references) failureDomain(e *entry, id, site string) {
	target := r.resolve(e, "failureDomain", "failureDomain", id)
	if target == nil {
		return
	}
	if domain := target.Value.(*FailureDomain); domain.Site != site && site != "" {
		r.complain(e, "failureDomain", "%q is in site %q, and the %s in %q", id, domain.Site, e.identity.Type, site)
	}
}

func (r *references) host(e *entry, v *VM) {
	target := r.resolve(e, "host", "host", v.Host)
	if target == nil {
		return
	}
	host := target.Value.(*Host)
	switch {
	case v.Site == "":
	case host.Site != v.Site:
		r.complain(e, "host", "%q is in site %q, and the vm in %q", v.Host, host.Site, v.Site)
	case v.FailureDomain != "" && host.FailureDomain != "" && host.FailureDomain != v.FailureDomain:
		r.complain(e, "host", "%q is in failure domain %q, and the vm in %q", v.Host, host.FailureDomain, v.FailureDomain)
	}
}

// image lets a reference without version name any version.
func (r *references) image(e *entry, ref *ImageRef) {
	switch {
	case ref == nil:
	case !r.imageIDs[ref.ID]:
		r.complain(e, "image.id", "image %q is not in the inventory", ref.ID)
	case ref.Version != "":
		r.resolve(e, "image.version", "image", pair(ref.ID, ref.Version))
	}
}
