package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dataverket/avstem/test/lab"
)

// before is a version that sorts below any of this checkout.
const before = "0.0.0+git20200101000000.0000000"

func TestRPMsAreLinted(t *testing.T) {
	found, err := filepath.Glob(filepath.Join(ours(t), "*.rpm"))
	if err != nil || len(found) != 2 {
		t.Fatalf("there are %v, %v", found, err)
	}
	args := append([]string{"--config", "../../packaging/rpmlint.toml"}, found...)
	if out, err := exec.CommandContext(t.Context(), "rpmlint", args...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The rpm's scripts run, on a host whose systemd runs.
func TestRPM(t *testing.T) {
	t.Parallel()
	older, err := buildInto(t.TempDir(), "VERSION="+before, "COMPRESSION=gzip:1", "PROGRAMS=avstem-agent", "FORMATS=rpm")
	if err != nil {
		t.Fatal(err)
	}
	l := lab.ForTest(t, lab.Options{Container: true})
	h := l.Host(0)
	turnIntoRPM(t, h)
	for name, from := range map[string]string{"old": older, "new": ours(t)} {
		if err := h.Put(t.Context(), "/root/"+name+".rpm", read(t, from+"/avstem-agent-*.rpm"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	set := func(text string) {
		if err := h.Put(t.Context(), "/etc/avstem/agent.yaml", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	running := func() string { return on(t, h, "/proc/$(systemctl show --value -p MainPID avstem-agent)/exe version") }
	var id string

	t.Run("install", func(t *testing.T) {
		on(t, h, "rpm -i /root/old.rpm")
		soon(t, h, "systemctl show -p Result,ActiveState,UnitFileState avstem-agent", "Result=exec-condition\nActiveState=inactive\nUnitFileState=enabled")
		has(t, on(t, h, "id avstem-agent; rpm -V avstem-agent; stat -c '%a %U %n' /usr/bin/avstem-agent /etc/avstem/agent.yaml /usr/lib/systemd/system/avstem-agent.service"),
			"uid=", "755 root /usr/bin/avstem-agent", "644 root /etc/avstem/agent.yaml", "644 root /usr/lib/systemd")
	})
	t.Run("upgrade while it runs", func(t *testing.T) {
		set("# mine\nserver: tls://127.0.0.1:9\n")
		on(t, h, "systemctl start avstem-agent")
		has(t, running(), before)
		id = on(t, h, "cat /var/lib/avstem/host-id.json")
		on(t, h, "rpm -U /root/new.rpm")
		if got := running(); strings.Contains(got, before) {
			t.Errorf("what runs is %s", got)
		}
		has(t, on(t, h, "cat /etc/avstem/agent.yaml && systemctl is-active avstem-agent && systemctl is-enabled avstem-agent && rpm -qa avstem-agent | wc -l"), "# mine", "active\nenabled\n1")
	})
	t.Run("downgrade while it runs", func(t *testing.T) {
		on(t, h, "rpm -U --oldpackage /root/old.rpm")
		has(t, running(), before)
		has(t, on(t, h, "cat /etc/avstem/agent.yaml /var/lib/avstem/host-id.json; systemctl is-active avstem-agent"), "# mine", id, "active")
	})
	t.Run("remove keeps state, user and what was configured", func(t *testing.T) {
		on(t, h, "rpm -e avstem-agent")
		got := on(t, h, "ls /etc/avstem /var/lib/avstem; cat /etc/avstem/agent.yaml.rpmsave; id -un avstem-agent; systemctl is-active avstem-agent || true; ls /usr/bin/avstem-agent /usr/lib/systemd/system/avstem-agent.service /etc/systemd/system/multi-user.target.wants 2>&1 || true")
		has(t, got, "# mine", "host-id.json", "\navstem-agent\n", "inactive", "cannot access '/usr/bin/avstem-agent'", "cannot access '/usr/lib/systemd/system/avstem-agent.service'")
		if strings.Contains(got, "avstem-agent.service\n") {
			t.Errorf("it is enabled yet:\n%s", got)
		}
	})
	t.Run("the host that it is installed on again is the same", func(t *testing.T) {
		on(t, h, "rpm -i /root/new.rpm && mv /etc/avstem/agent.yaml.rpmsave /etc/avstem/agent.yaml && systemctl restart avstem-agent")
		if got := on(t, h, "cat /var/lib/avstem/host-id.json"); got != id {
			t.Errorf("it was %s and is %s", id, got)
		}
		on(t, h, "rpm -e avstem-agent")
	})
	t.Run("an image that is built gets user and links, and nothing is started", func(t *testing.T) { rpmIntoImage(t) })
}

// rpmIntoImage installs into a root file system whose systemd doesn't run.
func rpmIntoImage(t *testing.T) {
	root, err := lab.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range map[string][]byte{"base.rpm": baseRPM(t), "agent.rpm": read(t, filepath.Join(ours(t), "avstem-agent-*.rpm")), "server.rpm": read(t, filepath.Join(ours(t), "avstem-[0-9]*.rpm"))} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const script = `set -e
cd "$1"; mkdir upper work root
mount -t tmpfs tmpfs upper; mkdir upper/upper upper/work
mount -t overlay overlay -o "lowerdir=$2,upperdir=upper/upper,workdir=upper/work" root
rpm --root "$1/root" --initdb
rpm --root "$1/root" -i base.rpm agent.rpm server.rpm
cd root
grep -c '^avstem' etc/passwd
ls etc/systemd/system/multi-user.target.wants etc/systemd/system/timers.target.wants
usr/bin/avstem-agent config check etc/avstem/agent.yaml
usr/bin/avstem config check etc/avstem/avstem.yaml
mkdir -p var/lib/avstem
rpm --root "$1/root" -e avstem-agent avstem
ls etc/systemd/system/multi-user.target.wants
ls -d var/lib/avstem etc/avstem 2>&1 || true`
	out, err := exec.CommandContext(t.Context(), "unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", dir, root).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := string(out)
	has(t, text, "2\n", "avstem-agent.service\n", "avstem-report.timer\n", "nothing is wrong", "var/lib/avstem\n")
	if strings.Count(text, "avstem-agent.service\n") != 1 || strings.Count(text, "avstem.service\n") != 1 {
		t.Errorf("the units are enabled yet after they were removed:\n%s", text)
	}
}
