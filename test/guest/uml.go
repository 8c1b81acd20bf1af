package guest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/test/uml"
)

// UML is a kernel that runs as a process, user-mode Linux, on the machine's own
// file system, read-only. It has what this machine's kernel may lack: VLAN links,
// bonds, bridges that filter VLANs, Open vSwitch's datapath, device mapper, md,
// SCSI disks with serial numbers. It boots in 3 s.
type UML struct {
	Modules []string // kernel modules, each with its parameters: "scsi_debug dev_size_mb=64"
	Memory  int      // MiB; 0 means 192
	NICs    []string // MAC addresses of vec0, vec1 …, which lead nowhere
	// Limit is how long it may run from its start to its end; 0 means two
	// minutes. What still runs half a minute before is stopped inside, which shows
	// where it hung; at the limit the kernel is killed.
	Limit time.Duration
}

const (
	umlModules = "/usr/lib/uml/modules"
	// umlVariable tells this test's binary that it is a guest's first process, and
	// in which directory of the machine its plan is.
	umlVariable = "AVSTEM_GUEST_UML"
	// umlInside tells it that it is the test in the guest.
	umlInside = "AVSTEM_GUEST_INSIDE"
	// umlRun is where the guest sees that directory.
	umlRun = "/run/guest"
	// endWithin is what a test that hangs leaves to say where.
	endWithin = 30 * time.Second
)

// umlPlan is what the guest is to do.
type umlPlan struct {
	Modules     []string
	Args        []string // of the test's binary
	Environment []string
	Dir         string // of the package
	Timeout     time.Duration
}

// umlEnd is what the guest's first process says at its end.
type umlEnd struct {
	Exit  int    // of the test's process
	Error string // why there was none
}

// umlRan is what the test inside says once its function was run.
type umlRan struct{ Skipped bool }

// Run runs a function of a test inside the guest, as root of a fresh machine that
// is in the package's directory, with the flags and variables of this test, and
// makes its result and log this test's. What it writes to the directory out is in
// the directory that Run returns. What stands behind Run in the test happens out
// here alone; what stands before it happens on both sides.
//
// The guest runs the test's own binary, built anew without cgo and without the
// race detector, whose memory map needs the machine's own kernel. It is in namespaces
// of its own, of processes, mounts and networks: nothing survives it.
func (g UML) Run(t *testing.T, inside func(t *testing.T, out string)) (out string) {
	t.Helper()
	if os.Getenv(umlInside) != "" {
		runInside(t, inside)
	}
	if dir := os.Getenv(umlVariable); dir != "" {
		umlFirst(dir)
	}
	limit := cmp.Or(g.Limit, 2*time.Minute)
	if limit <= endWithin {
		t.Fatalf("a guest's limit of %s is not more than the %s that it has for its end", limit, endWithin)
	}
	dir := t.TempDir()
	out = filepath.Join(dir, "out")
	if err := g.prepare(t, dir, limit-endWithin); err != nil {
		t.Fatalf("prepare guest: %v", err)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), limit, fmt.Errorf("it still ran after %s", limit))
	defer cancel()
	began := time.Now()
	console, err := g.boot(ctx, t.Name(), dir)
	said, _ := os.ReadFile(filepath.Join(dir, "output"))
	log := fmt.Sprintf("in the guest, %s: %s", time.Since(began).Round(100*time.Millisecond), withoutFrame(said, t.Name()))
	if err != nil {
		t.Fatalf("run guest (package user-mode-linux): %v\n%s\nconsole:\n%s", err, log, tail(console))
	}
	var end umlEnd
	if err := readJSON(filepath.Join(dir, "end"), &end); err != nil {
		t.Fatalf("the guest ended early: %v\n%s\nconsole:\n%s", err, log, tail(console))
	}
	if end.Error != "" {
		t.Fatalf("guest: %s\n%s\nconsole:\n%s", end.Error, log, tail(console))
	}
	if end.Exit != 0 {
		t.Fatal(log)
	}
	var ran umlRan
	if err := readJSON(filepath.Join(dir, "ran"), &ran); err != nil {
		t.Fatalf("the guest never came to this test: %v\n%s", err, log)
	}
	if ran.Skipped {
		t.Skip(log)
	}
	t.Log(log)
	return out
}

// withoutFrame takes away what the test's binary says of the test as a whole, whose
// end is out here.
func withoutFrame(output []byte, test string) string {
	var kept []string
	for line := range strings.Lines(string(output)) {
		if line != "=== RUN   "+test+"\n" && line != "PASS\n" && !strings.HasPrefix(line, "--- SKIP: "+test+" ") {
			kept = append(kept, line)
		}
	}
	if len(kept) == 0 {
		return "said nothing"
	}
	return "\n" + strings.TrimRight(strings.Join(kept, ""), "\n")
}

func readJSON(file string, v any) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// prepare writes what the guest finds in dir.
func (g UML) prepare(t *testing.T, dir string, timeout time.Duration) error {
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-ldflags", "-s -w", "-o", filepath.Join(dir, "init"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go test -c: %w\n%s", err, said)
	}
	for _, d := range []string{"out", "uml", "memory", "lib"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	// modprobe looks for modules in DIR/lib/modules.
	if err := os.Symlink(umlModules, filepath.Join(dir, "lib/modules")); err != nil {
		return err
	}
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	plan, err := json.Marshal(umlPlan{g.Modules, umlArguments(t.Name(), timeout), os.Environ(), here, timeout})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "plan"), plan, 0o600)
}

// umlArguments are this process's flags, for the one test in the guest.
func umlArguments(test string, timeout time.Duration) []string {
	args := []string{onlyTest(test), "-test.v", "-test.timeout=" + timeout.String()}
	flag.Visit(func(f *flag.Flag) {
		if !strings.HasPrefix(f.Name, "test.") {
			args = append(args, "-"+f.Name+"="+f.Value.String())
		}
	})
	return args
}

// onlyTest is the flag that chooses one test or subtest.
func onlyTest(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	return "-test.run=" + strings.Join(parts, "/")
}

// bootScript is the first process of the guest's namespaces.
const bootScript = `set -e
mount -t proc proc /proc
mount -t tmpfs -o size="$MEMORY" guest "$TMPDIR"
for tap in $TAPS; do
	ip tuntap add "$tap" mode tap
	ip link set "$tap" up
done
linux.uml "$@" </dev/null
exit`

// boot runs the guest to its end and gives what it wrote to its console.
//
// The first process of its namespace is a shell: when that ends, or is killed as
// this process ends, the kernel ends them all. Its memory
// is a file, on a file system made for it and gone with it, since a container's
// /dev/shm is small.
func (g UML) boot(ctx context.Context, test, dir string) (console []byte, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good, see uml.Adapt; and Pdeathsig is about the thread
		console, err = g.bootHere(ctx, test, dir)
	}()
	<-done
	return console, err
}

func (g UML) bootHere(ctx context.Context, test, dir string) ([]byte, error) {
	adapted, err := uml.Adapt()
	if err != nil {
		return nil, err
	}
	memory := cmp.Or(g.Memory, 192)
	args := []string{
		fmt.Sprintf("mem=%dM", memory), "rootfstype=hostfs", "ro", "quiet", "init=" + filepath.Join(dir, "init"),
		"uml_dir=" + filepath.Join(dir, "uml"), "con=null", "con0=null,fd:1", umlVariable + "=" + dir,
	}
	var taps []string
	for i, mac := range g.NICs {
		taps = append(taps, fmt.Sprintf("nic%d", i))
		args = append(args, fmt.Sprintf("vec%d:transport=tap,ifname=nic%d,depth=16,mac=%s", i, i, mac))
	}
	args = append(append(args, adapted...), "--", onlyTest(test))
	guest := exec.CommandContext(ctx, "sh", append([]string{"-c", bootScript, "sh"}, args...)...)
	guest.Env = append(os.Environ(), "TMPDIR="+filepath.Join(dir, "memory"), "HOME="+dir,
		fmt.Sprintf("MEMORY=%dm", memory+64), "TAPS="+strings.Join(taps, " "),
		"PATH="+os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin")
	guest.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET, Setsid: true, Pdeathsig: unix.SIGKILL}
	guest.WaitDelay = 5 * time.Second
	console, err := guest.CombinedOutput()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	} else if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = nil // what counts is the result that it wrote
	}
	return console, err
}

// tail is the end of a console, where a guest says what went wrong.
func tail(console []byte) []byte { return console[max(0, len(console)-4000):] }
