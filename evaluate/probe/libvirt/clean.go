package libvirt

import (
	"context"
	"fmt"
	"strings"

	golibvirt "github.com/digitalocean/go-libvirt"

	"github.com/dataverket/avstem/evaluate/probe"
)

// Clean implements [probe.Driver]: domains first, then what they rest on.
func (d *Driver) Clean(ctx context.Context) (left []error) {
	err := d.with(ctx, func(lv *golibvirt.Libvirt) error {
		c := &cleaning{lv: lv}
		c.domains()
		c.networks()
		c.pools()
		left = c.left
		return nil
	})
	if err != nil {
		left = append(left, err)
	}
	return left
}

type cleaning struct {
	lv   *golibvirt.Libvirt
	left []error
}

// did notes a failure to do something to something.
func (c *cleaning) did(what, name string, err error) {
	if err != nil {
		c.left = append(c.left, fmt.Errorf("%s %s: %w", what, name, err))
	}
}

func ours(name string) bool { return strings.HasPrefix(name, probe.Prefix) }

// all is how many are asked for: as many as there are.
const all = 1

func (c *cleaning) domains() {
	domains, _, err := c.lv.ConnectListAllDomains(all, 0)
	c.did("list", "domains", err)
	for _, dom := range domains {
		if !ours(dom.Name) {
			continue
		}
		if active, err := c.lv.DomainIsActive(dom); err == nil && active == 1 {
			c.did("destroy domain", dom.Name, c.lv.DomainDestroy(dom))
		}
		c.did("undefine domain", dom.Name, c.lv.DomainUndefineFlags(dom, undefine))
	}
}

func (c *cleaning) networks() {
	networks, _, err := c.lv.ConnectListAllNetworks(all, 0)
	c.did("list", "networks", err)
	for _, n := range networks {
		if !ours(n.Name) {
			continue
		}
		// It is gone with that, unless somebody has made it persistent.
		c.did("destroy network", n.Name, c.lv.NetworkDestroy(n))
	}
}

func (c *cleaning) pools() {
	pools, _, err := c.lv.ConnectListAllStoragePools(all, 0)
	c.did("list", "storage pools", err)
	for _, p := range pools {
		if !ours(p.Name) {
			continue
		}
		if active, err := c.lv.StoragePoolIsActive(p); err == nil && active == 0 {
			c.did("start storage pool", p.Name, c.lv.StoragePoolCreate(p, 0))
		}
		// What came into the directory behind libvirt's back is found by that.
		c.did("refresh storage pool", p.Name, c.lv.StoragePoolRefresh(p, 0))
		volumes, _, err := c.lv.StoragePoolListAllVolumes(p, all, 0)
		c.did("list volumes of", p.Name, err)
		for _, v := range volumes {
			c.did("delete volume", v.Name, c.lv.StorageVolDelete(v, 0))
		}
		c.did("stop storage pool", p.Name, c.lv.StoragePoolDestroy(p))
		c.did("delete directory of storage pool", p.Name, c.lv.StoragePoolDelete(p, 0))
		c.did("undefine storage pool", p.Name, c.lv.StoragePoolUndefine(p))
	}
}
