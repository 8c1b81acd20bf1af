package packages

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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

// startsMeanwhile boots a host whose server is away, and whose token wants approval.
func startsMeanwhile(t *testing.T, server, h *lab.Host) {
	installDeb(t, h, "avstem-agent")
	var made struct{ Token string }
	if err := json.Unmarshal([]byte(on(t, server, "avstem enroll token -o json --host "+h.Name())), &made); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		"/etc/avstem/enroll-token": made.Token + "\n",
		// Of a host that has something set, the agent would take the state directory.
		"/etc/avstem/agent.yaml": "site: osl1\n",
		// Often, so that it is soon more often than systemd would allow.
		"/etc/systemd/system/avstem-agent-enroll.service.d/often.conf": "[Service]\nRestartSec=100ms\n",
	} {
		if err := h.Put(t.Context(), path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	on(t, h, "chmod 644 /etc/avstem/agent.yaml")
	on(t, server, "systemctl stop avstem")
	if err := h.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	soon(t, h, "systemctl is-active multi-user.target", "active")
	soon(t, h, "test $(systemctl show --value -p NRestarts avstem-agent-enroll) -gt 40 && echo tried", "tried")
	soon(t, h, "journalctl --no-pager -o cat -u avstem-agent-enroll", "connection refused")
	on(t, server, "systemctl start avstem")
	soon(t, server, "avstem enroll list", h.Name())
	soon(t, h, "systemctl show -p Type,ActiveState,SubState avstem-agent-enroll", "Type=exec\nActiveState=active\nSubState=running")
	if jobs := on(t, h, "systemctl list-jobs --no-legend | grep -v 'No jobs' || true"); jobs != "" {
		t.Errorf("its start isn't over while it waits:\n%s", jobs)
	}
	if got := on(t, h, "systemctl show --value -p ActiveState,Result avstem-agent; ls /etc/avstem/enroll-token"); got != "exec-condition\ninactive\n/etc/avstem/enroll-token" {
		t.Errorf("agent and token are\n%s", got)
	}
	on(t, server, "avstem enroll approve "+h.Name())
	enrolledByItself(t, h)
	// Of an enrolled host it does nothing more.
	on(t, h, "systemctl start avstem-agent-enroll")
	if got := on(t, h, "systemctl show --value -p ActiveState,ConditionResult avstem-agent-enroll"); got != "inactive\nno" {
		t.Errorf("once the host is in: %q", got)
	}
}
