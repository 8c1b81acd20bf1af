package reconcile

import (
	"fmt"

	"github.com/dataverket/avstem/inventory"
)

// source is one document of a host, with the indexes that every comparison of
// its VMs asks.
type source struct {
	Document
	host *hostView
	*capabilities
	problems map[string][]*inventory.Problem // by entity
	origins  map[inventory.Field]*Provenance // made when first asked for
	things   []*thing                        // its VMs, in order
	wired    bool                            // it tells of the network,
	pooled   bool                            // of storage pools
	wwns     []string                        // and of these disks
	mentions []uint32                        // see [Book.mentionsOf]
	packed   packing
	unpacked unpacked
}

// provenance says where the source has a field from. What it gives is shared.
func (s *source) provenance(field inventory.Field) *Provenance {
	pr := s.origins[field]
	if pr == nil {
		pr = &Provenance{Collector: s.Source, ObservedAt: s.ObservedAt, Host: s.Host}
		if c := s.known[field]; c != nil {
			pr.Source = c.From
		}
		if s.origins == nil {
			s.origins = map[inventory.Field]*Provenance{}
		}
		s.origins[field] = pr
	}
	return pr
}

// tells says whether the source may have the field.
func (s *source) tells(field inventory.Field) bool {
	return s.known[field] != nil && !s.lacks(field)
}

// lacks says whether the source never has the field.
func (s *source) lacks(field inventory.Field) bool {
	c := s.known[field]
	return c != nil && c.Known == inventory.KnownAbsent
}

// hides gives the problem that kept the field of an entity from being read.
func (s *source) hides(entity []*inventory.Problem, field inventory.Field) *inventory.Problem {
	for _, problem := range entity {
		if problem.Field == field || problem.Field == "" {
			return problem
		}
	}
	for _, problem := range s.problems[""] {
		if problem.Field == field {
			return problem
		}
	}
	return nil
}

// hidesAny says whether some entity's field couldn't be read.
func (s *source) hidesAny(fields ...inventory.Field) bool {
	for i := range s.Problems {
		for _, field := range fields {
			if s.Problems[i].Field == field {
				return true
			}
		}
	}
	return false
}

func problemWords(p *inventory.Problem) string {
	return fmt.Sprintf("%s: %s: %s", p.Why, p.Call, p.Error)
}
