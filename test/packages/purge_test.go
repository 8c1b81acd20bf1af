package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// purged runs a package's own script for a purge, where /etc, /var and /run are the
// test's, and says what is there then. Made is a script that makes them.
func purged(t *testing.T, program, made string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "deb"), debOf(t, program), 0o600); err != nil {
		t.Fatal(err)
	}
	const script = `set -e
cd "$1" && dpkg-deb -e deb control
for dir in /etc /var /run; do mount -t tmpfs tmpfs $dir; done
printf '%s\n' root:x:0:0::/root:/bin/sh avstem:x:4711:4711::/:/bin/false avstem-agent:x:4712:4712::/:/bin/false >/etc/passwd
mkdir -p /etc/avstem/inventory /var/lib/avstem-server /var/lib/avstem
echo "sites: [{id: a}]" >/etc/avstem/inventory/site.yaml
echo "all of it" >/etc/precious
eval "$2"
chown -R avstem: /var/lib/avstem-server; chown -R avstem-agent: /var/lib/avstem
./control/postrm purge >&2
find /etc /var -type f ! -name 'passwd*' ! -name 'group*' ! -name '*shadow*' ! -name .pwd.lock | sort`
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", dir, made)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	return strings.Join(strings.Fields(string(out)), " ")
}

func TestPurge(t *testing.T) {
	t.Parallel()
	const site, precious = "/etc/avstem/inventory/site.yaml", "/etc/precious"
	for name, test := range map[string]struct{ program, made, left string }{
		"an inventory as it was begun":         {"avstem", "sha256sum " + site + " >/etc/avstem/.inventory.sha256", precious},
		"one in which somebody wrote":          {"avstem", "sha256sum " + site + " >/etc/avstem/.inventory.sha256; echo '# mine' >>" + site, site + " " + precious},
		"one with something beside it":         {"avstem", "sha256sum " + site + " >/etc/avstem/.inventory.sha256; touch /etc/avstem/inventory/adopted.yaml", "/etc/avstem/inventory/adopted.yaml " + site + " " + precious},
		"one that wasn't begun by init":        {"avstem", ":", site + " " + precious},
		"what the service names isn't removed": {"avstem", "sha256sum " + precious + " " + site + " >/var/lib/avstem-server/inventory.sha256", site + " " + precious},
		"nor is another file than the one":     {"avstem", "sha256sum " + precious + " >/etc/avstem/.inventory.sha256", site + " " + precious},
		"a token that let no host in":          {"avstem-agent", "rm -r /etc/avstem/inventory; echo avstem1.x >/etc/avstem/enroll-token", precious},
	} {
		t.Run(name, func(t *testing.T) {
			if left := purged(t, test.program, test.made); left != test.left {
				t.Errorf("this is left: %s\nwant: %s", left, test.left)
			}
		})
	}
}
