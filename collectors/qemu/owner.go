package qemu

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/collectors/internal/manager"
)

// runBy names the software that started a QEMU process and holds its monitor, by
// what only that one puts on a command line; "" is nobody that is known.
func (inv *invocation) runBy() string {
	has := func(all []params, key, part string) bool {
		return slices.ContainsFunc(all, func(p params) bool { return strings.Contains(p[key], part) })
	}
	switch {
	case has(inv.chardevs, "id", "charmonitor"), has(inv.chardevs, "path", "/libvirt/qemu/"):
		return manager.Libvirt
	case inv.id != "", has(inv.chardevs, "path", "/qemu-server/"), strings.Contains(inv.pidfile, "/qemu-server/"):
		return manager.Proxmox
	case under(inv.configs, "incus") || strings.Contains(inv.pidfile, "/incus/"):
		return manager.Incus
	case under(inv.configs, "lxd") || strings.Contains(inv.pidfile, "/lxd/"):
		return manager.LXD
	}
	return ""
}

// under says whether one of the configuration files is in a manager's directory.
func under(configs []string, name string) bool {
	return slices.ContainsFunc(configs, func(path string) bool { return strings.Contains(path, "/"+name+"/") })
}

// managedBy names the manager of the VM: the one that drives what started QEMU,
// where it leaves its name with the VM, or else that.
func (c *Collector) managedBy(p *process, runBy string) string {
	system := manager.OfSystem(p.inv.smbios["manufacturer"], p.inv.smbios["product"])
	switch {
	case system != "":
		return system
	case runBy != manager.Libvirt:
		return runBy
	case slices.ContainsFunc(p.inv.disks(), func(d disk) bool { return strings.HasPrefix(d.Source, "/var/lib/one/") }):
		return manager.OpenNebula
	case c.inLauncher(p):
		return manager.KubeVirt
	}
	return runBy
}

// inLauncher says whether a virt-launcher is among a process's ancestors, as in
// a pod of KubeVirt's.
func (c *Collector) inLauncher(p *process) bool {
	for parent, depth := p.parent, 0; parent > 1 && depth < 16; depth++ {
		name, err := collectors.ReadText(c.Root, procFile(parent, "comm"))
		if err != nil {
			return false
		}
		if strings.HasPrefix(name, "virt-launcher") {
			return true
		}
		up, err := c.stat(parent)
		if err != nil {
			return false
		}
		parent = up.parent
	}
	return false
}

// runPath writes a path with /run, which /var/run is a link to.
func runPath(path string) string {
	if rest, found := strings.CutPrefix(path, "/var/run/"); found {
		return "/run/" + rest
	}
	return filepath.Clean(path)
}

// listens says whether a process has a QMP monitor on a socket, and by which
// character device.
func (p *process) listens(path string) (chardev string, found bool) {
	for _, s := range p.inv.sockets() {
		if s.path != "" && runPath(s.path) == runPath(path) {
			return s.chardev, true
		}
	}
	return "", false
}

// heldBy names the manager that a monitor's socket is for: by where it is, or by
// how the command line calls it. Managers' VMs may have a second monitor made
// for somebody else, which is nobody's here.
func heldBy(path, chardev, runBy string) string {
	base, dir := filepath.Base(path), filepath.Base(filepath.Dir(path))
	switch {
	case base == "monitor.sock" && strings.HasPrefix(dir, "domain-"), base == "qmp.monitor", chardev == "charmonitor":
		return manager.Libvirt
	case dir == "qemu-server", base == "qmeventd.sock", runBy == manager.Proxmox && (chardev == "qmp" || chardev == "qmp-event"):
		return manager.Proxmox
	case base == "qemu.monitor", (runBy == manager.Incus || runBy == manager.LXD) && chardev == "monitor":
		return firstOf(runBy, manager.Incus)
	}
	return ""
}

// listener names what listens on a socket where that is another manager's daemon,
// which hands the socket to QEMU.
func (c *Collector) listener(pid int) string {
	if pid == 0 {
		return ""
	}
	name, err := collectors.ReadText(c.Root, "/proc/"+strconv.Itoa(pid)+"/comm")
	if err == nil && (name == "libvirtd" || name == "virtqemud") {
		return manager.Libvirt
	}
	return ""
}
