package netbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/sourcetest"
)

// fakeNetBox answers as NetBox's source says that it does: lists with count,
// next and results, limit and offset, ordering by ID, API-Version, a log of
// changes. No NetBox was at hand: what it gets wrong, these tests don't find.
type fakeNetBox struct {
	t       testing.TB
	version string // 4.0: MACs are text, disks are GB; 4.2: MACs are objects, clusters have scopes
	token   string // "" for none

	mu      sync.Mutex
	lists   map[string][]map[string]any // by path
	changes int
	wreck   http.HandlerFunc // in its place, nil for none
	// everyPage is called before each page is made.
	everyPage func()
}

func newFake(t testing.TB, version string) *fakeNetBox {
	return &fakeNetBox{t: t, version: version, lists: map[string][]map[string]any{}}
}

func (f *fakeNetBox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wreck != nil {
		f.wreck(w, r)
		return
	}
	f.answer(w, r)
}

func (f *fakeNetBox) answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("API-Version", f.version)
	if f.token != "" && r.Header.Get("Authorization") != f.token {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"detail":"Invalid token"}`)
		return
	}
	if f.everyPage != nil {
		f.everyPage()
	}
	list, known := f.lists[r.URL.Path]
	log := "/api/core/object-changes/"
	if f.version == "4.0" {
		log = "/api/extras/object-changes/"
	}
	if r.URL.Path == log {
		list, known = []map[string]any{{"id": f.changes}}, true
	}
	if !known {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"detail":"Not found."}`)
		return
	}
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
	page := map[string]any{"count": len(list), "next": nil, "previous": nil}
	from, to := min(offset, len(list)), min(offset+limit, len(list))
	page["results"] = append([]map[string]any{}, list[from:to]...)
	if to < len(list) {
		page["next"] = fmt.Sprintf("http://inside/%s?limit=%d&offset=%d", r.URL.Path, limit, to)
	}
	_ = json.NewEncoder(w).Encode(page)
}

// load makes NetBox's objects of Sentral's records.
func (f *fakeNetBox) load(records sourcetest.Records) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changes++
	f.wreck, f.everyPage = nil, nil
	lists := map[string][]map[string]any{}
	for _, path := range []string{"dcim/sites", "tenancy/tenants", "virtualization/clusters", "dcim/devices", "dcim/interfaces", "ipam/vlan-groups", "ipam/vlans",
		"virtualization/virtual-machines", "virtualization/interfaces", "virtualization/virtual-disks"} {
		lists["/api/"+path+"/"] = nil
	}
	put := func(path string, object map[string]any) map[string]any {
		object["id"] = len(lists["/api/"+path+"/"]) + 1
		lists["/api/"+path+"/"] = append(lists["/api/"+path+"/"], object)
		return object
	}
	brief := func(object map[string]any) any {
		if object == nil {
			return nil
		}
		return map[string]any{"id": object["id"], "name": object["name"], "slug": object["slug"]}
	}
	sites, tenants, devices, vlans := map[any]map[string]any{}, map[any]map[string]any{}, map[any]map[string]any{}, map[string]map[string]any{}
	for _, r := range records["sites"] {
		sites[r["id"]] = put("dcim/sites", map[string]any{"name": r["name"], "slug": r["id"]})
	}
	for _, r := range records["projects"] {
		if tenants[r["tenant"]] == nil {
			tenants[r["tenant"]] = put("tenancy/tenants", map[string]any{"name": r["tenant"], "slug": r["tenant"]})
		}
	}
	for _, r := range records["networks"] {
		for site, vid := range r["vlans"].(map[string]any) {
			vlans[r["id"].(string)+" "+site] = put("ipam/vlans", map[string]any{"name": r["id"], "vid": vid, "site": brief(sites[site]), "tenant": brief(tenants[r["tenant"]]), "custom_fields": map[string]any{"project": r["project"]}})
		}
	}
	nic := func(r map[string]any) map[string]any {
		if mac, has := r["mac"].(string); has {
			upper := strings.ToUpper(mac) // as NetBox writes them
			if f.version == "4.0" {
				return map[string]any{"mac_address": upper}
			}
			return map[string]any{"mac_address": upper, "primary_mac_address": map[string]any{"id": 1, "mac_address": upper}}
		}
		return map[string]any{"mac_address": nil, "primary_mac_address": nil}
	}
	var cluster map[string]any
	for _, r := range records["hosts"] {
		site := sites[r["site"]]
		cluster = map[string]any{"name": "c1", "type": map[string]any{"id": 1, "name": "libvirt", "slug": "kvm"}}
		if f.version == "4.0" {
			cluster["site"] = brief(site)
		} else {
			cluster["scope_type"], cluster["scope_id"], cluster["scope"] = "dcim.site", site["id"], brief(site)
		}
		put("virtualization/clusters", cluster)
		d := put("dcim/devices", map[string]any{
			"name": r["id"], "serial": r["serial"], "site": brief(site), "status": map[string]any{"value": r["state"], "label": "x"}, "cluster": brief(cluster),
			"rack": map[string]any{"id": 1, "name": strings.TrimPrefix(r["failureDomain"].(string), r["site"].(string)+"-")}, "role": map[string]any{"id": 1, "slug": "hypervisor"},
			"custom_fields": map[string]any{"host_id": r["hostID"], "system_uuid": r["systemUUID"]},
		})
		devices[r["id"]] = d
		for _, l := range r["links"].([]any) {
			link := l.(map[string]any)
			object := nic(link)
			object["name"], object["device"], object["type"] = link["name"], brief(d), map[string]any{"value": "25gbase-x-sfp28"}
			var tagged []any
			for _, vid := range link["vlans"].([]any) {
				tagged = append(tagged, map[string]any{"id": 1, "vid": vid})
			}
			object["tagged_vlans"] = tagged
			put("dcim/interfaces", object)
		}
		bridge := nic(map[string]any{"mac": "02:00:00:00:00:01"})
		bridge["name"], bridge["device"], bridge["type"] = "br0", brief(d), map[string]any{"value": "bridge"}
		put("dcim/interfaces", bridge)
	}
	put("dcim/devices", map[string]any{"name": "switch-1", "status": map[string]any{"value": "active"}, "cluster": nil})
	for _, r := range records["vms"] {
		image, _ := r["image"].(map[string]any)
		status := map[any]string{"running": "active", "stopped": "offline", "absent": "decommissioning"}[r["state"]]
		v := put("virtualization/virtual-machines", map[string]any{
			"name": r["name"], "status": map[string]any{"value": status}, "site": brief(sites[r["site"]]), "tenant": brief(tenants[r["tenant"]]), "vcpus": r["vcpus"], "memory": f.mib(r["memory"], 1<<20),
			"device": brief(devices[r["host"]]), "cluster": nil,
			"custom_fields": map[string]any{"vm_id": r["id"], "runtime_uuid": r["runtimeID"], "project": r["project"], "environment": map[string]any{"value": r["environment"], "label": "x"},
				"anti_affinity": r["antiAffinity"], "machine": r["machine"], "image": image["id"], "image_version": image["version"]},
		})
		wanted, _ := r["nics"].([]any)
		// NetBox's order is its own.
		for n := len(wanted) - 1; n >= 0; n-- {
			object := nic(wanted[n].(map[string]any))
			object["name"], object["virtual_machine"], object["enabled"] = fmt.Sprintf("eth%d", n+9), brief(v), true
			if vlan := vlans[wanted[n].(map[string]any)["network"].(string)+" "+r["site"].(string)]; vlan != nil {
				object["untagged_vlan"] = map[string]any{"id": vlan["id"], "vid": vlan["vid"]}
			}
			put("virtualization/interfaces", object)
		}
		disks, _ := r["disks"].([]any)
		for n, d := range disks {
			disk := d.(map[string]any)
			unit := uint64(1 << 20)
			if f.version == "4.0" {
				unit = 1 << 30
			}
			put("virtualization/virtual-disks", map[string]any{"name": fmt.Sprintf("%d-%v", n, disk["name"]), "virtual_machine": brief(v), "size": f.mib(disk["size"], unit),
				"custom_fields": map[string]any{"serial": disk["serial"], "wwn": disk["wwn"]}})
		}
	}
	f.lists = lists
}

// mib is a size in units.
func (f *fakeNetBox) mib(size any, unit uint64) any {
	text, given := size.(string)
	if !given {
		return nil
	}
	b, err := inventory.ParseBytes(text)
	if err != nil {
		f.t.Fatal(err)
	}
	return uint64(b) / unit
}

// testMapping has binary units, and a word for what must not be.
func testMapping(t testing.TB) Mapping {
	m, err := ParseMapping([]byte("platforms: {kvm: libvirt}\nstates: {decommissioning: absent}\ndiskUnit: MiB\n"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// carries takes away what NetBox has no field for, custom fields apart.
func carries(inv *sentral.Inventory) {
	used := map[string]bool{}
	for i := range inv.VMs {
		used[inv.VMs[i].Tenant+"/"+inv.VMs[i].Project] = true
	}
	inv.Projects = slices.DeleteFunc(inv.Projects, func(p sentral.Project) bool { return !used[p.Tenant+"/"+p.ID] })
	for i := range inv.Projects {
		inv.Projects[i].Quota, inv.Projects[i].Environments = nil, nil
	}
	for i := range inv.Images {
		inv.Images[i].Digest, inv.Images[i].Source = "", ""
	}
	for i := range inv.Hosts {
		inv.Hosts[i].Capacity, inv.Hosts[i].Disks = nil, nil
	}
	for i := range inv.VMs {
		vm := &inv.VMs[i]
		vm.FailureDomain = ""
		for j := range vm.NICs {
			vm.NICs[j].Model = ""
		}
		for j := range vm.Disks {
			d := &vm.Disks[j]
			d.Name, d.Format, d.Source, d.Shared = fmt.Sprintf("%d-%s", j, d.Name), "", "", false
		}
	}
}

// serve puts the fake on a port.
func (f *fakeNetBox) serve(t *testing.T) *httptest.Server {
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return server
}
