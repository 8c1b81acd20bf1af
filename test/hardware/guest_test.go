package hardware

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/test/guest"
)

const roleGuest = "hardware-guest"

func TestMain(m *testing.M) {
	if os.Getenv("AVSTEM_TEST_ROLE") == roleGuest {
		guest.PCMain(guestRun)
	}
	code := m.Run()
	if programsDir != "" {
		os.RemoveAll(programsDir)
	}
	os.Exit(code)
}

// step is one command in the guest. Of `avstem-agent run` only the start is of
// interest: it is ended once it has said which host it is.
type step struct {
	Args []string `json:"args"`
	User int      `json:"user,omitempty"`
}

// outcome is what came of one.
type outcome struct {
	Exit   int    `json:"exit"` // -1 for one that was ended
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
}

// guestRun is a host whose system is on its second disk: state directory and
// machine ID, which a first boot makes.
func guestRun(result io.Writer) error {
	data, err := os.ReadFile("/steps.json")
	if err != nil {
		return err
	}
	var steps []step
	if err := json.Unmarshal(data, &steps); err != nil {
		return err
	}
	if err := mountSystem(); err != nil {
		return err
	}
	outcomes := make([]outcome, len(steps))
	for i, s := range steps {
		if outcomes[i], err = s.do(); err != nil {
			return fmt.Errorf("%s: %w", s.Args, err)
		}
	}
	return errors.Join(json.NewEncoder(result).Encode(outcomes), unix.Unmount("/disk", 0))
}

func mountSystem() error {
	disk, err := guest.WaitForDisk("/dev/nvme1n1")
	if err != nil {
		return err
	}
	disk.Close()
	if err := errors.Join(os.MkdirAll("/disk", 0o755), unix.Mount("/dev/nvme1n1", "/disk", "ext4", 0, ""), os.MkdirAll("/etc", 0o755),
		unix.Sethostname([]byte(os.Getenv("AVSTEM_HOSTNAME")))); err != nil {
		return fmt.Errorf("mount system: %w", err)
	}
	id, err := os.ReadFile("/disk/machine-id")
	if errors.Is(err, os.ErrNotExist) {
		random := make([]byte, 16)
		_, _ = rand.Read(random) // never fails
		id = fmt.Appendf(nil, "%x\n", random)
		err = os.WriteFile("/disk/machine-id", id, 0o444)
	}
	if err != nil {
		return err
	}
	return os.WriteFile("/etc/machine-id", id, 0o444)
}

func (s step) do() (outcome, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "/avstem-agent", append(s.Args, "--state-dir", "/disk/state")...)
	var stdout, stderr bytes.Buffer
	c.Stdout = &stdout
	if s.User != 0 {
		c.SysProcAttr = &unix.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(s.User), Gid: uint32(s.User)}}
	}
	said, err := c.StderrPipe()
	if err != nil {
		return outcome{}, err
	}
	if err := c.Start(); err != nil {
		return outcome{}, err
	}
	for lines := bufio.NewScanner(said); lines.Scan(); {
		fmt.Fprintln(&stderr, lines.Text())
		if strings.Contains(lines.Text(), `msg="host identity"`) {
			_ = c.Process.Signal(unix.SIGTERM)
		}
	}
	err = c.Wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && ctx.Err() == nil {
		err = nil
	}
	return outcome{Exit: c.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}, errors.Join(err, ctx.Err())
}

// programs are what every guest runs.
type programs struct{ init, agent string }

// programsDir is where they are built, if they were. TestMain removes it.
var programsDir string

// built builds them once for all tests.
var built = sync.OnceValues(func() (programs, error) {
	dir, err := os.MkdirTemp("", "avstem-hardware-")
	if err != nil {
		return programs{}, err
	}
	programsDir = dir
	p := programs{filepath.Join(dir, "init"), filepath.Join(dir, "avstem-agent")}
	for _, args := range [][]string{
		{"test", "-c", "-o", p.init, "."}, // without -race, which is never static
		{"build", "-ldflags", "-s -w", "-o", p.agent, "../../cmd/avstem-agent"},
	} {
		c := exec.Command("go", args...)
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			return p, fmt.Errorf("go %s: %w\n%s", args, err, out)
		}
	}
	return p, nil
})

func build(t *testing.T) programs {
	t.Helper()
	p, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// newDisk makes the disk of a host that was just installed.
func newDisk(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "system")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Truncate(file, 16<<20)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "mkfs.ext4", "-q", "-F", file).CombinedOutput(); err != nil {
		t.Fatalf("make file system: %v\n%s", err, out)
	}
	return file
}

// copyDisk is what a cloning program does.
func copyDisk(t *testing.T, from string) string {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "system")
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

// boot starts the machine with the system on a disk, and runs the steps.
func (p programs) boot(t *testing.T, pc guest.PC, disk, hostname string, steps ...step) []outcome {
	t.Helper()
	began := time.Now()
	pc.Disks = append([]guest.PCDisk{{File: disk, Serial: "system"}}, pc.Disks...)
	file := filepath.Join(t.TempDir(), "steps.json")
	data, err := json.Marshal(steps)
	if err == nil {
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	result := pc.Boot(t, p.init, map[string]string{"/avstem-agent": p.agent, "/steps.json": file},
		"AVSTEM_TEST_ROLE="+roleGuest, "AVSTEM_HOSTNAME="+hostname)
	var outcomes []outcome
	if err := json.Unmarshal(result, &outcomes); err != nil || len(outcomes) != len(steps) {
		t.Fatalf("outcomes %s: %v", result, err)
	}
	t.Logf("a boot with %d steps took %s", len(steps), time.Since(began).Round(100*time.Millisecond))
	return outcomes
}
