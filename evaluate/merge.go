package evaluate

import (
	"cmp"
	"slices"
)

// Merge adds up numbers that were made apart, such as those of several sites.
// They must have been made for the same [By].
func Merge(parts ...[]Numbers) []Numbers {
	byGroup := map[group]*Numbers{}
	for _, part := range parts {
		for i := range part {
			g := group{part[i].Platform, part[i].Type, part[i].Runtime, part[i].Version, part[i].Site + "/" + part[i].Host}
			if n := byGroup[g]; n != nil {
				n.merge(&part[i])
			} else {
				n = &Numbers{Platform: g.platform, Type: g.kind, Runtime: g.runtime, Version: g.version, Host: part[i].Host, Site: part[i].Site}
				n.merge(&part[i])
				byGroup[g] = n
			}
		}
	}
	all := make([]Numbers, 0, len(byGroup))
	for _, n := range byGroup {
		n.head()
		all = append(all, *n)
	}
	sortNumbers(all)
	return all
}

func sortNumbers(all []Numbers) {
	slices.SortFunc(all, func(a, b Numbers) int {
		return cmp.Or(cmp.Compare(a.Platform, b.Platform), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Runtime, b.Runtime), cmp.Compare(a.Version, b.Version),
			cmp.Compare(a.Site, b.Site), cmp.Compare(a.Host, b.Host))
	})
}

func (n *Numbers) merge(other *Numbers) {
	n.Hosts.add(other.Hosts)
	n.HostIdentity.add(other.HostIdentity)
	n.VMs += other.VMs
	n.Paths.add(other.Paths)
	n.Identity.Durable.add(other.Identity.Durable)
	n.Identity.Unknown += other.Identity.Unknown
	n.Identity.Missing += other.Identity.Missing
	n.Identity.Unseen += other.Identity.Unseen
	for by, count := range other.Identity.By {
		if n.Identity.By == nil {
			n.Identity.By = map[string]int{}
		}
		n.Identity.By[by] += count
	}
	n.Fields = mergeFields(n.Fields, other.Fields)
	slices.SortStableFunc(n.Fields, func(a, b FieldShare) int { return cmp.Compare(askedAt(a), askedAt(b)) })
	n.Compared = mergeFields(n.Compared, other.Compared)
	slices.SortFunc(n.Compared, func(a, b FieldShare) int { return cmp.Compare(a.Field, b.Field) })
}

// askedAt is where a field stands among those that are counted; one that another
// version of avstem counts comes last.
func askedAt(f FieldShare) int {
	i := slices.IndexFunc(askedFields, func(a asked) bool { return a.field == f.Field })
	if i < 0 {
		return len(askedFields)
	}
	return i
}

func mergeFields(into, other []FieldShare) []FieldShare {
	for i := range other {
		at := slices.IndexFunc(into, func(f FieldShare) bool { return f.Field == other[i].Field })
		if at < 0 {
			at = len(into)
			into = append(into, FieldShare{Field: other[i].Field, Needed: other[i].Needed})
		}
		into[at].merge(&other[i])
	}
	return into
}
