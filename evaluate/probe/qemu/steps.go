package qemu

import (
	"context"
	"errors"
	"fmt"

	"github.com/dataverket/avstem/evaluate/probe"
)

// Do implements [probe.Driver].
func (d *Driver) Do(ctx context.Context, step string, vm *probe.VM) (did string, err error) {
	switch step {
	case "create":
		return "qemu-system-x86_64 -S …", d.launch(ctx, vm)
	case "start":
		if d.monitor == nil {
			if err := d.launch(ctx, vm); err != nil {
				return "qemu-system-x86_64 …", err
			}
		}
		return "QMP cont", d.ask(ctx, "cont", nil)
	case "stop", "delete":
		return "QMP quit", d.quit(ctx)
	case "reboot":
		return "QMP system_reset", d.ask(ctx, "system_reset", nil)
	case "attach-disk":
		return "QMP blockdev-add, device_add", d.attachDisk(ctx, vm)
	case "detach-disk":
		return "QMP device_del, blockdev-del", d.all(ctx,
			command{"device_del", map[string]any{"id": "extra-disk"}}, command{"", "extra-disk"},
			command{"blockdev-del", map[string]any{"node-name": "extra"}})
	case "attach-nic":
		return "QMP netdev_add, device_add", d.all(ctx,
			command{"netdev_add", map[string]any{"type": "tap", "id": "net1", "ifname": "avprobe1", "script": "no", "downscript": "no"}},
			command{"device_add", map[string]any{"driver": "usb-net", "id": "nic1", "netdev": "net1", "mac": vm.ExtraMAC.String()}})
	case "detach-nic":
		return "QMP device_del, netdev_del", d.all(ctx,
			command{"device_del", map[string]any{"id": "nic1"}}, command{"", "nic1"},
			command{"netdev_del", map[string]any{"id": "net1"}})
	case "snapshot":
		return "QMP blockdev-snapshot-sync", d.ask(ctx, "blockdev-snapshot-sync",
			map[string]any{"node-name": "root", "snapshot-file": d.path(vm.Serial + "-overlay"), "snapshot-node-name": "overlay", "format": "qcow2"})
	}
	why := map[string]string{
		"restart-daemon": "nothing manages QEMU here",
		"set-metadata":   "a process keeps no metadata",
		"rename":         "a process keeps the name that it was started with",
		"clone":          "there is no description of a VM that could be copied",
	}
	return "", fmt.Errorf("%w: %s", probe.ErrUnsupported, why[step])
}

// command is one thing that a monitor is told; one without a name waits until the
// device of that ID is gone.
type command struct {
	name      string
	arguments any
}

func (d *Driver) all(ctx context.Context, commands ...command) error {
	for _, c := range commands {
		var err error
		if c.name == "" {
			err = d.gone(ctx, c.arguments.(string))
		} else {
			err = d.ask(ctx, c.name, c.arguments)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *Driver) attachDisk(ctx context.Context, vm *probe.VM) error {
	if err := d.disk(vm.ExtraSerial); err != nil {
		return err
	}
	return d.all(ctx,
		command{"blockdev-add", map[string]any{"driver": "raw", "node-name": "extra", "file": map[string]any{"driver": "file", "filename": d.path(vm.ExtraSerial)}}},
		command{"device_add", map[string]any{"driver": "scsi-hd", "id": "extra-disk", "bus": "scsi.0", "drive": "extra", "serial": vm.ExtraSerial}})
}

var errNoProcess = errors.New("there is no process")

func (d *Driver) ask(ctx context.Context, name string, arguments any) error {
	if d.monitor == nil {
		return errNoProcess
	}
	return d.monitor.do(ctx, name, arguments)
}

func (d *Driver) gone(ctx context.Context, device string) error {
	if d.monitor == nil {
		return errNoProcess
	}
	return d.monitor.awaitDeleted(ctx, device)
}

// quit ends the process, if there is one.
func (d *Driver) quit(ctx context.Context) error {
	if d.monitor == nil {
		return nil
	}
	err := d.monitor.do(ctx, "quit", nil)
	d.monitor.awaitEnd(ctx)
	return errors.Join(err, d.Close())
}
