package lab

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/dataverket/avstem/test/rig"
)

// Options say what kind of lab to start.
type Options struct {
	Hosts  int // at least one
	Memory int // MiB for each host; 0 means 512
	// Container lets hosts share this machine's kernel: they boot in a second and
	// have systemd, a journal and sandboxes as any host, but no NICs beside mgmt0,
	// no disks, no modules and no hardware of their own.
	Container bool
	// Persist lets the lab outlive the process that started it, until Stop or
	// Clean.
	Persist bool
}

// Lab is a running lab.
type Lab struct {
	rig       *rig.Rig
	memory    int // MiB of each host
	container bool
	hosts     []*Host
}

const (
	// address is the rig's own on the network over which it talks to hosts, and
	// hosts are at the same with .11, .12 … at its end.
	address = "10.77.0.1"
	// trunk is what every port of the switch carries to hosts, tagged.
	trunk = "110,120,130,140"

	recordFile = "lab.json"
	keyFile    = "lab.key"
)

// Start starts a lab in dir, which must be absent or empty, and returns when
// every host is up. What a failed start made is gone again. ctx bounds the start
// alone, not the lab's life.
func Start(ctx context.Context, dir string, o Options) (*Lab, error) {
	if err := checkPackages(o); err != nil {
		return nil, fmt.Errorf("start lab: %w", err)
	}
	root, err := Root(ctx)
	if err != nil {
		return nil, fmt.Errorf("start lab: %w", err)
	}
	r, err := rig.Start(ctx, dir, rig.Options{Hostname: "lab", Persist: o.Persist, CGroups: o.Container})
	if err != nil {
		return nil, fmt.Errorf("start lab: %w", err)
	}
	l := &Lab{rig: r, memory: cmp.Or(o.Memory, 512), container: o.Container}
	if err := l.start(ctx, root, o); err != nil {
		return nil, errors.Join(fmt.Errorf("start lab in %s: %w", dir, err), r.Stop())
	}
	return l, nil
}

func (l *Lab) start(ctx context.Context, root string, o Options) error {
	if err := l.network(); err != nil {
		return err
	}
	if _, err := l.rig.Run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", l.path(keyFile)); err != nil {
		return err
	}
	for n := range max(1, o.Hosts) {
		l.hosts = append(l.hosts, newHost(l, n))
	}
	failed := make([]error, len(l.hosts))
	var booting sync.WaitGroup
	for i, h := range l.hosts {
		booting.Go(func() { failed[i] = h.start(ctx, root) })
	}
	booting.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	data, err := json.Marshal(record{Hosts: len(l.hosts), Memory: l.memory, Container: l.container})
	if err != nil {
		return err
	}
	return os.WriteFile(l.path(recordFile), data, 0o644)
}

// record is what a lab's directory says about it, once it runs.
type record struct {
	Hosts  int `json:"hosts"`
	Memory int `json:"memory"`

	Container bool `json:"container"`
}

// Open attaches to the running lab in dir. The error wraps [rig.ErrNotRunning]
// where there is none.
func Open(dir string) (*Lab, error) {
	r, err := rig.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open lab: %w", err)
	}
	l := &Lab{rig: r}
	data, err := os.ReadFile(l.path(recordFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open lab in %s: its hosts are not up: %w", dir, rig.ErrNotRunning)
	}
	var rec record
	if err == nil {
		err = json.Unmarshal(data, &rec)
	}
	if err != nil {
		return nil, fmt.Errorf("open lab in %s: %w", dir, err)
	}
	l.memory, l.container = rec.Memory, rec.Container
	for n := range rec.Hosts {
		l.hosts = append(l.hosts, newHost(l, n))
	}
	return l, nil
}

// Clean removes everything that a lab in dir is or left behind, and does nothing
// where there is nothing.
func Clean(dir string) error { return rig.Clean(dir) }

// Stop ends every process of the lab and removes its directory. It may be called
// again.
func (l *Lab) Stop() error { return l.rig.Stop() }

// Hosts are the lab's, in the order of their names.
func (l *Lab) Hosts() []*Host { return l.hosts }

// Host gives one of the hosts, the first being 0.
func (l *Lab) Host(n int) *Host { return l.hosts[n] }

// Key is the file of the key that lets root in on every host by ssh.
func (l *Lab) Key() string { return l.path(keyFile) }

// Rig is what the lab runs in: its network namespace is where a server listens
// that hosts are to reach.
func (l *Lab) Rig() *rig.Rig { return l.rig }

// Address is the IP address by which hosts reach what listens in the rig.
func (l *Lab) Address() string { return address }

func (l *Lab) path(name string) string { return filepath.Join(l.rig.Dir(), name) }

// network makes the bridge over which the rig talks to hosts, and the switch.
func (l *Lab) network() error {
	commands := []string{
		"ip link add mgmt type bridge",
		"ip address add " + address + "/24 dev mgmt",
		"ip link set mgmt up",
		"ovs-vsctl add-br switch -- set bridge switch datapath_type=netdev",
	}
	if l.container {
		// In the rig's own /sys, which has none.
		commands = append(commands, "mount -t cgroup2 none /sys/fs/cgroup")
	}
	for _, command := range commands {
		words := strings.Fields(command)
		if _, err := l.rig.Run(words[0], words[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// needed says which Debian package brings each program, beside those of a rig.
var needed = []struct{ program, pkg string }{
	{"linux.uml", "user-mode-linux"},
	{"debootstrap", "debootstrap"},
	{"ssh", "openssh-client"},
	{"depmod", "kmod"},
}

// neededInstead is what hosts that are containers want in place of their kernel.
var neededInstead = []struct{ program, pkg string }{{"systemd-nspawn", "systemd-container"}}

func checkPackages(o Options) error {
	var missing []string
	want := needed
	if o.Container {
		want = append(slices.Clone(needed), neededInstead...)
	}
	for _, n := range want {
		if _, err := exec.LookPath(n.program); err == nil {
			continue
		}
		if _, err := os.Stat("/usr/sbin/" + n.program); err != nil {
			missing = append(missing, n.pkg)
		}
	}
	if len(missing) > 0 {
		return errors.New("packages are missing: run: apt-get install -y --no-install-recommends " + strings.Join(missing, " "))
	}
	return nil
}
