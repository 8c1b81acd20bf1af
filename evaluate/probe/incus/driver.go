// Package incus drives throwaway containers on Incus or LXD, for package probe.
//
// It drives containers and no VMs: an image that holds one program as its init is
// made on the spot, where a VM would want a guest system to take part in what is
// asked of it. A result says so (evaluate.ProbeRun.Type). Everything goes over
// the daemon's socket: an image, a storage pool, a network and the containers,
// all bearing the probe's prefix.
package incus

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/dataverket/avstem/evaluate/probe"
)

// Driver is a [probe.Driver] for one daemon.
type Driver struct {
	Runtime string // incus or lxd
	// Sockets are tried in order; nil means the runtime's usual ones.
	Sockets []string
	// Init is the program that the containers run as their init: one that waits,
	// needs no library, and ends upon SIGPWR or SIGTERM.
	Init []byte
	// Restart restarts the daemon, and says what was done; nil means that this
	// isn't tried.
	Restart func(context.Context) (did string, err error)

	client *client
}

const (
	pool = probe.Prefix + "pool"
	// A link's name has 15 bytes at most. A container may be on a network but once.
	network      = probe.Prefix + "n"
	extraNetwork = probe.Prefix + "m"
	alias        = probe.Prefix + "image"
)

var usual = map[string][]string{
	"incus": {"/run/incus/unix.socket", "/var/lib/incus/unix.socket"},
	"lxd":   {"/var/lib/lxd/unix.socket", "/var/snap/lxd/common/lxd/unix.socket"},
}

func (d *Driver) daemon() *client {
	if d.client == nil {
		sockets := d.Sockets
		if sockets == nil {
			sockets = usual[d.Runtime]
		}
		d.client = dial(sockets)
	}
	return d.client
}

// Close implements [probe.Driver].
func (d *Driver) Close() error {
	if d.client != nil {
		d.client.close()
	}
	return nil
}

// About implements [probe.Driver].
func (d *Driver) About(ctx context.Context) (probe.About, error) {
	var server struct {
		Auth        string `json:"auth"`
		Environment struct {
			Server  string `json:"server"`
			Version string `json:"server_version"`
		} `json:"environment"`
	}
	if err := d.daemon().get(ctx, "/1.0", &server); err != nil {
		return probe.About{}, fmt.Errorf("ask %s what it is: %w", d.Runtime, err)
	}
	if server.Auth != "trusted" {
		return probe.About{}, fmt.Errorf("ask %s what it is: it doesn't trust us: run the probe as root", d.Runtime)
	}
	if server.Environment.Server != d.Runtime {
		return probe.About{}, fmt.Errorf("ask %s what it is: it calls itself %q", d.Runtime, server.Environment.Server)
	}
	return probe.About{Platform: d.Runtime, Runtime: d.Runtime, Version: server.Environment.Version, Type: "container"}, nil
}

// Do implements [probe.Driver].
func (d *Driver) Do(ctx context.Context, step string, vm *probe.VM) (did string, err error) {
	switch step {
	case "create":
		return d.command("image import, storage create, network create, init"), d.create(ctx, vm)
	case "start", "stop":
		return d.command(step + map[string]string{"stop": " --force"}[step]), d.state(ctx, vm.Name, step)
	case "reboot":
		return d.command("restart --force"), d.state(ctx, vm.Name, "restart")
	case "restart-daemon":
		if d.Restart == nil {
			return "", fmt.Errorf("%w: nothing says how the daemon is restarted here", probe.ErrNotTried)
		}
		defer d.daemon().close()
		return d.Restart(ctx)
	case "attach-disk":
		return d.command("storage volume create, storage volume attach"), d.attachDisk(ctx, vm)
	case "attach-nic":
		return d.command("config device add"), d.change(ctx, vm.Name, func(i *instance) {
			i.Devices["eth1"] = nic(extraNetwork, vm.ExtraMAC.String())
		})
	case "detach-disk":
		return d.command("storage volume detach"), d.change(ctx, vm.Name, func(i *instance) { delete(i.Devices, vm.ExtraSerial) })
	case "detach-nic":
		return d.command("config device remove"), d.change(ctx, vm.Name, func(i *instance) { delete(i.Devices, "eth1") })
	case "set-metadata":
		return d.command("config set user.dataverket.tenant …"), d.change(ctx, vm.Name, func(i *instance) {
			for key, value := range map[string]string{"tenant": probe.Tenant, "project": "probe", "environment": "probe"} {
				i.Config["user.dataverket."+key] = value
			}
		})
	case "rename":
		return d.command("rename"), d.rename(ctx, vm)
	case "snapshot":
		return d.command("snapshot"), d.post(ctx, instances(vm.Name)+"/snapshots", map[string]any{"name": "probe"})
	case "clone":
		return d.command("copy"), d.post(ctx, instances(), map[string]any{"name": vm.Clone, "source": map[string]any{"type": "copy", "source": vm.Name}})
	case "delete":
		return d.command("delete"), d.remove(ctx, instances(vm.Name))
	}
	return "", fmt.Errorf("%s: %w", step, probe.ErrUnsupported)
}

// command is what a person would have typed.
func (d *Driver) command(words string) string {
	return map[string]string{"incus": "incus ", "lxd": "lxc "}[d.Runtime] + words
}

func instances(name ...string) string {
	path := "/1.0/instances"
	for _, n := range name {
		path += "/" + url.PathEscape(n)
	}
	return path
}

func (d *Driver) post(ctx context.Context, path string, body any) error {
	_, err := d.daemon().do(ctx, http.MethodPost, path, body)
	return err
}

func (d *Driver) remove(ctx context.Context, path string) error {
	_, err := d.daemon().do(ctx, http.MethodDelete, path, nil)
	return err
}

func (d *Driver) create(ctx context.Context, vm *probe.VM) error {
	image, err := archive(d.Init)
	if err != nil {
		return fmt.Errorf("make an image: %w", err)
	}
	op, err := d.daemon().doRaw(ctx, http.MethodPost, "/1.0/images", image, "application/octet-stream")
	if err != nil {
		return err
	}
	fingerprint, _ := op.Metadata["fingerprint"].(string)
	if fingerprint == "" {
		return errors.New("import an image: the daemon doesn't say which one it became")
	}
	for _, made := range []struct {
		path string
		body map[string]any
	}{
		{"/1.0/images/aliases", map[string]any{"name": alias, "target": fingerprint}},
		{"/1.0/storage-pools", map[string]any{"name": pool, "driver": "dir"}},
		{"/1.0/networks", bridge(network)},
		{"/1.0/networks", bridge(extraNetwork)},
		{instances(), map[string]any{
			"name": vm.Name, "type": "container", "profiles": []string{}, "source": map[string]any{"type": "image", "fingerprint": fingerprint},
			"devices": map[string]map[string]string{
				"root": {"type": "disk", "pool": pool, "path": "/"},
				"eth0": nic(network, vm.MAC.String()),
			},
		}},
	} {
		if err := d.post(ctx, made.path, made.body); err != nil {
			return err
		}
	}
	return nil
}

// bridge describes a network that leads nowhere.
func bridge(name string) map[string]any {
	return map[string]any{"name": name, "type": "bridge", "config": map[string]string{"ipv4.address": "none", "ipv6.address": "none"}}
}

func nic(parent, mac string) map[string]string {
	return map[string]string{"type": "nic", "nictype": "bridged", "parent": parent, "hwaddr": mac}
}

func (d *Driver) state(ctx context.Context, name, action string) error {
	_, err := d.daemon().do(ctx, http.MethodPut, instances(name)+"/state", map[string]any{"action": action, "timeout": 30, "force": action != "start"})
	return err
}

func (d *Driver) attachDisk(ctx context.Context, vm *probe.VM) error {
	err := d.post(ctx, "/1.0/storage-pools/"+pool+"/volumes/custom", map[string]any{"name": vm.ExtraSerial, "config": map[string]string{}})
	if err != nil {
		return err
	}
	return d.change(ctx, vm.Name, func(i *instance) {
		i.Devices[vm.ExtraSerial] = map[string]string{"type": "disk", "pool": pool, "source": vm.ExtraSerial, "path": "/extra"}
	})
}

// instance is what may be changed of one.
type instance struct {
	Architecture string                       `json:"architecture"`
	Config       map[string]string            `json:"config"`
	Devices      map[string]map[string]string `json:"devices"`
	Ephemeral    bool                         `json:"ephemeral"`
	Profiles     []string                     `json:"profiles"`
	Description  string                       `json:"description"`
}

// change reads an instance and writes it back with a change.
func (d *Driver) change(ctx context.Context, name string, how func(*instance)) error {
	var i instance
	if err := d.daemon().get(ctx, instances(name), &i); err != nil {
		return err
	}
	how(&i)
	_, err := d.daemon().do(ctx, http.MethodPut, instances(name), i)
	return err
}

func (d *Driver) rename(ctx context.Context, vm *probe.VM) error {
	name := vm.Name + "-renamed"
	if err := d.post(ctx, instances(vm.Name), map[string]any{"name": name}); err != nil {
		return err
	}
	vm.Name = name
	return nil
}

func ours(name string) bool { return strings.HasPrefix(name, probe.Prefix) }
