package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// packages are what a lab host has installed, beside what Debian calls required.
var packages = []string{
	"systemd", "systemd-sysv", "dbus", "udev", "libpam-systemd", "polkitd", "openssh-server", "kmod", "procps",
	"iproute2", "iputils-ping", "openvswitch-switch", "lvm2", "mdadm", "multipath-tools", "dmsetup", "cryptsetup-bin", "lldpd",
	"libvirt-daemon-system", "libvirt-clients", "qemu-system-x86", "qemu-utils",
	"python3-apt", "dnf", "rpm",
	// debootstrap takes no package for what it provides, as cloud-init wants this one.
	"cloud-init", "python3-cffi-backend",
}

//go:embed setup.sh
var setup string

// rootTimeout bounds the making of the root file system, most of which is
// unpacking packages.
const rootTimeout = 20 * time.Minute

// Root gives the directory of the root file system that all hosts begin with,
// and makes it where the cache has none for this recipe: in the directory named
// by AVSTEM_LAB_CACHE, or avstem-lab in the user's cache. Two that want it at
// once make it once.
func Root(ctx context.Context) (string, error) {
	cache := os.Getenv("AVSTEM_LAB_CACHE")
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			user = "/var/cache" // no HOME: a service, or CI
		}
		cache = filepath.Join(user, "avstem-lab")
	}
	modules, err := modulesDir()
	if err != nil {
		return "", fmt.Errorf("make lab root: %w", err)
	}
	recipe := sha256.Sum256([]byte(strings.Join(packages, ",") + "\n" + setup + "\n" + filepath.Base(modules)))
	dir := filepath.Join(cache, hex.EncodeToString(recipe[:6]))
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("make lab root: %w", err)
	}
	unlock, err := lock(ctx, cache)
	if err != nil {
		return "", fmt.Errorf("make lab root: wait for another one that makes it: %w", err)
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	// What was not finished when its maker was killed.
	if err := os.RemoveAll(dir + ".new"); err != nil {
		return "", fmt.Errorf("make lab root: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, rootTimeout)
	defer cancel()
	if err := makeRoot(ctx, dir+".new", modules); err != nil {
		return "", errors.Join(fmt.Errorf("make lab root: %w", err), os.RemoveAll(dir+".new"))
	}
	return dir, os.Rename(dir+".new", dir)
}

// makeRoot installs Debian into dir and sets it up. It works in mounts of its
// own, which debootstrap makes below dir and which end with it.
func makeRoot(ctx context.Context, dir, modules string) error {
	script := "set -e\n" +
		"debootstrap --variant=minbase --include=" + strings.Join(packages, ",") + " bookworm \"$1\"\n" +
		"mkdir -p \"$1/usr/lib/modules\"; cp -a \"$2\" \"$1/usr/lib/modules/\"\n" +
		"chroot \"$1\" /sbin/depmod \"$(basename \"$2\")\"\n" +
		"chroot \"$1\" /bin/sh -c \"$3\"\n"
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--propagation", "private", "--kill-child", "--fork",
		"sh", "-c", script, "sh", dir, modules, setup)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "PATH="+os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin")
	cmd.WaitDelay = 5 * time.Second
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		text := said.String()
		return fmt.Errorf("install Debian (package debootstrap): %w\n%s", err, text[max(0, len(text)-2000):])
	}
	return nil
}

// modulesDir is where the modules of user-mode Linux are.
func modulesDir() (string, error) {
	found, _ := filepath.Glob("/usr/lib/uml/modules/*")
	if len(found) == 0 {
		return "", errors.New("package user-mode-linux is missing: run: apt-get install -y user-mode-linux")
	}
	return found[len(found)-1], nil
}

// lock takes the cache for one process; the kernel lets go of it when that dies.
func lock(ctx context.Context, cache string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(cache, "lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
		case err == nil:
			return func() { f.Close() }, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			f.Close()
			return nil, err
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
}
