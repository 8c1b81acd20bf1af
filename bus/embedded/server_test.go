package embedded

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/bus"
)

func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func noEnv(string) string { return "" }

// bySocket connects as a command on the same machine does.
func bySocket(t *testing.T, dir string) *bus.Conn {
	t.Helper()
	c, err := bus.Connect(t.Context(), bus.Options{StateDir: dir, Getenv: noEnv})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func put(t *testing.T, c *bus.Conn, id string) {
	t.Helper()
	if err := keep(t.Context(), c, id, "{}"); err != nil {
		t.Fatal(err)
	}
}

// keep puts a finding on its stream, as the reconciler does.
func keep(ctx context.Context, c *bus.Conn, id, text string) error {
	subject, err := bus.FindingSubject("osl1", id)
	if err == nil {
		_, err = c.JetStream().Publish(ctx, subject, fmt.Appendf(nil, `{"id":%q,"text":%s}`, id, text))
	}
	return err
}

func wantFindings(t *testing.T, c *bus.Conn, want int) {
	t.Helper()
	all, err := c.Findings(t.Context())
	if err != nil || len(all) != want {
		t.Fatalf("there are %d findings, %v; want %d", len(all), err, want)
	}
}

func TestWhatIsKeptSurvivesARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	for round := range 3 {
		s, err := Start(t.Context(), Options{StateDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.Connect("test")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.EnsureStreams(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantFindings(t, c, round)
		put(t, c, fmt.Sprintf("f-%d", round))
		c.Close()
		s.Close()
		s.Close() // twice is once
	}
	if _, err := os.Stat(filepath.Join(dir, "jetstream")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, bus.SocketName)); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
}

func TestSocketLetsInWithoutTokenAndTCPDoesNot(t *testing.T) {
	dir := t.TempDir()
	s := start(t, Options{StateDir: dir, Listen: "127.0.0.1:0"})
	c := bySocket(t, dir)
	if err := c.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{bus.SocketName, TokenName} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", name, info.Mode(), err)
		}
	}
	for _, options := range [][]nats.Option{nil, {nats.Token("wrong")}, {nats.UserInfo("a", s.Token())}} {
		if nc, err := nats.Connect(s.URL(), options...); err == nil {
			nc.Close()
			t.Errorf("TCP let in %v", options)
		}
	}
	nc, err := nats.Connect(s.URL(), nats.Token(s.Token()))
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
}

// A connection within the process goes to no address, whatever one the server would
// have: nothing may listen there.
func TestWhereAConnectionGoes(t *testing.T) {
	dir := t.TempDir()
	s := start(t, Options{StateDir: dir})
	within, err := s.Connect("test")
	if err != nil {
		t.Fatal(err)
	}
	defer within.Close()
	if got := within.Server(); got != "in this process" {
		t.Errorf("within the process it goes to %q", got)
	}
	if got := bySocket(t, dir).Server(); got != filepath.Join(dir, bus.SocketName) {
		t.Errorf("by the socket it goes to %q", got)
	}
}

func TestTokenIsMadeOnceAndKept(t *testing.T) {
	dir := t.TempDir()
	s := start(t, Options{StateDir: dir})
	token := s.Token()
	s.Close()
	if err := os.Chmod(filepath.Join(dir, TokenName), 0o644); err != nil {
		t.Fatal(err)
	}
	if s = start(t, Options{StateDir: dir}); s.Token() != token || len(token) != 64 {
		t.Errorf("the token is %q and was %q", s.Token(), token)
	}
	if info, err := os.Stat(filepath.Join(dir, TokenName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token's mode is %v, %v", info.Mode(), err)
	}
}

func TestManyClientsOnTheSocketComeAndGo(t *testing.T) {
	dir := t.TempDir()
	s := start(t, Options{StateDir: dir})
	for range 20 {
		c := bySocket(t, dir)
		if err := c.NATS().FlushTimeout(5 * time.Second); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	c := bySocket(t, dir)
	deadline := time.Now().Add(10 * time.Second)
	for s.nats.NumClients() > 1 {
		if time.Now().After(deadline) {
			t.Fatalf("%d clients are left", s.nats.NumClients())
		}
		runtime.Gosched()
	}
	closed := c.NATS().StatusChanged(nats.RECONNECTING)
	s.Close()
	<-closed
}

func TestErrorsOfStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	others := t.TempDir()
	if err := os.Chown(others, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	badToken := t.TempDir()
	if err := os.WriteFile(filepath.Join(badToken, TokenName), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		o    Options
		want []string
	}{
		"port in use":          {Options{StateDir: t.TempDir(), Listen: taken.Addr().String()}, []string{taken.Addr().String(), "address already in use", "--listen"}},
		"no address":           {Options{StateDir: t.TempDir(), Listen: "4222"}, []string{`"4222"`, "--listen"}},
		"no port":              {Options{StateDir: t.TempDir(), Listen: "127.0.0.1:nats"}, []string{`"nats" is not a port`, "--listen"}},
		"not loopback":         {Options{StateDir: t.TempDir(), Listen: "0.0.0.0:4222"}, []string{"only loopback", "--listen"}},
		"no directory":         {Options{StateDir: file + "/state"}, []string{"make state directory", "--state-dir"}},
		"a file":               {Options{StateDir: file}, []string{"make state directory", "not a directory", "--state-dir"}},
		"another user's":       {Options{StateDir: others}, []string{"another user's (nobody)", "--state-dir"}},
		"below another user's": {Options{StateDir: filepath.Join(others, "state")}, []string{"another user's (nobody)", "--state-dir"}},
		"token":                {Options{StateDir: badToken}, []string{TokenName, "remove it"}},
		"long path":            {Options{StateDir: filepath.Join(t.TempDir(), strings.Repeat("d", 100))}, []string{"longer than a unix socket's", "--state-dir"}},
		"link in a file":       {Options{StateDir: t.TempDir(), Link: file + "/current"}, []string{"link to the state directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Start(t.Context(), test.o)
			if err == nil {
				s.Close()
				t.Fatal("it started")
			}
			for _, want := range append(test.want, "start NATS server: ") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no word of %q in: %v", want, err)
				}
			}
		})
	}
}

func TestSecondOnOneDirectoryIsRefusedWithThePIDOfTheFirst(t *testing.T) {
	dir := t.TempDir()
	start(t, Options{StateDir: dir})
	_, err := Start(t.Context(), Options{StateDir: dir})
	if err == nil || !strings.Contains(err.Error(), "in use by process "+strconv.Itoa(os.Getpid())) || !strings.Contains(err.Error(), "--state-dir") {
		t.Fatalf("got %v", err)
	}
	bySocket(t, dir) // the first one's socket is still there
}

func TestLinkPointsAtWhoRunsLast(t *testing.T) {
	link := filepath.Join(t.TempDir(), "run", "current")
	first, second := t.TempDir(), t.TempDir()
	a := start(t, Options{StateDir: first, Link: link})
	b := start(t, Options{StateDir: second, Link: link})
	want := func(want string) {
		t.Helper()
		if to, _ := os.Readlink(link); to != want {
			t.Errorf("the link points at %q, want %q", to, want)
		}
	}
	want(second)
	a.Close()
	want(second)
	b.Close()
	want("")
}

// TestMain lets the test binary be a process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("AVSTEM_TEST_SERVE"); dir != "" {
		serveUntilKilled(dir)
		return
	}
	os.Exit(m.Run())
}

func serveUntilKilled(dir string) {
	s, err := Start(context.Background(), Options{StateDir: dir})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	c, err := s.Connect("test")
	if err == nil {
		err = c.EnsureStreams(context.Background())
	}
	for n := 0; err == nil; n++ {
		if err = keep(context.Background(), c, fmt.Sprintf("f-%d", n), "{}"); err == nil {
			fmt.Println(n + 1) // acknowledged
		}
	}
	fmt.Println(err)
	os.Exit(1)
}

func TestKilledServerLosesNothingThatItAcknowledged(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self)
	child.Env = append(os.Environ(), "AVSTEM_TEST_SERVE="+dir)
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Fatal(lines.Text())
		}
		if acknowledged = n; n == 200 {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = child.Wait() // killed
	if acknowledged < 200 {
		t.Fatalf("the server ended by itself after %d", acknowledged)
	}
	// Its socket is still there; its lock went with it.
	if _, err := os.Stat(filepath.Join(dir, bus.SocketName)); err != nil {
		t.Fatal(err)
	}
	start(t, Options{StateDir: dir})
	all, err := bySocket(t, dir).Findings(t.Context())
	if err != nil || len(all) < acknowledged {
		t.Fatalf("of %d findings %d are left, %v", acknowledged, len(all), err)
	}
}

func TestDirectoryThatCannotBeWrittenTo(t *testing.T) {
	dir := mountTmpfs(t, 64<<20)
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Options{StateDir: filepath.Join(dir, "state")})
	if err == nil || !strings.Contains(err.Error(), "read-only file system") || !strings.Contains(err.Error(), "--state-dir") {
		t.Fatalf("in a new directory: got %v", err)
	}
	_, err = Start(t.Context(), Options{StateDir: dir})
	if err == nil || !strings.Contains(err.Error(), "read-only file system") || !strings.Contains(err.Error(), "--state-dir") {
		t.Fatalf("in one that is there: got %v", err)
	}
}

// mountTmpfs mounts a file system of that many bytes for the test.
func mountTmpfs(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+strconv.Itoa(size)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}
