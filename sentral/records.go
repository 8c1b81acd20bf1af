package sentral

import "iter"

// RecordID names one record of an inventory.
type RecordID struct {
	Type string // as [LeftOut.Type]
	ID   string // as [LeftOut.ID]
}

// IDOf names a record, which is a pointer to one of the record types.
func IDOf(record any) RecordID {
	l := Identify(record)
	return RecordID{l.Type, l.ID}
}

// Records gives every record that can be used, as pointers: sites, failure
// domains, projects, images, networks, hosts and VMs, each in the source's order.
func (inv *Inventory) Records() iter.Seq[any] {
	return func(yield func(any) bool) {
		_ = each(inv.Sites, yield) && each(inv.FailureDomains, yield) && each(inv.Projects, yield) &&
			each(inv.Images, yield) && each(inv.Networks, yield) && each(inv.Hosts, yield) && each(inv.VMs, yield)
	}
}

func each[T any](records []T, yield func(any) bool) bool {
	for i := range records {
		if !yield(&records[i]) {
			return false
		}
	}
	return true
}

// Add puts a record, as [Inventory.Records] gives it, into an inventory that is
// being built. It isn't checked.
func (inv *Inventory) Add(record any) { inv.add(record) }

// NewRecord makes an empty record of a type; nil where there is no such type.
func NewRecord(recordType string) any {
	switch recordType {
	case "site":
		return new(Site)
	case "failureDomain":
		return new(FailureDomain)
	case "project":
		return new(Project)
	case "image":
		return new(Image)
	case "network":
		return new(Network)
	case "host":
		return new(Host)
	case "vm":
		return new(VM)
	}
	return nil
}

// Places says where the records of an inventory stand in their source.
type Places struct {
	of map[RecordID]func(key string) Place
}

// Place is where a key of a record stands ("" is the record itself), or what is
// nearest above it; zero where that isn't known.
func (p *Places) Place(id RecordID, key string) Place {
	if p == nil || p.of[id] == nil {
		return Place{}
	}
	return p.of[id](key)
}

// Equal is always true: where records stand is no part of what they say.
func (p *Places) Equal(*Places) bool { return true }
