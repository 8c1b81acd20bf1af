package compare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dataverket/avstem/evaluate"
)

// Avstem is "avstem up" on the host, with the probe beside it.
type Avstem struct {
	host           *Host
	program, probe string // as they are on the host
	inventory      string
	state, log     string
	up             *exec.Cmd
	ended          chan error
}

// StartAvstem starts the programs of a build (bin/) on the host. It ends with the
// host.
func (h *Host) StartAvstem(ctx context.Context, build string) (*Avstem, error) {
	a := &Avstem{host: h, inventory: h.rig.Dir() + "/inventory", state: h.rig.Dir() + "/state", log: h.rig.Dir() + "/avstem.log", ended: make(chan error, 1)}
	var err error
	if a.program, err = h.install(filepath.Join(build, "avstem")); err == nil {
		a.probe, err = h.install(filepath.Join(build, "avstem-probe"))
	}
	if err == nil {
		err = os.MkdirAll(a.inventory, 0o755)
	}
	if err == nil {
		// The ID is given beforehand, as an operator may who knows the hosts.
		err = errors.Join(os.MkdirAll(a.state, 0o700), os.WriteFile(a.state+"/host-id", []byte(hostID+"\n"), 0o600),
			os.WriteFile(a.inventory+"/inventory.yaml", []byte(Inventory(hostID)), 0o644))
	}
	if err != nil {
		return nil, fmt.Errorf("start avstem: %w", err)
	}
	log, err := os.Create(a.log)
	if err != nil {
		return nil, fmt.Errorf("start avstem: %w", err)
	}
	defer log.Close()
	a.up = h.rig.Command(ctx, a.program, "up", "--inventory", a.inventory, "--state-dir", a.state, "--site", "lab", "--interval", "2s",
		"--qmp-socket", "/run/avstem-qm-*.qmp")
	a.up.Env = slices.DeleteFunc(a.up.Env, func(v string) bool { return strings.HasPrefix(v, "AVSTEM_") })
	a.up.Stdout, a.up.Stderr = log, log
	if err := a.up.Start(); err != nil {
		return nil, fmt.Errorf("start avstem: %w", err)
	}
	go func() { a.ended <- a.up.Wait() }()
	return a, nil
}

// ask runs an avstem command against it, from outside the host.
func (a *Avstem) ask(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, a.program, append(args, "--state-dir", a.state, "--site", "lab")...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AVSTEM_") }), "COLUMNS=110")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("avstem %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.Bytes(), nil
}

// hostID is the host's.
const hostID = "c0ffee00-0000-4000-8000-00000000c0de"

// wanted is how many guests of each platform and type there are to be seen.
func wanted() map[string]int {
	w := map[string]int{"libvirt": len(guests), "lxd container": len(guests)}
	for _, g := range guests {
		if !g.stopped {
			w["qemu"]++
		}
	}
	return w
}

// Settled waits until all guests are seen, and have been reconciled.
func (a *Avstem) Settled(ctx context.Context) ([]evaluate.Numbers, error) {
	var last error
	for {
		numbers, err := a.numbers(ctx)
		if err == nil && complete(numbers) {
			return numbers, nil
		}
		if last = err; err == nil {
			last = fmt.Errorf("of the guests are seen %s", counts(numbers))
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for avstem to see the guests: %w: %w\n%s", context.Cause(ctx), last, said(a.log))
		case err := <-a.ended:
			return nil, errors.Join(fmt.Errorf("avstem has ended: %s", said(a.log)), err)
		case <-time.After(250 * time.Millisecond):
		}
	}
}

func (a *Avstem) numbers(ctx context.Context) ([]evaluate.Numbers, error) {
	out, err := a.ask(ctx, "platforms", "-o", "json")
	if err != nil {
		return nil, err
	}
	var numbers []evaluate.Numbers
	if err := json.Unmarshal(out, &numbers); err != nil {
		return nil, fmt.Errorf("decode avstem platforms: %w", err)
	}
	return numbers, nil
}

func key(n *evaluate.Numbers) string { return strings.TrimSpace(n.Platform + " " + n.Type) }

// complete says whether each platform shows all of its guests, and those that
// Sentral has were recognised.
func complete(numbers []evaluate.Numbers) bool {
	left := wanted()
	for i := range numbers {
		n := &numbers[i]
		reconciled := n.Type != "" || n.Identity.Durable.Of == n.VMs && n.Identity.Missing == 0
		if n.VMs == left[key(n)] && n.Hosts.Have == n.Hosts.Of && reconciled {
			delete(left, key(n))
		}
	}
	return len(left) == 0
}

func counts(numbers []evaluate.Numbers) string {
	var words []string
	for i := range numbers {
		words = append(words, fmt.Sprintf("%d of %s", numbers[i].VMs, key(&numbers[i])))
	}
	return strings.Join(words, ", ")
}

// restarts say how the daemons are restarted on the host, which has no systemd.
var restarts = map[string]string{
	"libvirt": `kill "$(cat /run/libvirtd.pid)"; while kill -0 "$(cat /run/libvirtd.pid)"; do sleep 0.05; done 2>/dev/null; libvirtd -d`,
	"lxd": `pid=$(cat /run/lxd.pid); kill -9 $pid; while kill -0 $pid; do sleep 0.05; done 2>/dev/null
setsid lxd --group root --logfile /var/log/lxd/daemon.log </dev/null >/dev/null 2>&1 & echo $! >/run/lxd.pid; lxd waitready --timeout 60`,
	"qemu": "none",
}

// Probe drives a throwaway guest of a runtime, and gives what that showed as the
// probe wrote it.
func (a *Avstem) Probe(ctx context.Context, runtime string) ([]byte, error) {
	cmd := a.host.rig.Command(ctx, a.probe, "--runtime", runtime, "--yes-change-this-host", "--inventory", a.inventory,
		"--restart-daemon", restarts[runtime], "-o", "json")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("probe %s: %w\n%s", runtime, err, stderr.String())
	}
	return stdout.Bytes(), nil
}
