package netbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// The objects of NetBox's REST API, as far as they are read. Their keys are in
// NetBox's serializers (netbox/*/api/serializers_); what is null there is nil or
// zero here.

type reference struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
	Slug string `json:"slug"`
}

type choice struct {
	Value string `json:"value"`
}

// custom is custom_fields: text, numbers, selections, objects.
type custom map[string]json.RawMessage

// text is a field's value as text, "" where it is null or none: a selection has
// its value, an object its name.
func (c custom) text(name string) string {
	raw, has := c[name]
	if name == "" || !has {
		return ""
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return strings.TrimSpace(s)
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String()
	}
	var object struct {
		Value string `json:"value"`
		Slug  string `json:"slug"`
		Name  string `json:"name"`
	}
	if json.Unmarshal(raw, &object) == nil {
		for _, s := range []string{object.Value, object.Slug, object.Name} {
			if s != "" {
				return s
			}
		}
	}
	return ""
}

// object has what all have.
type object struct {
	ID           int    `json:"id"`
	Name         string `json:"name"`
	CustomFields custom `json:"custom_fields"`
}

type site struct {
	object
	Slug string `json:"slug"`
}

type cluster struct {
	object
	Type *reference `json:"type"`
	// Site is 4.0's and 4.1's; Scope is since 4.2, of any type.
	Site      *reference `json:"site"`
	ScopeType string     `json:"scope_type"`
	ScopeID   int        `json:"scope_id"`
	Scope     *reference `json:"scope"`
}

type device struct {
	object
	Role     *reference `json:"role"`
	Serial   string     `json:"serial"`
	Site     *reference `json:"site"`
	Location *reference `json:"location"`
	Rack     *reference `json:"rack"`
	Status   choice     `json:"status"`
	Cluster  *reference `json:"cluster"`
}

// mac is since 4.2; before, there was mac_address alone.
type mac struct {
	Address string `json:"mac_address"`
}

type vlanReference struct {
	ID  int `json:"id"`
	VID int `json:"vid"`
}

type networkInterface struct {
	object
	Device         *reference      `json:"device"`          // of a device's
	VirtualMachine *reference      `json:"virtual_machine"` // of a VM's
	Type           choice          `json:"type"`
	Enabled        *bool           `json:"enabled"`
	MACAddress     string          `json:"mac_address"`
	PrimaryMAC     *mac            `json:"primary_mac_address"`
	UntaggedVLAN   *vlanReference  `json:"untagged_vlan"`
	TaggedVLANs    []vlanReference `json:"tagged_vlans"`
}

func (i *networkInterface) mac() string {
	if i.PrimaryMAC != nil && i.PrimaryMAC.Address != "" {
		return i.PrimaryMAC.Address
	}
	return i.MACAddress
}

type vlan struct {
	object
	VID    int        `json:"vid"`
	Site   *reference `json:"site"`
	Group  *reference `json:"group"`
	Tenant *reference `json:"tenant"`
}

type vlanGroup struct {
	object
	ScopeType string `json:"scope_type"`
	ScopeID   int    `json:"scope_id"`
}

type virtualMachine struct {
	object
	Status  choice     `json:"status"`
	Site    *reference `json:"site"`
	Cluster *reference `json:"cluster"`
	Device  *reference `json:"device"`
	Tenant  *reference `json:"tenant"`
	VCPUs   *number    `json:"vcpus"`
	Memory  *uint64    `json:"memory"` // MB
}

type virtualDisk struct {
	object
	VirtualMachine *reference `json:"virtual_machine"`
	Size           *uint64    `json:"size"` // MB, and GB before 4.1
}

// number is a decimal, which is written as a number, and by some versions as text.
type number float64

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(data []byte) error {
	f, err := strconv.ParseFloat(string(bytes.Trim(data, `"`)), 64)
	if err != nil {
		return fmt.Errorf("%.40s is no number", data)
	}
	*n = number(f)
	return nil
}

// list is a page of any of them.
type list[T any] struct {
	Count   *int    `json:"count"`
	Next    *string `json:"next"`
	Results []T     `json:"results"`
}

// everything is what is read of a NetBox.
type everything struct {
	version    string // of its API, such as "4.2"
	sites      []site
	clusters   []cluster
	devices    []device
	interfaces []networkInterface
	groups     []vlanGroup
	vlans      []vlan
	vms        []virtualMachine
	vmNICs     []networkInterface
	disks      []virtualDisk
	tenants    []site // their slugs
}
