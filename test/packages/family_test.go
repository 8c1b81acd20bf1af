package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dataverket/avstem/test/lab"
)

// turnIntoRPM makes of a host one whose packages are rpm's and dnf's, as far as what
// installs packages there can tell: dnf, rpm, their database and systemd are real,
// and what the distribution would bring as packages is one that provides it.
func turnIntoRPM(t *testing.T, h *lab.Host) {
	t.Helper()
	for path, text := range map[string]string{
		"/etc/os-release":     "ID=rocky\nID_LIKE=\"rhel centos fedora\"\nNAME=\"Rocky Linux\"\nVERSION=\"9.4\"\nVERSION_ID=\"9.4\"\nPRETTY_NAME=\"Rocky Linux 9.4\"\n",
		"/etc/redhat-release": "Rocky Linux release 9.4 (Blue Onyx)\n",
		"/root/base.rpm":      string(baseRPM(t)),
	} {
		if err := h.Put(t.Context(), path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	on(t, h, "rm -f /etc/debian_version && rpm --initdb && rpm -i /root/base.rpm")
}

// baseRPM is a package that provides what a distribution's own packages would.
func baseRPM(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	const spec = `Name: base-system
Version: 1
Release: 1
Summary: what the distribution would bring
License: none
BuildArch: noarch
Provides: systemd, /usr/bin/systemd-sysusers, /bin/sh
%description
What the distribution would bring.
%files
`
	if err := os.WriteFile(filepath.Join(dir, "base.spec"), []byte(spec), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "rpmbuild", "--quiet", "-bb", "--define", "_topdir "+dir, filepath.Join(dir, "base.spec"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("rpmbuild: %v\n%s", err, out)
	}
	return read(t, filepath.Join(dir, "RPMS/noarch/*.rpm"))
}

// has fails where a text lacks words.
func has(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("no word of %q in:\n%s", w, text)
		}
	}
}
