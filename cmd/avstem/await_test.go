package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dataverket/avstem/bus/auth"
	"github.com/dataverket/avstem/bus/embedded"
	"github.com/dataverket/avstem/cmd/internal/hostagent"
)

// told is what a service says to systemd.
type told struct {
	output
	socket string
}

func systemd(t *testing.T) *told {
	t.Helper()
	s := &told{socket: filepath.Join(t.TempDir(), "notify")}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: s.socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				return // closed
			}
			_, _ = s.Write(append(buffer[:n], '\n')) // to memory
		}
	}()
	return s
}

// externalNATS are keys and credentials of a NATS server that is not this program's,
// with TLS, at an address where it doesn't run yet.
func externalNATS(t *testing.T, site string) *auth.Dir {
	t.Helper()
	dir, _, err := auth.Init(filepath.Join(t.TempDir(), "external"), auth.Options{Sites: []string{site}, Sources: hostagent.Sources(),
		Names: []string{"127.0.0.1"}, Listen: freeAddress(t)})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func startExternal(t *testing.T, dir *auth.Dir) *embedded.Configured {
	t.Helper()
	nats, err := embedded.StartConfigured(t.Context(), dir.Config(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Close)
	return nats
}

// ends waits for a program's end, and gives its exit status.
func ends(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		exit, is := errors.AsType[*exec.ExitError](err)
		if err != nil && !is {
			t.Fatal(err)
		}
		if is {
			return exit.ExitCode()
		}
		return 0
	case <-time.After(time.Minute):
		t.Fatal("it doesn't end")
		return 0
	}
}

// A reconciler whose NATS server isn't there yet waits for it, says so to systemd and
// once to the log, works as soon as it is there, and ends in order when it is told to,
// wherever it is.
func TestServeWaitsForNATS(t *testing.T) {
	t.Parallel()
	p, service, nats := newPlace(t), systemd(t), externalNATS(t, "lab")
	p.env["NOTIFY_SOCKET"], p.env["AVSTEM_STATE_DIR"] = service.socket, p.state
	binary := built(t)
	args := []string{"serve", "--inventory", p.inventory, "--site", "lab", "--metrics", "none",
		"--server", nats.Server(), "--creds", nats.ReconcilerCreds("lab"), "--ca", nats.CA()}

	cmd, log := p.program(binary, args...)
	service.await(t, "STATUS=waiting for NATS: ")
	if said := service.String(); !strings.Contains(said, "READY=1\n") || !strings.Contains(said, "nothing answers at "+nats.Server()) || !strings.Contains(said, "WATCHDOG=1") {
		t.Errorf("systemd is told\n%s", said)
	}
	for deadline := time.Now().Add(time.Minute); strings.Count(service.String(), "waiting for NATS") < 3; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("systemd isn't told again:\n%s", service.String())
		}
	}
	if lines := strings.Count(log.String(), "\n"); lines != 1 {
		t.Errorf("it logs\n%s", log.String())
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := ends(t, cmd); code != 0 {
		t.Errorf("told to end while it waits, it exits %d:\n%s", code, log.String())
	}

	cmd, log = p.program(binary, args...)
	log.await(t, "NATS is waited for")
	startExternal(t, nats)
	log.await(t, "reconciling")
	log.await(t, "findings taken up")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := ends(t, cmd); code != 0 {
		t.Errorf("told to end, it exits %d:\n%s", code, log.String())
	}
}

// What waiting doesn't mend ends it, with what is wrong.
func TestServeEndsOnWhatWaitingDoesNotMend(t *testing.T) {
	p, nats, other := newPlace(t), externalNATS(t, "lab"), externalNATS(t, "lab")
	startExternal(t, nats)
	broken := filepath.Join(t.TempDir(), "broken.creds")
	if err := os.WriteFile(broken, []byte("none\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ server, creds, ca, want string }{
		"credentials of another server": {nats.Server(), other.ReconcilerCreds("lab"), nats.CA(), "refuses the credentials"},
		"no credentials":                {nats.Server(), "", nats.CA(), "refuses the credentials"},
		"a file that isn't there":       {nats.Server(), nats.ReconcilerCreds("lab") + ".old", nats.CA(), "no such file"},
		"a file without credentials":    {nats.Server(), broken, nats.CA(), "read credentials"},
		"a CA of another server":        {nats.Server(), nats.ReconcilerCreds("lab"), other.CA(), "certificate signed by unknown authority"},
		"a name that doesn't exist":     {"tls://nats.invalid:4222", nats.ReconcilerCreds("lab"), nats.CA(), "no such host"},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"serve", "--inventory", p.inventory, "--site", "lab", "--metrics", "none", "--server", c.server, "--ca", c.ca}
			if c.creds != "" {
				args = append(args, "--creds", c.creds)
			}
			code, _, stderr := p.try(args...)
			if code != exitError || !strings.Contains(stderr, c.want) || strings.Contains(stderr, "waited for") {
				t.Errorf("it exits %d and says\n%s", code, stderr)
			}
		})
	}
}
