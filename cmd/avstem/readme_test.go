package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

const readme = "../../README.md"

// readmeCommands are the lines of the code blocks of a section of README.md, without
// their comments.
func readmeCommands(t *testing.T, section string) []string {
	t.Helper()
	data, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(data), "\n## "+section+"\n")
	if !found {
		t.Fatalf("README.md has no section %q", section)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	var lines []string
	for i, part := range strings.Split(text, "```") {
		if i%2 == 0 {
			continue
		}
		for line := range strings.Lines(part) {
			if line, _, _ = strings.Cut(line, "  #"); strings.TrimSpace(line) != "" {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
	}
	return lines
}

// alone makes a host without a VM of what other tests, a demo or a person run on this
// machine: a web-01 of theirs would be one more that README.md's command may mean.
const alone = "mount -t proc proc /proc; mount -t tmpfs tmpfs /run; "

// What README.md tells a stranger to type works as it stands there. The reconcilers
// that listen to other machines are left to their own tests.
func TestReadmeWordForWord(t *testing.T) {
	dir := t.TempDir()
	for _, program := range []string{"avstem", "avstem-agent"} {
		if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "bin", program), "../"+program).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	docs, err := filepath.Abs("../../docs")
	if err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"docs": docs, "inventory": filepath.Join(docs, "examples", "inventory")} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	shell := func(line string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "sh", "-ec", alone+"exec "+line)
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS}
		cmd.Env = []string{"PATH=" + filepath.Join(dir, "bin") + ":" + os.Getenv("PATH"), "HOME=" + dir, "AVSTEM_CONFIG=none", "AVSTEM_STATE_DIR=" + filepath.Join(dir, "state"),
			"AVSTEM_RUN_LINK=" + filepath.Join(dir, "run", "current"), "AVSTEM_LISTEN=none", "AVSTEM_METRICS=none"}
		return cmd
	}
	ran := 0
	for _, line := range readmeCommands(t, "On a real host") {
		switch words := strings.Fields(line); {
		case words[0] == "make" || strings.Contains(line, " serve "):
		case strings.Contains(line, " up "):
			up := shell(line)
			var log output
			up.Stdout, up.Stderr = &log, &log
			if err := up.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = up.Process.Signal(syscall.SIGINT)
				if err := up.Wait(); err != nil {
					t.Errorf("%s: %v\n%s", line, err, log.String())
				}
			}()
			for !strings.Contains(log.String(), "msg=findings") {
				if ctx.Err() != nil {
					t.Fatalf("%s doesn't come up:\n%s", line, log.String())
				}
				time.Sleep(20 * time.Millisecond)
			}
		default:
			if out, err := shell(line).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
		}
		ran++
	}
	if ran < 8 {
		t.Errorf("README.md has %d commands there: are they read right?", ran)
	}
}

// The pages that README.md speaks of are there.
func TestReadmeLinks(t *testing.T) {
	data, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	links := regexp.MustCompile(`\]\(([^):#]+)\)`).FindAllStringSubmatch(string(data), -1)
	if len(links) < 20 {
		t.Errorf("it has %d links: are they read right?", len(links))
	}
	for _, link := range links {
		if _, err := os.Stat(filepath.Join("../..", link[1])); err != nil {
			t.Error(err)
		}
	}
}
