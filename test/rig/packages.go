package rig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// needed says which Debian package brings each program.
var needed = []struct{ program, pkg string }{
	{"libvirtd", "libvirt-daemon-system"},
	{"virtlogd", "libvirt-daemon-system"},
	{"virsh", "libvirt-clients"},
	{"qemu-system-x86_64", "qemu-system-x86"},
	{"qemu-img", "qemu-utils"},
	{"ovsdb-server", "openvswitch-switch"},
	{"ovs-vswitchd", "openvswitch-switch"},
	{"ovs-vsctl", "openvswitch-switch"},
	{"ip", "iproute2"},
	{"nsenter", "util-linux"},
	{"setpriv", "util-linux"},
	{"mount", "mount"},
	{"hostname", "hostname"},
}

// neededFor are the packages of what only some rigs run.
var neededFor = map[string][]struct{ program, pkg string }{
	lxd:   {{"lxd", "lxd"}, {"lxc", "lxd-client"}, {"busybox", "busybox-static"}},
	incus: {{"/usr/libexec/incus/incusd", "incus-base"}, {"incus", "incus-client"}, {"busybox", "busybox-static"}},
}

// qemuDriver is libvirtd's QEMU driver, a plug-in that is a package of its own.
const qemuDriver = "/usr/lib/*/libvirt/connection-driver/libvirt_driver_qemu.so"

// missingPackages names the Debian packages that a rig needs and the machine
// lacks, sorted.
func missingPackages(o Options) []string {
	var missing []string
	all := slices.Clone(needed)
	for _, runtime := range o.instanceRuntimes() {
		all = append(all, neededFor[runtime]...)
	}
	for _, n := range all {
		if !installed(n.program) {
			missing = append(missing, n.pkg)
		}
	}
	if found, _ := filepath.Glob(qemuDriver); len(found) == 0 {
		missing = append(missing, "libvirt-daemon-driver-qemu")
	}
	slices.Sort(missing)
	return slices.Compact(missing)
}

// sbin are the directories that an ordinary user's PATH lacks, and with it the
// PATH of who became root by su.
const sbin = "/usr/local/sbin:/usr/sbin:/sbin"

func installed(program string) bool {
	if _, err := exec.LookPath(program); err == nil {
		return true
	}
	for _, dir := range filepath.SplitList(sbin) {
		if _, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return true
		}
	}
	return false
}

// environment is ours with a PATH in which everything needed is found.
func environment() []string {
	return append(os.Environ(), "PATH="+os.Getenv("PATH")+":"+sbin)
}

// installCommand is the command that installs packages on Debian.
func installCommand(packages []string) []string {
	return append([]string{"apt-get", "install", "-y", "--no-install-recommends"}, packages...)
}

func checkPackages(o Options) error {
	missing := missingPackages(o)
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("packages are missing: run: %s", strings.Join(installCommand(missing), " "))
}
