// Package manager knows what software that drives a runtime leaves behind:
// system names in SMBIOS, files on the host.
//
// It exists because the same traces are found by every collector of virtual
// machines: in libvirt's XML, on QEMU's command line, in the host's files. What
// it knows is from those projects' sources; of none but libvirt is there a real
// one in the tests. It reads no document of any runtime.
package manager

import (
	"os"
	"path/filepath"
	"strings"
)

// The names of managers, as inventory.Manager has them.
const (
	CloudStack = "cloudstack"
	Incus      = "incus"
	KubeVirt   = "kubevirt"
	Libvirt    = "libvirt"
	LXD        = "lxd"
	Nova       = "openstack-nova"
	OpenNebula = "opennebula"
	OVirt      = "ovirt"
	Proxmox    = "proxmox-ve"
)

// OfSystem names the manager that gives its VMs this SMBIOS manufacturer and
// product, and "" where none is known to: Nova (sysinfo in
// nova/virt/libvirt/driver.py), VDSM (lib/vdsm/virt/libvirtxml.py), CloudStack's
// KVM agent (LibvirtVMDef.java), KubeVirt (its default SMBIOS configuration).
func OfSystem(manufacturer, product string) string {
	switch {
	case strings.HasPrefix(product, "OpenStack "), manufacturer == "OpenStack Foundation":
		return Nova
	case manufacturer == "oVirt":
		return OVirt
	case product == "CloudStack KVM Hypervisor":
		return CloudStack
	case manufacturer == "KubeVirt":
		return KubeVirt
	}
	return ""
}

// traces are the files that a manager's part on a hypervisor host can't be
// without. What a package merely may have left (a log, an empty directory under
// /etc) is none.
var traces = []struct{ path, manager string }{
	{"/etc/pve/local", Proxmox},
	{"/etc/cloudstack/agent/agent.properties", CloudStack},
	{"/var/lib/one/remotes/VERSION", OpenNebula},
	{"/etc/vdsm/vdsm.id", OVirt},
}

// OfHost names the manager whose traces a host has, whose tree begins at root.
// More than one of them settles nothing.
func OfHost(root string) string {
	found := ""
	for _, trace := range traces {
		if _, err := os.Lstat(filepath.Join("/", root, trace.path)); err != nil {
			continue
		}
		if found != "" && found != trace.manager {
			return ""
		}
		found = trace.manager
	}
	return found
}
