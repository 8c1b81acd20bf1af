package packages

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/dataverket/avstem/test/lab"
)

const ansibleDir = "../../packaging/ansible"

func TestAnsibleIsLinted(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "ansible-lint", "--offline", "--nocolor", "--profile", "production")
	cmd.Dir = ansibleDir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// tally is what a run of a playbook did on one host.
type tally struct{ ok, changed, failed int }

var recap = regexp.MustCompile(`(?m)^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)`)

// play runs the example's playbook over a lab.
func play(t *testing.T, l *lab.Lab, inventory string, args ...string) (map[string]tally, string) {
	t.Helper()
	dir, err := filepath.Abs(ansibleDir)
	if err != nil {
		t.Fatal(err)
	}
	cmd := l.Rig().Command(t.Context(), "ansible-playbook", append([]string{"-i", inventory, "--private-key", l.Key(), dir + "/site.yaml"}, args...)...)
	cmd.Env = append(cmd.Env, "ANSIBLE_CONFIG="+dir+"/ansible.cfg", "ANSIBLE_HOME="+t.TempDir(), "ANSIBLE_NOCOLOR=1", "ANSIBLE_HOST_KEY_CHECKING=False", "LC_ALL=C.UTF-8")
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("ansible-playbook %v: %v\n%s", args, err, said)
	}
	did := map[string]tally{}
	for _, m := range recap.FindAllStringSubmatch(string(said), -1) {
		number := func(i int) int {
			n, err := strconv.Atoi(m[i])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		did[m[1]] = tally{ok: number(2), changed: number(3), failed: number(4) + number(5)}
	}
	return did, string(said)
}

// The role installs a site: a server, a host that has packages of dpkg's, and one
// that has rpm's. On full-sized labs the first two are whole hosts.
func TestAnsible(t *testing.T) {
	l := lab.ForTest(t, lab.Options{Hosts: 3, Container: !lab.Full()})
	center, second, third := l.Host(0), l.Host(1), l.Host(2)
	turnIntoRPM(t, third)
	hardware := map[*lab.Host]string{second: `""`, third: `""`}
	if lab.Full() {
		// hostfs gives root what a service's user makes, see docs/lab.md.
		for _, h := range l.Hosts() {
			on(t, h, "for d in avstem avstem-server avstem-report; do mkdir -p /var/lib/$d && mount -t tmpfs tmpfs /var/lib/$d; done")
		}
		hardware = map[*lab.Host]string{second: second.MAC("nic0"), third: third.MAC("nic0")}
	}
	inventory := filepath.Join(t.TempDir(), "inventory.yaml")
	err := os.WriteFile(inventory, fmt.Appendf(nil, `all:
  vars: {ansible_user: root, avstem_site: osl1, avstem_packages: %s}
  children:
    avstem_server:
      hosts:
        center: {ansible_host: %s}
    avstem_hosts:
      hosts:
        deb: {ansible_host: %s, avstem_hardware: %s}
        rpm: {ansible_host: %s, avstem_hardware: %s, avstem_agent_config: {log-level: debug}}
`, ours(t), center.Address(), second.Address(), hardware[second], third.Address(), hardware[third]), 0o644)
	if err != nil {
		t.Fatal(err)
	}

	t.Run("check mode does nothing", func(t *testing.T) {
		did, said := play(t, l, inventory, "--check")
		for host, what := range did {
			if what.changed == 0 {
				t.Errorf("it would change nothing on %s:\n%s", host, said)
			}
		}
		for _, h := range l.Hosts() {
			on(t, h, "test ! -e /usr/bin/avstem -a ! -e /usr/bin/avstem-agent -a ! -e /etc/avstem")
		}
	})
	t.Run("one run installs the site", func(t *testing.T) {
		did, said := play(t, l, inventory)
		if len(did) != 3 {
			t.Errorf("it did %v:\n%s", did, said)
		}
		if strings.Contains(said, "avstem1.") {
			t.Errorf("it tells a token:\n%s", said)
		}
		soon(t, center, "systemctl show --value -p StatusText avstem", "2 hosts")
		for h, unit := range map[*lab.Host]string{center: server, second: agent, third: agent} {
			if got := on(t, h, "systemctl is-active "+unit+" && systemctl is-enabled "+unit); got != "active\nenabled" {
				t.Errorf("%s on %s is %s", unit, h.Name(), got)
			}
		}
		has(t, on(t, third, "rpm -V avstem-agent || true; rpm -q avstem-agent; cat /etc/avstem/agent.yaml"), "avstem-agent-", "log-level: debug")
		has(t, on(t, second, "dpkg -s avstem-agent"), "Status: install ok installed")
	})
	unchanged := func(t *testing.T, args ...string) {
		did, said := play(t, l, inventory, args...)
		if len(did) != 3 {
			t.Errorf("it did %v:\n%s", did, said)
		}
		for host, what := range did {
			if what.changed != 0 {
				t.Errorf("%v changes %d things on %s:\n%s", args, what.changed, host, said)
			}
		}
	}
	t.Run("a second run changes nothing", func(t *testing.T) { unchanged(t) })
	if !lab.Full() {
		return
	}
	t.Run("nor would a check", func(t *testing.T) { unchanged(t, "--check", "--diff") })
	t.Run("a changed variable changes what it is for", func(t *testing.T) {
		did, said := play(t, l, inventory, "--check", "--limit", "center,deb", "-e", `{"avstem_agent_config": {"interval": "10s"}}`)
		want := map[string]int{"center": 0, "deb": 2} // the file, and the restart
		got := map[string]int{}
		for host, what := range did {
			got[host] = what.changed
		}
		if !maps.Equal(want, got) {
			t.Errorf("it would change %v, want %v:\n%s", got, want, said)
		}
	})
}
