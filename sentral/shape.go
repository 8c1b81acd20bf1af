package sentral

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dataverket/avstem/inventory"
)

// Limits of texts, in characters. A path may be as long as the kernel lets it
// be (PATH_MAX), and everything else as long as a file's name (NAME_MAX).
const (
	maxText = 255
	maxPath = 4096
)

// maxVCPUs is far above any machine or project, and fits an int everywhere.
const maxVCPUs = 1_000_000_000

var (
	hostStates = []HostState{HostPlanned, HostActive, HostMaintenance, HostRetired}
	vmStates   = []VMState{VMRunning, VMStopped, VMAbsent}
)

// shape checks one record's keys and reports each that breaks a rule. What
// schema.json says of a document, this says of a record; a test holds them
// together.
type shape struct {
	report func(key, problem string)
	// list and index are the element that keys are in.
	list  string
	index int
}

func checkValue(value any, report func(key, problem string)) {
	s := &shape{report: report}
	switch v := value.(type) {
	case *Site:
		s.site(v)
	case *FailureDomain:
		s.required("id", v.ID)
		s.required("site", v.Site)
		s.text("kind", v.Kind)
	case *Project:
		s.project(v)
	case *Image:
		s.required("id", v.ID)
		s.required("version", v.Version)
		s.text("digest", v.Digest)
		s.path("source", v.Source)
	case *Network:
		s.network(v)
	case *Host:
		s.host(v)
	case *VM:
		s.vm(v)
	}
}

func (s *shape) site(v *Site) {
	s.required("id", v.ID)
	s.text("name", v.Name)
	if v.ID != "" && !isSiteID(v.ID) {
		s.fault("id", "%q can't be a site's ID, since it is part of NATS subjects: want up to 63 of a-z, 0-9 and -, not - first", v.ID)
	}
}

// isSiteID says whether the ID is one token of a NATS subject and a DNS label
// too. schema.json has the same as a pattern.
func isSiteID(id string) bool {
	return len(id) <= 63 && id[0] != '-' && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func (s *shape) project(v *Project) {
	s.required("tenant", v.Tenant)
	s.required("id", v.ID)
	for i, environment := range v.Environments {
		s.required(fmt.Sprintf("environments[%d]", i), environment)
	}
	s.quota("quota", v.Quota)
}

func (s *shape) network(v *Network) {
	s.required("id", v.ID)
	s.required("tenant", v.Tenant)
	s.required("project", v.Project)
	for _, site := range slices.Sorted(maps.Keys(v.VLANs)) {
		s.vlan("vlans."+site, v.VLANs[site])
	}
}

func (s *shape) host(v *Host) {
	s.required("id", v.ID)
	s.required("site", v.Site)
	s.text("name", v.Name)
	s.text("failureDomain", v.FailureDomain)
	s.text("platform", v.Platform)
	s.text("serial", v.Serial)
	state(s, v.State, hostStates)
	s.quota("capacity", v.Capacity)
	for i, link := range v.Links {
		s.list, s.index = "links", i
		s.required("name", link.Name)
		s.mac("mac", link.MAC)
		for j, vlan := range link.VLANs {
			s.vlan(fmt.Sprintf("vlans[%d]", j), vlan)
		}
	}
	for i, disk := range v.Disks {
		s.list, s.index = "disks", i
		s.text("serial", disk.Serial)
		s.text("wwn", disk.WWN)
		s.size("size", disk.Size)
	}
}

func (s *shape) vm(v *VM) {
	s.required("id", v.ID)
	s.required("name", v.Name)
	s.required("tenant", v.Tenant)
	s.required("project", v.Project)
	s.required("environment", v.Environment)
	s.required("site", v.Site)
	s.text("failureDomain", v.FailureDomain)
	s.text("host", v.Host)
	s.text("antiAffinity", v.AntiAffinity)
	s.text("machine", v.Machine)
	state(s, v.State, vmStates)
	s.count("vcpus", v.VCPUs, 1)
	s.size("memory", v.Memory)
	if v.Image != nil {
		s.required("image.id", v.Image.ID)
		s.text("image.version", v.Image.Version)
	}
	for i, nic := range v.NICs {
		s.list, s.index = "nics", i
		s.mac("mac", nic.MAC)
		s.required("network", nic.Network)
		s.text("model", nic.Model)
	}
	for i, disk := range v.Disks {
		s.list, s.index = "disks", i
		s.text("name", disk.Name)
		s.size("size", disk.Size)
		s.text("serial", disk.Serial)
		s.text("wwn", disk.WWN)
		s.text("format", disk.Format)
		s.path("source", disk.Source)
	}
}

func (s *shape) fault(key, format string, args ...any) {
	if s.list != "" {
		key = fmt.Sprintf("%s[%d].%s", s.list, s.index, key)
	}
	s.report(key, fmt.Sprintf(format, args...))
}

func (s *shape) required(key, text string) {
	if text == "" {
		s.fault(key, "is missing")
		return
	}
	s.text(key, text)
}

func (s *shape) text(key, text string) { s.limited(key, text, maxText) }

func (s *shape) path(key, text string) { s.limited(key, text, maxPath) }

// limited refuses what could not be told from another text on a screen, and
// what can't be one.
func (s *shape) limited(key, text string, limit int) {
	switch {
	case strings.ContainsFunc(text, isControl):
		s.fault(key, "%q holds a control character", text)
	case text != strings.Trim(text, " \u00a0"):
		s.fault(key, "%q begins or ends with a space", text)
	case len(text) > limit && utf8.RuneCountInString(text) > limit:
		s.fault(key, "is %d characters long: want at most %d", utf8.RuneCountInString(text), limit)
	}
}

// isControl is Unicode's category Cc: U+0000 to U+001F and U+007F to U+009F.
func isControl(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }

func (s *shape) quota(key string, q *Quota) {
	if q != nil {
		s.count(key+".vcpus", q.VCPUs, 0)
	}
}

func (s *shape) count(key string, n *int, least int) {
	if n != nil && (*n < least || *n > maxVCPUs) {
		s.fault(key, "%d is out of range: want a number from %d to %d", *n, least, maxVCPUs)
	}
}

func (s *shape) size(key string, size *inventory.Bytes) {
	if size != nil && *size == 0 {
		s.fault(key, "0 is too small: want at least 1 byte")
	}
}

func (s *shape) vlan(key string, vlan inventory.VLAN) {
	if !vlan.Valid() {
		s.fault(key, "%d is not a VLAN ID: want a number from 1 to 4094", vlan)
	}
}

// mac refuses group addresses: no interface can have one as its own (IEEE 802,
// the first octet's lowest bit).
func (s *shape) mac(key string, mac inventory.MAC) {
	if mac[0]&1 == 1 {
		s.fault(key, "%q is a group address, which no interface can have: the second digit must be even", mac)
	}
}

func state[S ~string](s *shape, given S, known []S) {
	if given == "" || slices.Contains(known, given) {
		return
	}
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = string(k)
	}
	s.fault("state", "%q is not a state: want %s", given, strings.Join(names, ", "))
}
