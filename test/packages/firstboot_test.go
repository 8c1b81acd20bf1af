package packages

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/dataverket/avstem/test/lab"
)

const (
	userData    = "../../packaging/cloud-init/avstem-agent.yaml"
	lateCommand = "../../packaging/preseed/avstem-agent.cfg"
)

func TestUserDataIsValid(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "cloud-init", "schema", "--config-file", userData).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Valid cloud-config") {
		t.Errorf("%v\n%s", err, out)
	}
}

// filledIn is a snippet in which a token stands, and the agent's package where it
// would be on a web server.
func filledIn(t *testing.T, file string, server, h *lab.Host) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	deb := debOf(t, "avstem-agent")
	if err := h.Put(t.Context(), "/srv/web/avstem-agent.deb", deb, 0o644); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(deb)
	text := string(data)
	for old, with := range map[string]string{
		"TOKEN": tokenFor(t, server, h), "https://packages.example.net/avstem-agent_VERSION_amd64.deb": "file:/srv/web/avstem-agent.deb", "SHA256:SUM": "SHA256:" + hex.EncodeToString(sum[:]),
	} {
		if !strings.Contains(text, old) {
			t.Fatalf("%s has no %s", file, old)
		}
		text = strings.ReplaceAll(text, old, with)
	}
	return text
}

// cloudInit does what cloud-init would: files first, then the commands.
func cloudInit(t *testing.T, server, h *lab.Host) {
	var data struct {
		WriteFiles []struct{ Path, Permissions, Content string } `yaml:"write_files"`
		RunCmd     [][]string                                    `yaml:"runcmd"`
	}
	if err := yaml.Unmarshal([]byte(filledIn(t, userData, server, h)), &data); err != nil {
		t.Fatal(err)
	}
	for _, f := range data.WriteFiles {
		mode, err := strconv.ParseUint(f.Permissions, 8, 32)
		if err == nil {
			err = h.Put(t.Context(), f.Path, []byte(f.Content), fs.FileMode(mode))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range data.RunCmd {
		on(t, h, "'"+strings.Join(command, "' '")+"'")
	}
	enrolledByItself(t, h)
}

// preseed runs the command on a host that is its own target, and then boots it.
func preseed(t *testing.T, server, h *lab.Host) {
	text := strings.ReplaceAll(filledIn(t, lateCommand, server, h), "\\\n", "")
	_, command, found := strings.Cut(text, "d-i preseed/late_command string")
	if !found {
		t.Fatalf("there is no command in:\n%s", text)
	}
	// Where no systemd runs, as in the installer, scripts make links alone.
	on(t, h, `ln -s / /target; in-target() { unshare --mount sh -c 'umount -l /run/systemd 2>/dev/null; mount -t tmpfs tmpfs /run/systemd && exec "$@"' sh "$@"; }; `+command)
	if got := on(t, h, "stat -c '%a %U' /etc/avstem/enroll-token; systemctl is-active avstem-agent || true"); got != "600 root\ninactive" {
		t.Errorf("token and service are %q", got)
	}
	if err := h.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	enrolledByItself(t, h)
}

func enrolledByItself(t *testing.T, h *lab.Host) {
	t.Helper()
	soon(t, h, "systemctl show --value -p StatusText avstem-agent", "published")
	if got := on(t, h, "ls /etc/avstem; systemctl is-enabled avstem-agent-enroll; journalctl --no-pager -o cat | grep -c avstem1 || true"); strings.Contains(got, "enroll-token") || !strings.HasSuffix(got, "enabled\n0") {
		t.Errorf("the token is left, or told: %s", got)
	}
}
