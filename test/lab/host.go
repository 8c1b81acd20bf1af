package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dataverket/avstem/test/rig"
	"github.com/dataverket/avstem/test/uml"
)

const (
	// bootTimeout is how long a host may take to boot, where it takes 15 s on an
	// idle machine.
	bootTimeout = 5 * time.Minute
	// commandTimeout bounds a command whose context has no deadline.
	commandTimeout = 2 * time.Minute
	// addedFile in a host's directory says that it has a third NIC.
	addedFile = "nic2"
)

// Host is one host of a lab.
type Host struct {
	lab *Lab
	n   int
	dir string
}

func newHost(l *Lab, n int) *Host {
	return &Host{lab: l, n: n, dir: l.path("hosts/" + strconv.Itoa(n))}
}

// Name is the hostname that it boots with first: hv1, hv2 …
func (h *Host) Name() string { return "hv" + strconv.Itoa(h.n+1) }

// Address is its IP address on mgmt0.
func (h *Host) Address() string { return "10.77.0." + strconv.Itoa(11+h.n) }

// nicNames are all that a host may have.
func nicNames() []string { return []string{"mgmt0", "nic0", "nic1", "nic2"} }

// nics are those that it has.
func (h *Host) nics() []string {
	if _, err := os.Stat(filepath.Join(h.dir, addedFile)); err != nil {
		return nicNames()[:3]
	}
	return nicNames()
}

// MAC is the address of one of its NICs: "mgmt0", "nic0" or "nic1", or "nic2"
// after [Host.AddNIC].
func (h *Host) MAC(nic string) string {
	return fmt.Sprintf("52:54:00:77:%02x:%02x", slices.Index(nicNames(), nic), h.n+1)
}

// tap is the rig's end of one of its NICs.
func (h *Host) tap(nic string) string { return h.Name() + "-" + nic }

// Console gives the end of what its kernel and systemd have written.
func (h *Host) Console() string {
	data, err := os.ReadFile(filepath.Join(h.dir, "console"))
	if err != nil {
		return ""
	}
	return string(data[max(0, len(data)-4000):])
}

// start makes the host's layer and links, boots it and waits until it is up.
func (h *Host) start(ctx context.Context, root string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, bootTimeout, fmt.Errorf("it is not up after %s", bootTimeout))
	defer cancel()
	err := h.layer(root)
	if err == nil && !h.lab.container {
		err = h.plug()
	}
	if err == nil {
		err = h.boot()
	}
	if err == nil {
		err = h.await(ctx)
	}
	if err != nil {
		return fmt.Errorf("start %s: %w\n%s", h.Name(), err, h.Console())
	}
	return nil
}

// layered is a file of a host's own.
type layered struct{ path, text string }

// layer mounts the common root file system with a layer of the host's own over
// it, in the rig's mounts, and writes what differs from host to host.
func (h *Host) layer(root string) error {
	for _, dir := range []string{"upper", "work", "root", "uml"} {
		if err := os.MkdirAll(filepath.Join(h.dir, dir), 0o755); err != nil {
			return err
		}
	}
	key, err := os.ReadFile(h.lab.path(keyFile + ".pub"))
	if err != nil {
		return err
	}
	files := []layered{
		{"etc/hostname", h.Name() + "\n"},
		{"etc/hosts", "127.0.0.1 localhost\n127.0.1.1 " + h.Name() + "\n" + address + " lab\n"},
		{"root/.ssh/authorized_keys", string(key)},
		{"etc/systemd/network/10-mgmt0.network", "[Match]\nName=mgmt0 " + containerNIC + "\n[Network]\nAddress=" + h.Address() + "/24\nLinkLocalAddressing=no\n"},
	}
	if h.lab.container {
		files = append(files, containerFile)
	}
	for nic, name := range nicNames() {
		files = append(files, layered{
			fmt.Sprintf("etc/systemd/network/0%d-%s.link", nic, name), "[Match]\nMACAddress=" + h.MAC(name) + "\nOriginalName=vec*\n[Link]\nName=" + name + "\n"})
	}
	for _, f := range files {
		path := filepath.Join(h.dir, "upper", f.path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(f.text), 0o644)); err != nil {
			return err
		}
	}
	_, err = h.lab.rig.Run("mount", "-t", "overlay", "overlay", "-o",
		"lowerdir="+root+",upperdir="+h.dir+"/upper,workdir="+h.dir+"/work", h.Disk())
	return err
}

// plug makes the ends of the host's NICs, and connects them to the bridge and the
// switch.
func (h *Host) plug() error {
	for _, nic := range h.nics() {
		if err := h.plugOne(nic); err != nil {
			return err
		}
	}
	return nil
}

func (h *Host) plugOne(nic string) error {
	script := `set -e
ip tuntap add "$1" mode tap
ip link set "$1" up
if [ "$2" = mgmt0 ]; then
	ip link set "$1" master mgmt
else
	ovs-vsctl add-port switch "$1" -- set port "$1" trunks="$3"
fi`
	_, err := h.lab.rig.Run("sh", "-c", script, "sh", h.tap(nic), nic, trunk)
	return err
}

// AddNIC gives the host a third NIC on the switch, nic2, which it has once it was
// rebooted.
func (h *Host) AddNIC() error {
	if err := h.plugOne("nic2"); err != nil {
		return fmt.Errorf("add a NIC to %s: %w", h.Name(), err)
	}
	return os.WriteFile(filepath.Join(h.dir, addedFile), nil, 0o644)
}

// boot starts the kernel. It is a child of the rig's first process, and ends with
// it.
func (h *Host) boot() error {
	console, err := os.Create(filepath.Join(h.dir, "console"))
	if err != nil {
		return err
	}
	defer console.Close()
	if h.lab.container {
		return h.contain(console)
	}
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: see uml.Adapt
		failed <- h.exec(console)
	}()
	return <-failed
}

func (h *Host) exec(console *os.File) error {
	adapted, err := uml.Adapt()
	if err == nil {
		err = h.environment(adapted)
	}
	if err != nil {
		return err
	}
	arguments := []string{
		fmt.Sprintf("mem=%dM", h.lab.memory), "rootfstype=hostfs", "rootflags=" + h.Disk(), "rw", "init=/lib/systemd/systemd",
		"con=null", "con0=null,fd:1", "uml_dir=" + h.dir + "/uml", "umid=" + h.Name(),
	}
	for i, nic := range h.nics() {
		arguments = append(arguments, fmt.Sprintf("vec%d:transport=tap,ifname=%s,depth=128,gro=1,mac=%s", i, h.tap(nic), h.MAC(nic)))
	}
	arguments = append(arguments, adapted...)
	// The shell ends at once and leaves the kernel to the rig's first process.
	cmd := h.lab.rig.Command(context.Background(), "sh", append([]string{"-c", `setsid linux.uml "$@" </dev/null &`, "sh"}, arguments...)...)
	cmd.Stdout, cmd.Stderr = console, console
	return cmd.Run()
}

// environment gives the services and logins of the host variables that its first
// process gets on the kernel's command line.
func (h *Host) environment(variables []string) error {
	manager := "[Manager]\n"
	if len(variables) > 0 {
		manager += "DefaultEnvironment=" + strings.Join(variables, " ") + "\n"
	}
	return errors.Join(
		h.write("etc/systemd/system.conf.d/lab.conf", manager),
		h.write("etc/environment", strings.Join(variables, "\n")+"\n"),
	)
}

func (h *Host) write(path, text string) error {
	path = filepath.Join(h.Disk(), path)
	_, err := h.lab.rig.Run("sh", "-c", `mkdir -p "$(dirname "$1")" && printf %s "$2" >"$1"`, "sh", path, text)
	return err
}

// await waits until the host has booted and its services are settled: systemd is
// no longer starting.
func (h *Host) await(ctx context.Context) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, 30*time.Second)
		state, err := h.Run(attempt, "systemctl is-system-running --wait || true")
		cancel()
		if err == nil && (state == "running" || state == "degraded") {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("systemd says %q", state)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(200 * time.Millisecond):
		}
		if !h.lab.rig.Running() {
			return rig.ErrNotRunning
		}
	}
}

// ssh prepares a command that logs in to the host.
func (h *Host) ssh(ctx context.Context, command string) *exec.Cmd {
	return h.lab.rig.Command(ctx, "ssh", append(h.login(), command)...)
}

// Login prepares an ssh session on the host as root: of a command, or of a shell
// on the caller's terminal.
func (h *Host) Login(ctx context.Context, command ...string) *exec.Cmd {
	if len(command) == 0 {
		return h.lab.rig.Command(ctx, "ssh", append([]string{"-t"}, h.login()...)...)
	}
	return h.ssh(ctx, strings.Join(command, " "))
}

// login are the arguments by which ssh gets into the host from within the rig.
func (h *Host) login() []string {
	return []string{
		"-q", "-i", h.lab.path(keyFile), "-o", "BatchMode=yes", "-o", "ConnectTimeout=5",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ServerAliveInterval=5",
		"root@" + h.Address(),
	}
}

// Run runs a shell command on the host as root and returns what it wrote to
// standard output without the final line break. The error has its exit status
// and what it wrote to standard error.
func (h *Host) Run(ctx context.Context, command string) (string, error) {
	out, err := h.run(ctx, command, nil)
	return strings.TrimRight(string(out), "\n"), err
}

func (h *Host) run(ctx context.Context, command string, stdin []byte) ([]byte, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, commandTimeout, fmt.Errorf("no answer within %s", commandTimeout))
		defer cancel()
	}
	cmd := h.ssh(ctx, command)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return stdout.Bytes(), fmt.Errorf("run on %s %q: %w: %s", h.Name(), command, err, strings.TrimSpace(stderr.String()))
	}
	return stdout.Bytes(), nil
}

// Put writes a file on the host, and the directories above it.
func (h *Host) Put(ctx context.Context, path string, data []byte, mode fs.FileMode) error {
	_, err := h.run(ctx, fmt.Sprintf("install -D -m %04o /dev/stdin '%s'", mode.Perm(), path), data)
	return err
}

// Get reads a file of the host.
func (h *Host) Get(ctx context.Context, path string) ([]byte, error) {
	return h.run(ctx, "cat '"+path+"'", nil)
}

// Reboot shuts the host down as its operator would, starts it again and waits
// until it is up. What it has on disk stays. A host can't reboot by itself:
// user-mode Linux runs itself anew for that, with its NICs still in use.
func (h *Host) Reboot(ctx context.Context) error {
	if err := h.PowerOff(ctx); err != nil {
		return err
	}
	return h.PowerOn(ctx)
}

// PowerOff shuts the host down as its operator would, and waits until it is off.
func (h *Host) PowerOff(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, bootTimeout, fmt.Errorf("it is not off after %s", bootTimeout))
	defer cancel()
	_, err := h.Run(ctx, "systemctl --no-block poweroff")
	if err == nil {
		err = h.awaitEnd(ctx)
	}
	if err != nil {
		return fmt.Errorf("power off %s: %w\n%s", h.Name(), err, h.Console())
	}
	return nil
}

// PowerOn starts a host that is off, and waits until it is up.
func (h *Host) PowerOn(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, bootTimeout, fmt.Errorf("it is not up after %s", bootTimeout))
	defer cancel()
	err := h.boot()
	if err == nil {
		err = h.await(ctx)
	}
	if err != nil {
		return fmt.Errorf("power on %s: %w\n%s", h.Name(), err, h.Console())
	}
	return nil
}

// Disk is where the host's root file system is in the rig's mounts, for who changes
// it while the host is off.
func (h *Host) Disk() string { return filepath.Join(h.dir, "root") }

// awaitEnd waits until the host's kernel is gone: it removes the file with its
// process ID when it ends.
func (h *Host) awaitEnd(ctx context.Context) error {
	for {
		if _, err := os.Stat(filepath.Join(h.dir, "uml", h.Name(), "pid")); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for its kernel to end: %w", context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
}
