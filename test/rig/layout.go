package rig

import (
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed init.sh
var initScript []byte

//go:embed instances.sh
var instancesScript []byte

// covered are the paths of the machine that the rig has its own of. init.sh
// binds them.
var covered = []string{
	"/run", "/etc/libvirt", "/etc/openvswitch", "/etc/machine-id", "/etc/hosts", "/var/lib/libvirt",
	"/var/log/libvirt", "/var/log/openvswitch", "/var/cache/libvirt",
}

// coveredToo are those of the daemons that a rig has if asked. instances.sh binds
// them.
var coveredToo = []string{"/var/lib/lxd", "/var/log/lxd", "/var/lib/incus", "/var/log/incus"}

const (
	logFile    = "/rig.log"
	initFile   = "/init.sh"
	imagesPath = "/var/lib/libvirt/images"

	longestSocket = "/run/libvirt/libvirt-sock-ro"
	// sunPathMax is the longest path of a unix socket: sun_path has 108 bytes
	// with the final zero (unix(7)).
	sunPathMax = 107
)

// qemuConf keeps libvirt from what can't work or can't be private here: device
// nodes in a namespace of each guest, AppArmor, control groups; and runs QEMU as
// root, since the directory may be one that only root can enter.
const qemuConf = `namespaces = []
security_driver = "none"
cgroup_controllers = []
user = "root"
group = "root"
`

// libvirtdConf asks for no polkit, which has no daemon here.
const libvirtdConf = `auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_ro_perms = "0777"
unix_sock_rw_perms = "0700"
`

// resolve returns the directory's one name without symbolic links, since it is
// looked for in mount tables. The directory need not be there yet.
func resolve(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("resolve rig directory: %w", err)
	}
	real, err := filepath.EvalSymlinks(abs)
	if err == nil {
		return real, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("resolve rig directory: %w", err)
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if errors.Is(err, os.ErrNotExist) {
		return abs, nil
	}
	if err != nil {
		return "", fmt.Errorf("resolve rig directory: %w", err)
	}
	return filepath.Join(parent, filepath.Base(abs)), nil
}

// checkDir refuses directories in which a rig can't work.
func checkDir(dir string) error {
	if n := len(dir) + len(longestSocket); n > sunPathMax {
		return fmt.Errorf("start rig in %s: sockets would have paths of %d bytes, the kernel allows %d: choose a directory %d bytes shorter",
			dir, n, sunPathMax, n-sunPathMax)
	}
	for _, hidden := range slices.Concat([]string{"/proc", "/sys"}, covered, coveredToo) {
		if dir == hidden || strings.HasPrefix(dir, hidden+"/") {
			return fmt.Errorf("start rig in %s: %s is hidden inside a rig: choose a directory elsewhere", dir, hidden)
		}
	}
	return nil
}

// writeLayout fills the directory with what init.sh binds.
func writeLayout(dir, hostname string, runtimes []string) error {
	id := make([]byte, 16)
	rand.Read(id) // never fails
	subs := []string{
		"/run/openvswitch", "/run/libvirt", "/run/lock", "/etc/libvirt", "/etc/openvswitch",
		imagesPath, "/var/log/libvirt", "/var/log/openvswitch", "/var/cache/libvirt",
	}
	for _, runtime := range runtimes {
		subs = append(subs, "/var/lib/"+runtime, "/var/log/"+runtime)
	}
	for _, sub := range subs {
		if err := os.MkdirAll(dir+sub, 0o755); err != nil {
			return err
		}
	}
	type file struct {
		path string
		data []byte
		mode os.FileMode
	}
	files := []file{
		{initFile, initScript, 0o755},
		{"/etc/libvirt/qemu.conf", []byte(qemuConf), 0o644},
		{"/etc/libvirt/libvirtd.conf", []byte(libvirtdConf), 0o644},
		{"/etc/machine-id", []byte(hex.EncodeToString(id) + "\n"), 0o444},
		// QEMU's driver asks for the host's full name at each start of a guest.
		{"/etc/hosts", []byte("127.0.0.1 localhost\n127.0.1.1 " + hostname + "\n"), 0o644},
		{"/kvm", nil, 0},
	}
	if len(runtimes) > 0 {
		image, err := tinyImage()
		if err != nil {
			return err
		}
		files = append(files, file{"/tiny.tar", image, 0o644}, file{"/instances.sh", instancesScript, 0o755})
	}
	for _, f := range files {
		if err := os.WriteFile(dir+f.path, f.data, f.mode); err != nil {
			return err
		}
	}
	return nil
}
