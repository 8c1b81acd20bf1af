package frames

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// topology is a host's network as the commands that build it.
type topology struct {
	commands []string
	after    []string // further ones, for when the links have their carriers
	nics     []string // the links of guests' NICs, taps and macvtaps
	wires    []string // taps that stand for physical links
	dead     []string // wires with nobody at the other end
}

func (t *topology) do(format string, args ...any) {
	t.commands = append(t.commands, fmt.Sprintf(format, args...))
}

func (t *topology) ovs() bool {
	for _, c := range t.commands {
		if strings.HasPrefix(c, "ovs-vsctl") {
			return true
		}
	}
	return false
}

// String gives the topology as commands that a person can paste.
func (t *topology) String() string {
	var b strings.Builder
	for _, c := range append(slices.Clone(t.commands), t.after...) {
		fmt.Fprintln(&b, c)
	}
	for _, name := range t.dead {
		fmt.Fprintf(&b, "# %s has no carrier\n", name)
	}
	return b.String()
}

// errRefused is a topology that the kernel doesn't allow: links upon links, too
// deep or in a circle.
var errRefused = errors.New("refused by the kernel")

// build runs the commands, those of one program that follow each other in one
// process.
func (t *topology) build() error {
	for i := 0; i < len(t.commands); {
		program, _, _ := strings.Cut(t.commands[i], " ")
		var batch []string
		for ; i < len(t.commands) && strings.HasPrefix(t.commands[i], program+" "); i++ {
			batch = append(batch, strings.TrimPrefix(t.commands[i], program+" "))
		}
		err := runBatch(program, batch)
		if err != nil && strings.Contains(err.Error(), "Too many links") {
			return errRefused
		}
		if err != nil {
			return fmt.Errorf("%w\nin:\n%s", err, t)
		}
	}
	return nil
}

// finish runs the further commands.
func (t *topology) finish() error {
	for _, c := range t.after {
		program, rest, _ := strings.Cut(c, " ")
		if err := runBatch(program, []string{rest}); err != nil {
			return err
		}
	}
	return nil
}

func runBatch(program string, batch []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var cmd *exec.Cmd
	if program == "ovs-vsctl" {
		cmd = exec.CommandContext(ctx, program, append([]string{"--timeout=30", "--db=unix:" + ovsSocket, "--"}, strings.Fields(strings.Join(batch, " -- "))...)...)
	} else {
		cmd = exec.CommandContext(ctx, program, "-batch", "-")
		cmd.Stdin = strings.NewReader(strings.Join(batch, "\n") + "\n")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, out)
	}
	return nil
}

// attachAll opens the ends of all links but the dead.
func (t *topology) attachAll() (map[string]*end, error) {
	ends := map[string]*end{}
	dead := map[string]bool{}
	for _, name := range t.dead {
		dead[name] = true
	}
	for _, name := range append(append([]string(nil), t.nics...), t.wires...) {
		if dead[name] {
			continue
		}
		e, err := attach(name)
		if err != nil {
			return ends, err
		}
		ends[name] = e
	}
	return ends, nil
}

// tearDown takes away every link that a topology can have made.
func tearDown(ovs bool) error {
	if ovs {
		if err := runBatch("ovs-vsctl", []string{"clear Open_vSwitch . bridges"}); err != nil {
			return err
		}
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		links, err := netlink.LinkList()
		if err != nil {
			return err
		}
		left := ""
		for _, l := range links {
			switch name := l.Attrs().Name; {
			case name == "lo", name == "ovs-system", strings.HasPrefix(name, "ovs-"):
			case l.Type() == "openvswitch": // goes with its bridge
				left = name
			default:
				left = name
				_ = netlink.LinkDel(l) // one may go with another
			}
		}
		if left == "" {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("link %s doesn't go", left)
		}
		time.Sleep(time.Millisecond)
	}
}

// ovsSocket is where ovsdb-server listens.
const ovsSocket = ovsDir + "/db.sock"

const ovsDir = "/run/openvswitch"

// startOVS starts Open vSwitch with the datapath in the kernel.
func startOVS() error {
	if err := os.MkdirAll(ovsDir, 0o755); err != nil {
		return err
	}
	// ovs-vswitchd 3.1 doesn't count processors in the first ten seconds of a
	// machine's life, and starts no thread then that would take what the kernel's
	// datapath asks.
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &up); err != nil {
		return err
	}
	time.Sleep(10*time.Second - time.Duration(up.Nano()))
	for _, args := range [][]string{
		{"ovsdb-tool", "create", ovsDir + "/conf.db", "/usr/share/openvswitch/vswitch.ovsschema"},
		{"ovsdb-server", ovsDir + "/conf.db", "--remote=punix:" + ovsSocket, "--detach", "--pidfile", "--log-file=" + ovsDir + "/db.log", "-vconsole:off", "-vsyslog:off"},
		{"ovs-vsctl", "--db=unix:" + ovsSocket, "--no-wait", "init"},
		{"ovs-vswitchd", "unix:" + ovsSocket, "--detach", "--pidfile", "--log-file=" + ovsDir + "/vswitchd.log", "-vconsole:off", "-vsyslog:off"},
	} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "OVS_RUNDIR="+ovsDir, "OVS_LOGDIR="+ovsDir, "OVS_DBDIR="+ovsDir)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s (package openvswitch-switch): %w: %s", args[0], err, out)
		}
	}
	return nil
}
