package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/collectors/incus"
	"github.com/dataverket/avstem/collectors/libvirt"
	"github.com/dataverket/avstem/collectors/qemu"
	"github.com/dataverket/avstem/evaluate/probe"
	onincus "github.com/dataverket/avstem/evaluate/probe/incus"
	onlibvirt "github.com/dataverket/avstem/evaluate/probe/libvirt"
	onqemu "github.com/dataverket/avstem/evaluate/probe/qemu"
)

// runtimes are those that can be probed.
var runtimes = []string{"libvirt", "qemu", "lxd", "incus"}

// target is a runtime with what drives it and what observes it.
type target struct {
	driver    probe.Driver
	collector collectors.Collector
}

func (t *target) close() {
	if c, ok := t.collector.(io.Closer); ok {
		c.Close() // only reads; there is nothing to lose
	}
}

// units are the daemons' as Debian names them.
var units = map[string]string{"libvirt": "libvirtd.service", "lxd": "lxd.service", "incus": "incus.service"}

func (a *app) target() (*target, error) {
	switch a.runtime {
	case "libvirt":
		return &target{&onlibvirt.Driver{Sockets: a.sockets, Restart: a.restarter()}, &libvirt.Collector{Sockets: a.sockets}}, nil
	case "qemu":
		d := &onqemu.Driver{}
		return &target{d, &qemu.Collector{Monitors: []string{d.Monitors()}}}, nil
	}
	flavor := incus.LXD
	if a.runtime == "incus" {
		flavor = incus.Incus
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return nil, fmt.Errorf("probe: read this program, which containers run as their init: %w", err)
	}
	return &target{&onincus.Driver{Runtime: a.runtime, Sockets: a.sockets, Init: self, Restart: a.restarter()}, &incus.Collector{Flavor: flavor, Sockets: a.sockets}}, nil
}

// restarter runs the command that restarts the daemon, nil where there is none.
func (a *app) restarter() func(context.Context) (string, error) {
	command := a.restart
	if command == "" {
		if _, err := os.Stat("/run/systemd/system"); err != nil { // sd_booted(3)
			return nil
		}
		command = "systemctl restart " + units[a.runtime]
	}
	if command == "none" || !slices.Contains(runtimes, a.runtime) {
		return nil
	}
	return func(ctx context.Context) (string, error) {
		out, err := exec.CommandContext(ctx, "/bin/sh", "-c", command).CombinedOutput()
		if err != nil {
			return command, fmt.Errorf("%s: %w: %s", command, err, strings.TrimSpace(string(out)))
		}
		return command, nil
	}
}
