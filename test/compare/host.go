package compare

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dataverket/avstem/test/rig"
)

const hostname = "compare-01"

// Host is a running host with the guests of all runtimes.
type Host struct{ rig *rig.Rig }

// Start starts the host in dir, which must be absent or empty, with its guests.
// It ends with the process that started it.
func Start(ctx context.Context, dir string) (*Host, error) {
	r, err := rig.Start(ctx, dir, rig.Options{Hostname: hostname, LXD: true})
	if err != nil {
		return nil, err
	}
	h := &Host{r}
	if err := h.build(); err != nil {
		return nil, fmt.Errorf("build the guests: %w", joinStop(err, r))
	}
	return h, nil
}

func joinStop(err error, r *rig.Rig) error {
	if stop := r.Stop(); stop != nil {
		return fmt.Errorf("%w; %w", err, stop)
	}
	return err
}

// Stop ends everything and removes the host's directory.
func (h *Host) Stop() error { return h.rig.Stop() }

func (h *Host) build() error {
	if _, err := h.rig.VSCtl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev"); err != nil {
		return err
	}
	// The way off the host: a link that carries all VLANs.
	if _, err := h.rig.Run("sh", "-c", "ip link add uplink0 type veth peer name switch0 && ip link set uplink0 up && ip link set switch0 up && ovs-vsctl add-port br0 uplink0"); err != nil {
		return err
	}
	if _, err := h.rig.CreateBootImage(baseImage, 1<<30); err != nil {
		return err
	}
	for n, g := range guests {
		for _, make := range []func(int, *guest) error{h.onLibvirt, h.onQEMU, h.onLXD} {
			if err := make(n, &g); err != nil {
				return fmt.Errorf("%s: %w", g.role, err)
			}
		}
	}
	return nil
}

func (h *Host) images(runtime string, g *guest) error {
	for d := range g.disks {
		base := ""
		if d == 0 {
			base = baseImage
		}
		if _, err := h.rig.CreateImage(g.image(runtime, d), 1<<30, base); err != nil {
			return err
		}
	}
	return nil
}

func (h *Host) onLibvirt(n int, g *guest) error {
	if err := h.images(libvirt, g); err != nil {
		return err
	}
	if err := h.rig.Define(g.domain(n)); err != nil || g.stopped {
		return err
	}
	return h.rig.StartVM(g.name(libvirt))
}

// onQEMU starts a process for a guest that runs; there is none for one that
// doesn't.
func (h *Host) onQEMU(n int, g *guest) error {
	if g.stopped {
		return nil
	}
	if err := h.images(qemu, g); err != nil {
		return err
	}
	line := g.process(n)
	if _, err := h.rig.Run(line[0], line[1:]...); err != nil {
		return err
	}
	for i, vlan := range g.vlans {
		if _, err := h.rig.VSCtl("add-port", "br0", g.link(n, i), fmt.Sprintf("tag=%d", vlan)); err != nil {
			return err
		}
		if _, err := h.rig.Run("ip", "link", "set", g.link(n, i), "up"); err != nil {
			return err
		}
	}
	return nil
}

func (h *Host) onLXD(n int, g *guest) error {
	name := g.name(lxd)
	commands := [][]string{{"init", "tiny", name}}
	for key, value := range g.placement(lxd, n) {
		commands = append(commands, []string{"config", "set", name, "user.dataverket." + key, value})
	}
	for i, vlan := range g.vlans {
		commands = append(commands, []string{"config", "device", "add", name, fmt.Sprintf("eth%d", i), "nic", "nictype=bridged", "parent=br0",
			fmt.Sprintf("vlan=%d", vlan), "hwaddr=" + g.mac(lxd, n, i)})
	}
	for d := 1; d < g.disks; d++ {
		commands = append(commands, []string{"storage", "volume", "create", "default", g.serial(lxd, d)},
			[]string{"storage", "volume", "attach", "default", g.serial(lxd, d), name, "/data"})
	}
	if !g.stopped {
		commands = append(commands, []string{"start", name})
	}
	for _, c := range commands {
		if _, err := h.rig.LXC(c...); err != nil {
			return err
		}
	}
	return nil
}

// install copies a program to where the host's own processes reach it.
func (h *Host) install(program string) (string, error) {
	data, err := os.ReadFile(program)
	if err != nil {
		return "", fmt.Errorf("%w (make build makes it)", err)
	}
	path := filepath.Join(h.rig.Dir(), "bin", filepath.Base(program))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, data, 0o755)
}

// said is the end of a log.
func said(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(data[max(0, len(data)-2000):]))
}
