// Package qemu drives throwaway VMs of plain QEMU, for package probe: processes
// of its own, which nothing manages.
//
// A VM exists while its process does, so what would be kept for one that is
// stopped (a name, metadata, a clone) isn't there to be had. Each process has two
// monitors: one for the driver, and one ([Driver.Monitors]) for avstem's
// collector, since a monitor serves one client. A guest has no system; what is
// attached to it goes where QEMU needs nobody's consent to take it away again.
package qemu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/evaluate/probe"
)

// Driver is a [probe.Driver] for QEMU's own program.
type Driver struct {
	Program string // "" means qemu-system-x86_64
	// Dir holds disks and sockets; "" means /run/avstem-probe-qemu. Nothing else
	// may be in it.
	Dir string

	monitor *monitor
}

func (d *Driver) dir() string {
	if d.Dir != "" {
		return d.Dir
	}
	return "/run/" + probe.Prefix + "qemu"
}

func (d *Driver) path(name string) string { return filepath.Join(d.dir(), name) }

// Monitors is the pattern of the sockets that avstem's collector may ask.
func (d *Driver) Monitors() string { return d.path("collector-*.qmp") }

func (d *Driver) program() string {
	if d.Program != "" {
		return d.Program
	}
	return "qemu-system-x86_64"
}

// About implements [probe.Driver].
func (d *Driver) About(ctx context.Context) (probe.About, error) {
	out, err := exec.CommandContext(ctx, d.program(), "--version").Output()
	if err != nil {
		return probe.About{}, fmt.Errorf("ask QEMU what it is: %w", err)
	}
	// "QEMU emulator version 7.2.22 (Debian …)"
	version := ""
	if words := strings.Fields(string(out)); len(words) > 3 {
		version = words[3]
	}
	return probe.About{Platform: "qemu", Runtime: "qemu", Version: version, Transient: true}, nil
}

// Close implements [probe.Driver].
func (d *Driver) Close() error {
	if d.monitor != nil {
		d.monitor.close()
		d.monitor = nil
	}
	return nil
}

// launch starts a process that waits to be told to begin, and returns once its
// monitors listen.
func (d *Driver) launch(ctx context.Context, vm *probe.VM) error {
	if vm.UUID == uuid.Nil {
		vm.UUID = uuid.New()
	}
	if err := errors.Join(os.MkdirAll(d.dir(), 0o700), d.disk(vm.Serial)); err != nil {
		return err
	}
	own := d.path("driver-" + vm.Name + ".qmp")
	cmd := exec.CommandContext(ctx, d.program(),
		"-name", vm.Name, "-uuid", vm.UUID.String(), "-machine", "q35,accel=kvm:tcg", "-m", "32", "-smp", "1", "-S",
		"-nodefaults", "-display", "none", "-daemonize", "-pidfile", d.path(vm.Name+".pid"),
		"-qmp", "unix:"+own+",server=on,wait=off", "-qmp", "unix:"+d.path("collector-"+vm.Name+".qmp")+",server=on,wait=off",
		"-device", "virtio-scsi-pci,id=scsi", "-device", "qemu-xhci,id=usb",
		"-blockdev", "driver=raw,node-name=root,file.driver=file,file.filename="+d.path(vm.Serial),
		"-device", "scsi-hd,bus=scsi.0,drive=root,id=root-disk,serial="+vm.Serial,
		"-netdev", "tap,id=net0,ifname=avprobe0,script=no,downscript=no", "-device", "virtio-net-pci,netdev=net0,id=nic0,mac="+vm.MAC.String())
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("start %s: %w: %s", d.program(), err, strings.TrimSpace(said.String()))
	}
	m, err := connect(ctx, own)
	if err != nil {
		return err
	}
	d.monitor = m
	return nil
}

// disk makes an empty disk, where it isn't there from before.
func (d *Driver) disk(name string) error {
	f, err := os.OpenFile(d.path(name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(16<<20), f.Close())
}
