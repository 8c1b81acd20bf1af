package packages

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

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

// cloudInit boots a host with the user data as its first boot: cloud-init finds them
// where a medium of NoCloud's leaves them.
func cloudInit(t *testing.T, server, h *lab.Host) {
	for path, text := range map[string]string{
		"/var/lib/cloud/seed/nocloud/user-data": filledIn(t, userData, server, h),
		"/var/lib/cloud/seed/nocloud/meta-data": "instance-id: " + h.Name() + "\nlocal-hostname: " + h.Name() + "\n",
		// The network is the lab's, over which the test logs in; and the smallest Debian
		// has not what sets a locale.
		"/etc/cloud/cloud.cfg.d/99-lab.cfg": "network: {config: disabled}\nlocale: false\n",
	} {
		if err := h.Put(t.Context(), path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	on(t, h, "rm /etc/cloud/cloud-init.disabled")
	if err := h.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if said, err := h.Run(t.Context(), "cloud-init status --wait --long && cat /run/cloud-init/result.json"); err != nil || !strings.Contains(said, "status: done") || !strings.Contains(said, "DataSourceNoCloud") || !strings.Contains(said, `"errors": []`) {
		t.Errorf("cloud-init: %v\n%s\n%s", err, said, on(t, h, "cat /var/log/cloud-init-output.log"))
	}
	enrolledByItself(t, server, h)
}

// installer is a shell script: a directory for a root file system such as Debian's
// installer has, of busybox alone, and the disk of a host that is off, which is its
// /target; then its command. What in-target does there is done here: of the target
// nothing starts, since no systemd runs.
const installer = `set -e
mount -t tmpfs tmpfs "$1"
cd "$1"
mkdir bin dev proc target
cp "$(command -v busybox)" bin/busybox
bin/busybox --install bin
cat >bin/in-target <<'END'
#!/bin/sh
printf '#!/bin/sh\nexit 101\n' >/target/usr/sbin/policy-rc.d
chmod 755 /target/usr/sbin/policy-rc.d
DEBIAN_FRONTEND=noninteractive chroot /target "$@"
status=$?
rm -f /target/usr/sbin/policy-rc.d
exit $status
END
chmod 755 bin/in-target
mount --bind /dev dev
mount -t proc proc proc
mount --rbind "$2" target
mount -t proc proc target/proc
exec env -i PATH=/bin:/usr/bin:/sbin:/usr/sbin chroot . sh -c "$3"`

// preseed has debconf read the answers of the installer, runs the command that is in
// them as it would on a host that is off, and then boots that.
func preseed(t *testing.T, l *lab.Lab, server, h *lab.Host) {
	if err := h.Put(t.Context(), "/root/preseed.cfg", []byte(filledIn(t, lateCommand, server, h)), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := on(t, h, "debconf-set-selections -c /root/preseed.cfg 2>&1 && debconf-set-selections /root/preseed.cfg 2>&1"); said != "" {
		t.Errorf("debconf says %s", said)
	}
	command, found := strings.CutPrefix(on(t, h, "echo GET preseed/late_command | debconf-communicate"), "0 ")
	if !found {
		t.Fatalf("debconf has no late command but %q", command)
	}
	on(t, h, "rm /root/preseed.cfg; echo PURGE | debconf-communicate d-i")
	if err := h.PowerOff(t.Context()); err != nil {
		t.Fatal(err)
	}
	run := l.Rig().Command(t.Context(), "unshare", "--mount", "--propagation", "private", "sh", "-c", installer, "sh", t.TempDir(), h.Disk(), command)
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("the installer's command: %v\n%s", err, out)
	}
	if err := h.PowerOn(t.Context()); err != nil {
		t.Fatal(err)
	}
	enrolledByItself(t, server, h)
}

func enrolledByItself(t *testing.T, server, h *lab.Host) {
	t.Helper()
	soon(t, server, "avstem hosts | grep ' live ' || true", h.Name()+" ")
	soon(t, h, "systemctl show --value -p StatusText avstem-agent", "published")
	if got := on(t, h, "ls /etc/avstem; systemctl is-enabled avstem-agent-enroll; journalctl --no-pager -o cat | grep -c avstem1 || true"); strings.Contains(got, "enroll-token") || !strings.HasSuffix(got, "enabled\n0") {
		t.Errorf("the token is left, or told: %s", got)
	}
}

// startsMeanwhile boots a host whose server is away, and whose token wants approval.
func startsMeanwhile(t *testing.T, server, h *lab.Host) {
	installDeb(t, h, "avstem-agent")
	for path, text := range map[string]string{
		"/etc/avstem/enroll-token": token(t, server, h) + "\n",
		// Of a host that has something set, the agent would take the state directory.
		"/etc/avstem/agent.yaml": "site: osl1\n",
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
	soon(t, h, "systemctl status --no-pager avstem-agent-enroll", "connection refused; trying again at ")
	soon(t, h, "test $(journalctl -u avstem-agent-enroll -o cat | grep -c 'trying again') -gt 1 && echo tried", "tried")
	has(t, refused(t, h, "avstem-agent doctor"), "warning", "enrolment", "connection refused; trying again at ")
	on(t, server, "systemctl start avstem")
	soon(t, server, "avstem enroll list", h.Name())
	soon(t, h, "systemctl status --no-pager avstem-agent-enroll", "waits to be approved, on the server: avstem enroll approve ")
	if got := on(t, h, "systemctl show -p Type,ActiveState,SubState,NRestarts avstem-agent-enroll"); got != "Type=exec\nNRestarts=0\nActiveState=active\nSubState=running" {
		t.Errorf("while it waits, it is\n%s", got)
	}
	if jobs := on(t, h, "systemctl list-jobs --no-legend | grep -v 'No jobs' || true"); jobs != "" {
		t.Errorf("its start isn't over while it waits:\n%s", jobs)
	}
	if got := on(t, h, "systemctl show --value -p ActiveState,Result avstem-agent; ls /etc/avstem/enroll-token"); got != "exec-condition\ninactive\n/etc/avstem/enroll-token" {
		t.Errorf("agent and token are\n%s", got)
	}
	// One that can't be let in isn't tried again, and says what helps.
	on(t, server, "avstem enroll deny "+h.Name())
	soon(t, h, "systemctl show -p ActiveState,SubState,Result avstem-agent-enroll", "Result=exit-code\nActiveState=failed\nSubState=failed")
	const why = "the issuer refuses: somebody has denied it: it takes another token, of the server's: avstem enroll token --host "
	has(t, refused(t, h, "systemctl status --no-pager avstem-agent-enroll"), why+h.Name())
	has(t, refused(t, h, "avstem-agent doctor"), "broken", "enrolment", why+h.Name(), "systemctl restart avstem-agent-enroll")
	if err := h.Put(t.Context(), "/etc/avstem/enroll-token", []byte(token(t, server, h)), 0o600); err != nil {
		t.Fatal(err)
	}
	on(t, h, "systemctl restart avstem-agent-enroll")
	soon(t, h, "systemctl status --no-pager avstem-agent-enroll", "waits to be approved")
	on(t, server, "avstem enroll approve "+h.Name())
	enrolledByItself(t, server, h)
	// Of an enrolled host it does nothing more.
	on(t, h, "systemctl start avstem-agent-enroll")
	if got := on(t, h, "systemctl show --value -p ActiveState,ConditionResult avstem-agent-enroll"); got != "inactive\nno" {
		t.Errorf("once the host is in: %q", got)
	}
}

// token makes one that wants approval.
func token(t *testing.T, server, h *lab.Host) string {
	t.Helper()
	var made struct{ Token string }
	if err := json.Unmarshal([]byte(on(t, server, "avstem enroll token -o json --host "+h.Name())), &made); err != nil {
		t.Fatal(err)
	}
	return made.Token
}
