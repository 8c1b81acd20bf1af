package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/reconcile"
)

// place is a state directory, an inventory that names this host, and an
// environment that knows of no other avstem.
type place struct {
	t         testing.TB
	state     string
	inventory string
	link      string
	env       map[string]string
}

func newPlace(t testing.TB) *place {
	t.Helper()
	dir := t.TempDir()
	p := &place{t: t, state: filepath.Join(dir, "state"), inventory: filepath.Join(dir, "inventory"), link: filepath.Join(dir, "run", "current")}
	p.env = map[string]string{"AVSTEM_CONFIG": "none", "AVSTEM_RUN_LINK": p.link, "HOME": dir}
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	p.write("inventory.yaml", `
sites:
  - {id: lab}
projects:
  - {tenant: acme, id: web, environments: [prod]}
hosts:
  - {id: lab-01, name: `+hostname+`, site: lab, platform: libvirt}
vms:
  - {id: 0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001, name: web-01, tenant: acme, project: web, environment: prod, site: lab, host: lab-01}
`)
	return p
}

func (p *place) write(name, text string) {
	p.t.Helper()
	path := filepath.Join(p.inventory, name)
	if err := errors.Join(os.MkdirAll(p.inventory, 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		p.t.Fatal(err)
	}
}

// upArgs are those of an up that disturbs nobody else on the machine.
func (p *place) upArgs(more ...string) []string {
	return append([]string{"up", "--inventory", p.inventory, "--state-dir", p.state, "--listen", "none", "--interval", "1s"}, more...)
}

// try runs a command line that ends by itself.
func (p *place) try(args ...string) (code int, stdout, stderr string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	var out, errs output
	code = run(ctx, args, strings.NewReader(""), &out, &errs, p.getenv)
	if ctx.Err() != nil {
		p.t.Errorf("avstem %s doesn't end by itself:\n%s", strings.Join(args, " "), errs.String())
	}
	return code, out.String(), errs.String()
}

func (p *place) getenv(name string) string { return p.env[name] }

// up runs one in this process until the test or stop ends it.
func (p *place) up(more ...string) *running {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{p: p, ended: make(chan int, 1), stop: cancel}
	go func() {
		r.ended <- run(ctx, p.upArgs(more...), strings.NewReader(""), &r.stdout, &r.stderr, p.getenv)
	}()
	p.t.Cleanup(func() {
		cancel()
		r.once.Do(func() { <-r.ended })
	})
	return r
}

type running struct {
	p              *place
	stdout, stderr output
	ended          chan int
	stop           func()
	once           sync.Once
}

// end stops it as a signal does, and gives its exit status.
func (r *running) end() (code int) {
	r.p.t.Helper()
	r.stop()
	r.once.Do(func() {
		select {
		case code = <-r.ended:
		case <-time.After(2 * stopWithin):
			r.p.t.Errorf("it doesn't end:\n%s", r.stderr.String())
		}
	})
	return code
}

// drift asks as a person does, until what is wanted is there.
func (p *place) drift(want reconcile.Kind) []reconcile.Finding {
	p.t.Helper()
	var last string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		code, stdout, stderr := p.try("drift", "--state-dir", p.state, "--all", "-o", "json")
		last = fmt.Sprintf("exit %d\n%s%s", code, stdout, stderr)
		var findings []reconcile.Finding
		if code == 0 && json.Unmarshal([]byte(stdout), &findings) == nil &&
			slices.ContainsFunc(findings, func(f reconcile.Finding) bool { return f.Kind == want }) {
			return findings
		}
	}
	p.t.Fatalf("no %s is shown: %s", want, last)
	return nil
}

// output takes what a command writes.
type output struct {
	mu   sync.Mutex
	kept bytes.Buffer
}

func (o *output) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.kept.Write(text)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.kept.String()
}

func (o *output) await(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !strings.Contains(o.String(), text); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%q is not written:\n%s", text, o.String())
		}
	}
}

// TestUp is the whole of it on this machine: real collectors, real NATS.
func TestUp(t *testing.T) {
	p := newPlace(t)
	r := p.up()
	first := p.drift(reconcile.IdentityWeak)
	for _, want := range []string{"avstem is up for site lab", "1 host, 1 VM", "runtime-libvirt", "See what differs: avstem drift"} {
		if !strings.Contains(r.stdout.String(), want) {
			t.Errorf("the start doesn't say %q:\n%s", want, r.stdout.String())
		}
	}
	r.stderr.await(t, "runtime-libvirt") // seen, or not found and where it looked
	if to, err := os.Readlink(p.link); err != nil || to != p.state {
		t.Errorf("the link goes to %q: %v", to, err)
	}
	if code, stdout, stderr := p.try("explain", "lab-01", "-o", "json"); code != 0 || !strings.Contains(stdout, `"lab-01"`) {
		t.Errorf("explain by the link: exit %d: %s%s", code, stdout, stderr)
	}
	if code := r.end(); code != 0 {
		t.Errorf("stopping gives exit %d:\n%s", code, r.stderr.String())
	}
	for _, path := range []string{filepath.Join(p.state, bus.SocketName), p.link} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s is left behind", path)
		}
	}

	p.up()
	second := p.drift(reconcile.IdentityWeak)
	if before, after := seen(first), seen(second); before == "" || before != after {
		t.Errorf("before the restart:\n%s\nafter:\n%s", before, after)
	}
}

// seen is when the weak identity was first seen.
func seen(findings []reconcile.Finding) string {
	i := slices.IndexFunc(findings, func(f reconcile.Finding) bool { return f.Kind == reconcile.IdentityWeak })
	return findings[i].ID + " " + findings[i].FirstSeen.Format(time.RFC3339Nano)
}

func TestUpReadsTheInventoryAgain(t *testing.T) {
	p := newPlace(t)
	p.up()
	p.drift(reconcile.IdentityWeak)
	p.write("more.yaml", "hosts:\n  - {id: lab-02, site: lab, stat: active}\n")
	p.drift(reconcile.InventoryInvalid)
}

func TestUpRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(t *testing.T, p *place) (args []string)
		code    int
		says    []string
	}{
		"no inventory flag":      {func(*testing.T, *place) []string { return []string{"up"} }, exitUsage, []string{"--inventory DIR"}},
		"an interval of nothing": {func(_ *testing.T, p *place) []string { return p.upArgs("--interval", "0s") }, exitUsage, []string{"--interval", "100ms"}},
		"an inventory that isn't there": {func(_ *testing.T, p *place) []string {
			return p.upArgs("--inventory", p.inventory+"-not")
		}, exitError, []string{"inventory-not"}},
		"an empty inventory": {func(t *testing.T, p *place) []string {
			return p.upArgs("--inventory", t.TempDir())
		}, exitError, []string{"read inventory"}},
		"two sites and none chosen": {func(_ *testing.T, p *place) []string {
			p.write("other.yaml", "sites:\n  - {id: annex}\n")
			return p.upArgs()
		}, exitError, []string{"annex, lab", "--site"}},
		"a site that isn't there": {func(_ *testing.T, p *place) []string { return p.upArgs("--site", "labb") }, exitUsage, []string{`there is no site "labb": did you mean lab?`}},
		"a port in use": {func(t *testing.T, p *place) []string {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { listener.Close() })
			return p.upArgs("--listen", listener.Addr().String())
		}, exitError, []string{"address already in use", "--listen"}},
		"a state directory that is a file": {func(t *testing.T, p *place) []string {
			if err := os.WriteFile(p.state, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return p.upArgs()
		}, exitError, []string{"state directory", "--state-dir"}},
		"a state directory on a full disk": {func(t *testing.T, p *place) []string {
			tinyDisk(t, p.state)
			return p.upArgs()
		}, exitError, []string{"free", "make room"}},
		"a state directory in use": {func(t *testing.T, p *place) []string {
			p.up()
			p.drift(reconcile.IdentityWeak)
			return p.upArgs()
		}, exitError, []string{"in use by process", "--state-dir"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			args := c.prepare(t, p)
			code, stdout, stderr := p.try(args...)
			if code != c.code {
				t.Errorf("exit %d, not %d:\n%s", code, c.code, stderr)
			}
			for _, want := range c.says {
				if !strings.Contains(stderr, want) {
					t.Errorf("it doesn't say %q:\n%s", want, stderr)
				}
			}
			if stdout != "" {
				t.Errorf("it says that it has started:\n%s", stdout)
			}
		})
	}
}

// tinyDisk mounts a file system of one megabyte.
func tinyDisk(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
}

func TestUpLeavesAnotherOnesLink(t *testing.T) {
	first := newPlace(t)
	first.up()
	first.drift(reconcile.IdentityWeak)
	second := newPlace(t)
	second.env["AVSTEM_RUN_LINK"] = first.link
	r := second.up()
	second.drift(reconcile.IdentityWeak)
	if !strings.Contains(r.stdout.String(), "go to another one: "+first.state+"\n") || !strings.Contains(r.stdout.String(), "avstem drift --state-dir "+second.state) {
		t.Errorf("the second doesn't say that there is a first:\n%s", r.stdout.String())
	}
	r.end()
	if to, err := os.Readlink(first.link); err != nil || to != first.state {
		t.Errorf("the link goes to %q: %v", to, err)
	}
}

// The default state directory goes before the link, whosever that is.
func TestUpSaysWhereCommandsGo(t *testing.T) {
	other := newPlace(t)
	other.up()
	other.drift(reconcile.IdentityWeak)
	for _, test := range []struct {
		name string
		env  map[string]string
		says []string
	}{
		{"the directory where commands look first", map[string]string{"AVSTEM_STATE_DIR": "own"},
			[]string{"another avstem up runs, which commands reach with --state-dir " + other.state + "\n", "See what differs: avstem drift\n"}},
		{"a server in the environment", map[string]string{"AVSTEM_SERVER": "nats://127.0.0.1:1"},
			[]string{"go to another one: AVSTEM_SERVER\n", "avstem drift --state-dir own\n"}},
		{"another one's directory in the environment", map[string]string{"AVSTEM_STATE_DIR": other.state},
			[]string{"go to another one: " + other.state + "\n", "avstem drift --state-dir own\n"}},
	} {
		p := newPlace(t)
		p.env["AVSTEM_RUN_LINK"] = other.link
		for name, value := range test.env {
			p.env[name] = strings.ReplaceAll(value, "own", p.state)
		}
		r := p.up()
		r.stdout.await(t, "Stop: Ctrl-C")
		for _, want := range test.says {
			if want = strings.ReplaceAll(want, "own", p.state); !strings.Contains(r.stdout.String(), want) {
				t.Errorf("%s: it doesn't say %q:\n%s", test.name, want, r.stdout.String())
			}
		}
		r.end()
	}
}

// What no configuration names, the reconciler was told by a flag.
func TestDoctorBesideUp(t *testing.T) {
	p := newPlace(t)
	p.up()
	p.drift(reconcile.IdentityWeak)
	_, stdout, stderr := p.try("doctor", "--listen-for", "10ms")
	if !strings.Contains(stdout, "ask the reconciler of site lab: it uses "+p.inventory) || strings.Contains(stdout, "no configuration names one") {
		t.Error(stdout, stderr)
	}
}

// A report on an up is kept with its state, and goes with it.
func TestReportIsKeptWithUp(t *testing.T) {
	p := newPlace(t)
	p.up()
	p.drift(reconcile.IdentityWeak)
	if code, _, stderr := p.try("report", "-o", filepath.Join(t.TempDir(), "out.html")); code != exitOK {
		t.Fatal(stderr)
	}
	if _, err := os.Stat(filepath.Join(p.state, "reports", "last.json")); err != nil {
		t.Error(err)
	}
}

// built is the real program.
func built(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "avstem")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// program starts the real program, until the test ends.
func (p *place) program(binary string, args ...string) (*exec.Cmd, *output) {
	p.t.Helper()
	cmd := exec.Command(binary, args...)
	for name, value := range p.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	log := new(output)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	return cmd, log
}

// TestUpAfterKill kills the real program without warning and starts it again.
func TestUpAfterKill(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	binary := built(t)
	startProgram := func() (*exec.Cmd, *output) { return p.program(binary, p.upArgs()...) }
	cmd, _ := startProgram()
	first := p.drift(reconcile.IdentityWeak)
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("it was not killed")
	}
	if _, err := os.Lstat(filepath.Join(p.state, bus.SocketName)); err != nil {
		t.Fatalf("it had the time to clean up, so this shows nothing: %v", err)
	}

	cmd, log := startProgram()
	second := p.drift(reconcile.IdentityWeak)
	if before, after := seen(first), seen(second); before != after {
		t.Errorf("before it was killed: %s\nafter: %s", before, after)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("SIGTERM: %v\n%s", err, log.String())
	}
	if _, err := os.Lstat(filepath.Join(p.state, bus.SocketName)); err == nil {
		t.Error("the socket is left behind")
	}
}

// TestServe runs the reconciler apart from the NATS server that up brings.
func TestServe(t *testing.T) {
	p := newPlace(t)
	p.up("--site", "lab")
	p.drift(reconcile.IdentityWeak)
	apart := newPlace(t)
	ctx, cancel := context.WithCancel(context.Background())
	var stdout, stderr output
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"serve", "--inventory", apart.inventory, "--state-dir", p.state}, strings.NewReader(""), &stdout, &stderr, apart.getenv)
	}()
	stderr.await(t, "standing by: another reconciler has this site")
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("exit %d:\n%s", code, stderr.String())
	}
}
