// Package packages holds what packaging/build makes to what it is for: the same bytes
// each time; services that run under a real systemd, as deb and rpm install them;
// packages that upgrade, downgrade, and leave state when removed; an Ansible role
// that installs a site. Hosts are containers (package lab).
package packages

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func only(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		t.Fatalf("%s is %q, want one file", pattern, found)
	}
	return found[0]
}

func TestPackages(t *testing.T) {
	t.Parallel()
	first, second := t.TempDir(), t.TempDir()
	// The other build is of another place.
	elsewhere := filepath.Join(t.TempDir(), "else where")
	run(t, "cp", "-a", "../..", elsewhere)
	cmd := exec.CommandContext(t.Context(), elsewhere+"/packaging/build", "amd64")
	cmd.Env = append(os.Environ(), "PROGRAMS=avstem-agent", "DIST="+second, "USER=somebody", "TZ=Pacific/Auckland")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, firstErr := buildInto(first, "PROGRAMS=avstem-agent")
	if err := cmd.Wait(); err != nil {
		t.Fatalf("packaging/build: %v\n%s", err, said.String())
	}
	if firstErr != nil {
		t.Fatal(firstErr)
	}
	entries, err := os.ReadDir(first)
	if err != nil || len(entries) != 4 {
		t.Fatalf("it made %v, %v; want deb, rpm, SBOM and checksums", entries, err)
	}
	for _, e := range entries {
		a, errA := os.ReadFile(filepath.Join(first, e.Name()))
		b, errB := os.ReadFile(filepath.Join(second, e.Name()))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs between two builds (%v, %v)", e.Name(), errA, errB)
		}
	}
	deb, rpm := only(t, first+"/*.deb"), only(t, first+"/*.rpm")

	t.Run("checksums are those of the files", func(t *testing.T) {
		cmd := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", "SHA256SUMS")
		cmd.Dir = first
		if out, err := cmd.CombinedOutput(); err != nil || strings.Count(string(out), ": OK") != 3 {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("the bill of materials and the licences name every module in the program", func(t *testing.T) {
		root := t.TempDir()
		run(t, "dpkg-deb", "-x", deb, root)
		doc := filepath.Join(root, "usr/share/doc/avstem-agent")
		bill := string(read(t, doc+"/avstem-agent.cdx.json"))
		licences := run(t, "zcat", doc+"/licences.gz")
		modules := 0
		for line := range strings.Lines(run(t, "go", "version", "-m", filepath.Join(root, "usr/bin/avstem-agent"))) {
			if f := strings.Fields(line); len(f) >= 3 && f[0] == "dep" {
				modules++
				has(t, bill, `"pkg:golang/`+f[1]+"@"+f[2]+`"`)
				has(t, licences, "==== "+f[1]+" "+f[2]+": ")
			}
		}
		if modules < 10 {
			t.Errorf("the program names %d modules", modules)
		}
		if outside := string(read(t, first+"/*.cdx.json")); outside != bill {
			t.Error("the bill beside the package is another than the one in it")
		}
	})
	t.Run("lintian finds no error in either program's", func(t *testing.T) {
		if out, err := exec.CommandContext(t.Context(), "lintian", "--allow-root", "--fail-on", "error", deb, only(t, ours(t)+"/avstem_*.deb")).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("both have the same files", func(t *testing.T) {
		inRPM := run(t, "rpm", "-qlp", rpm)
		for line := range strings.Lines(run(t, "dpkg-deb", "-c", deb)) {
			fields := strings.Fields(line)
			name := strings.TrimPrefix(fields[5], ".")
			if strings.HasSuffix(name, "/") || strings.Contains(name, "changelog") || strings.Contains(name, "lintian") {
				continue
			}
			if !strings.Contains(inRPM, name+"\n") {
				t.Errorf("the rpm has no %s", name)
			}
		}
	})
}
