package netbox

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// noVLAN is the network of NICs whose interface has no untagged VLAN in NetBox.
const noVLAN = "netbox-no-vlan"

// inventory makes records of what was read. Base is where people find an object.
func (e *everything) inventory(m *Mapping, source, base string, now time.Time) *sentral.Inventory {
	c := &converter{
		everything: e, m: m, base: base,
		siteOf: map[int]string{}, slugOf: map[int]string{}, hostOf: map[int]string{}, networkOf: map[int]string{}, clusterOf: map[int]*cluster{},
		networks: map[string]*network{}, once: map[string]bool{}, projects: map[[2]string]bool{},
	}
	c.convert()
	inv := sentral.Assemble(c.records, nil)
	inv.Source, inv.ReadAt = source, now.UTC()
	digest := sha256.New()
	// Text and numbers: there is nothing that could not be encoded.
	_ = json.NewEncoder(digest).Encode([]any{inv, inv.LeftOut, inv.Problems})
	inv.Version = "sha256:" + hex.EncodeToString(digest.Sum(nil))
	return inv
}

type converter struct {
	*everything
	m       *Mapping
	base    string
	records []sentral.Record

	siteOf    map[int]string // a site's ID by NetBox's
	slugOf    map[int]string // a tenant's
	hostOf    map[int]string // a host's by its device's
	networkOf map[int]string // a network's by a VLAN's
	clusterOf map[int]*cluster
	networks  map[string]*network
	once      map[string]bool // what was made of several objects
	projects  map[[2]string]bool
}

// network is one that VLANs of several sites make, with where its record is.
type network struct {
	*sentral.Network
	record int
}

// made is a record being made of an object.
type made struct {
	place  sentral.Place
	faults []sentral.Fault
}

// of begins one. Path is the object's in NetBox's pages.
func (c *converter) of(path string, o *object) *made {
	return &made{place: sentral.Place{Name: fmt.Sprintf("%s/%s/%d/", c.base, path, o.ID)}}
}

func (r *made) fault(key, format string, args ...any) {
	r.faults = append(r.faults, sentral.Fault{Place: r.place, Key: key, Error: fmt.Sprintf(format, args...)})
}

func (c *converter) add(r *made, value any) {
	place := r.place
	c.records = append(c.records, sentral.Record{Value: value, Place: func(string) sentral.Place { return place }, Faults: r.faults})
}

func (r *made) uuid(key, text string) uuid.UUID {
	if text == "" {
		return uuid.Nil
	}
	id, err := inventory.ParseUUID(text)
	if err != nil {
		r.fault(key, "%v", err)
	}
	return id
}

func (r *made) mac(key, text string) inventory.MAC {
	if text == "" {
		return inventory.MAC{}
	}
	address, err := inventory.ParseMAC(text)
	if err != nil {
		r.fault(key, "%v", err)
	}
	return address
}

func (r *made) vlan(key string, vid int) inventory.VLAN {
	if vid < 0 || vid > math.MaxUint16 {
		r.fault(key, "%d is not a VLAN ID: want a number from 1 to 4094", vid)
		return 1
	}
	return inventory.VLAN(vid)
}

// size is so many units, such as MB.
func (r *made) size(key string, n *uint64, unit inventory.Bytes) *inventory.Bytes {
	switch {
	case n == nil || *n == 0: // NetBox's word for nothing said
		return nil
	case *n > math.MaxUint64/uint64(unit):
		r.fault(key, "%d is too large", *n)
		return nil
	}
	size := inventory.Bytes(*n) * unit
	return &size
}

func (c *converter) convert() {
	for i := range c.sites {
		s := &c.sites[i]
		c.siteOf[s.ID] = s.Slug
		c.add(c.of("dcim/sites", &s.object), &sentral.Site{ID: s.Slug, Name: strings.TrimSpace(s.Name)})
	}
	for i := range c.tenants {
		c.slugOf[c.tenants[i].ID] = c.tenants[i].Slug
	}
	for i := range c.clusters {
		c.clusterOf[c.clusters[i].ID] = &c.clusters[i]
	}
	c.convertVLANs()
	c.convertDevices()
	c.convertVMs()
}

func (c *converter) tenant(ref *reference) string {
	if ref == nil {
		return c.m.Defaults.Tenant
	}
	return cmp.Or(c.slugOf[ref.ID], ref.Slug)
}

// project makes a project of what a VM or VLAN names; NetBox has none.
func (c *converter) project(r *made, tenant string, fields custom) string {
	project := cmp.Or(fields.text(c.m.Fields.Project), c.m.Defaults.Project)
	if key := [2]string{tenant, project}; tenant != "" && project != "" && !c.projects[key] {
		c.projects[key] = true
		c.add(&made{place: r.place}, &sentral.Project{Tenant: tenant, ID: project})
	}
	return project
}

// convertVLANs makes networks: VLANs of one name, tenant and project are one's in
// several sites. A VLAN of no tenant is no tenant's network.
func (c *converter) convertVLANs() {
	groupSite := map[int]string{}
	for i := range c.groups {
		if g := &c.groups[i]; g.ScopeType == "dcim.site" {
			groupSite[g.ID] = c.siteOf[g.ScopeID]
		}
	}
	for i := range c.vlans {
		v := &c.vlans[i]
		tenant := c.tenant(v.Tenant)
		if tenant == "" {
			continue
		}
		r := c.of("ipam/vlans", &v.object)
		id := cmp.Or(v.CustomFields.text(c.m.Fields.Network), strings.TrimSpace(v.Name))
		project := c.project(r, tenant, v.CustomFields)
		c.networkOf[v.ID] = id
		key := strings.Join([]string{tenant, project, id}, "\x00")
		n := c.networks[key]
		if n == nil {
			n = &network{&sentral.Network{ID: id, Tenant: tenant, Project: project, VLANs: map[string]inventory.VLAN{}}, len(c.records)}
			c.networks[key] = n
			c.add(r, n.Network)
		}
		before := len(r.faults)
		for _, site := range c.sitesOf(v, groupSite) {
			if other, taken := n.VLANs[site]; taken && int(other) != v.VID {
				// Which one is meant can't be told, so the network can't be used.
				r.fault("vlans."+site, "VLANs %d and %d are both called so in %s: give each a name, or a custom field %q, of its own", other, v.VID, site, c.m.Fields.Network)
				continue
			}
			n.VLANs[site] = r.vlan("vlans."+site, v.VID)
		}
		record := &c.records[n.record]
		record.Faults = append(record.Faults, r.faults[before:]...)
	}
}

// sitesOf is where a VLAN is: in its site, its group's, or in all.
func (c *converter) sitesOf(v *vlan, groupSite map[int]string) []string {
	switch {
	case v.Site != nil:
		return []string{cmp.Or(c.siteOf[v.Site.ID], v.Site.Slug)}
	case v.Group != nil && groupSite[v.Group.ID] != "":
		return []string{groupSite[v.Group.ID]}
	}
	var all []string
	for i := range c.sites {
		all = append(all, c.sites[i].Slug)
	}
	return all
}

func (c *converter) isHost(d *device) bool {
	if len(c.m.HostRoles) > 0 {
		return d.Role != nil && slices.Contains(c.m.HostRoles, d.Role.Slug)
	}
	return d.Cluster != nil
}

// hostStates are Sentral's words for NetBox's status of a device.
var hostStates = map[string]sentral.HostState{
	"active": sentral.HostActive, "planned": sentral.HostPlanned, "staged": sentral.HostPlanned, "inventory": sentral.HostPlanned,
	"offline": sentral.HostMaintenance, "failed": sentral.HostMaintenance, "decommissioning": sentral.HostRetired,
}

func (c *converter) convertDevices() {
	links := map[int][]*networkInterface{}
	for i := range c.interfaces {
		if nic := &c.interfaces[i]; nic.Device != nil {
			links[nic.Device.ID] = append(links[nic.Device.ID], nic)
		}
	}
	for i := range c.devices {
		d := &c.devices[i]
		if !c.isHost(d) {
			continue
		}
		r := c.of("dcim/devices", &d.object)
		name := strings.TrimSpace(d.Name)
		h := &sentral.Host{
			ID: cmp.Or(name, fmt.Sprintf("netbox-device-%d", d.ID)), Name: name, Serial: strings.TrimSpace(d.Serial), State: hostStates[d.Status.Value],
			HostID:     r.uuid("hostID", d.CustomFields.text(c.m.Fields.HostID)),
			SystemUUID: r.uuid("systemUUID", d.CustomFields.text(c.m.Fields.SystemUUID)),
		}
		if d.Site != nil {
			h.Site = cmp.Or(c.siteOf[d.Site.ID], d.Site.Slug)
		}
		if h.State == "" {
			r.fault("state", "NetBox's status %q is none that is known", d.Status.Value)
		}
		if d.Cluster != nil {
			if in := c.clusterOf[d.Cluster.ID]; in != nil && in.Type != nil {
				h.Platform = cmp.Or(c.m.Platforms[in.Type.Slug], in.Type.Slug)
			}
		}
		h.FailureDomain = c.failureDomain(r, d, h.Site)
		slices.SortStableFunc(links[d.ID], byName)
		for _, nic := range links[d.ID] {
			if nic.Type.Value != "virtual" && nic.Type.Value != "bridge" && nic.Type.Value != "lag" {
				h.Links = append(h.Links, link(r, nic, len(h.Links)))
			}
		}
		c.hostOf[d.ID] = h.ID
		c.add(r, h)
	}
}

func (c *converter) failureDomain(r *made, d *device, site string) string {
	of := d.Rack
	switch c.m.FailureDomain {
	case "location":
		of = d.Location
	case "none":
		of = nil
	}
	if of == nil {
		return ""
	}
	id := site + "-" + cmp.Or(of.Slug, of.Name)
	if !c.once["failureDomain "+id] {
		c.once["failureDomain "+id] = true
		c.add(&made{place: r.place}, &sentral.FailureDomain{ID: id, Site: site, Kind: c.m.FailureDomain})
	}
	return id
}

func link(r *made, nic *networkInterface, index int) sentral.HostLink {
	key := fmt.Sprintf("links[%d]", index)
	l := sentral.HostLink{Name: strings.TrimSpace(nic.Name), MAC: r.mac(key+".mac", nic.mac())}
	if nic.UntaggedVLAN != nil {
		l.VLANs = append(l.VLANs, r.vlan(key+".vlans", nic.UntaggedVLAN.VID))
	}
	for _, v := range nic.TaggedVLANs {
		l.VLANs = append(l.VLANs, r.vlan(key+".vlans", v.VID))
	}
	return l
}

func byName(a, b *networkInterface) int {
	return cmp.Or(natural(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
}

// natural compares names as people do: eth2 before eth10.
func natural(a, b string) int {
	for a != "" && b != "" {
		x, restA := chunk(a)
		y, restB := chunk(b)
		if unicode.IsDigit(rune(x[0])) && unicode.IsDigit(rune(y[0])) {
			x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
			if c := cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y)); c != 0 {
				return c
			}
		} else if c := cmp.Compare(x, y); c != 0 {
			return c
		}
		a, b = restA, restB
	}
	return cmp.Compare(len(a), len(b))
}

// chunk takes the digits, or what is no digit, from the beginning.
func chunk(s string) (first, rest string) {
	isDigit := func(c byte) bool { return c >= '0' && c <= '9' }
	for i := range len(s) {
		if isDigit(s[i]) != isDigit(s[0]) {
			return s[:i], s[i:]
		}
	}
	return s, ""
}
