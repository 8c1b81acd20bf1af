// Package install follows docs/install.md word for word on hosts with a real
// systemd: a server and two hosts, with the packages of this checkout.
//
// It exists so that what the page tells to type is what works. Each command is
// written to the log with what it said; AVSTEM_INSTALL_LOG names a file for it too.
package install

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dataverket/avstem/test/lab"
)

const page = "../../docs/install.md"

// commands are the page's, by the word behind "sh" of their block.
func commands(t *testing.T) map[string][]string {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for _, block := range regexp.MustCompile("(?ms)^```sh ([a-z-]+)\n(.*?)^```$").FindAllStringSubmatch(string(data), -1) {
		for line := range strings.Lines(block[2]) {
			all[block[1]] = append(all[block[1]], strings.TrimSpace(line))
		}
	}
	for _, place := range []string{"server", "host", "adopt", "upgrade-host", "remove-host", "purge-host", "purge-server", "purge-inventory"} {
		if len(all[place]) == 0 {
			t.Fatalf("%s has no command for %s", page, place)
		}
	}
	return all
}

// walk is one run through the page.
type walk struct {
	t     *testing.T
	words *strings.Replacer // what stands for the page's words in capitals
}

// on runs a command as it is typed and writes down what was seen.
func (w *walk) on(h *lab.Host, command string) (out string, err error) {
	w.t.Helper()
	if w.words != nil {
		command = w.words.Replace(command)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 3*time.Minute)
	defer cancel()
	out, err = h.Run(ctx, "cd /root; export DEBIAN_FRONTEND=noninteractive; ("+command+") 2>&1")
	screen := fmt.Sprintf("%s# %s\n%s\n", h.Name(), command, out)
	w.t.Log("\n" + screen)
	if name := os.Getenv("AVSTEM_INSTALL_LOG"); name != "" {
		f, openErr := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if openErr != nil {
			w.t.Fatal(openErr)
		}
		_, _ = f.WriteString(screen + "\n") // the log of go test has it too
		f.Close()
	}
	return out, err
}

func (w *walk) must(h *lab.Host, command string) string {
	w.t.Helper()
	out, err := w.on(h, command)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// soon repeats a command until it says what is wanted.
func (w *walk) soon(h *lab.Host, command, want string) string {
	w.t.Helper()
	for until := time.Now().Add(90 * time.Second); ; time.Sleep(300 * time.Millisecond) {
		out, err := h.Run(w.t.Context(), "("+command+") 2>&1")
		if err == nil && regexp.MustCompile(want).MatchString(out) {
			return w.must(h, command)
		}
		if time.Now().After(until) {
			w.t.Fatalf("%s never said %s, last (%v):\n%s", command, want, err, out)
		}
	}
}

// says holds a text to words that must be in it.
func (w *walk) says(out string, words ...string) {
	w.t.Helper()
	for _, word := range words {
		if !strings.Contains(out, word) {
			w.t.Errorf("it doesn't say %q:\n%s", word, out)
		}
	}
}

// build makes packages of a version.
func build(t *testing.T, version, programs string) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "../../packaging/build", "amd64")
	cmd.Env = append(os.Environ(), "DIST="+dir, "VERSION="+version, "PROGRAMS="+programs, "COMPRESSION=gzip", "FORMATS=deb")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("packaging/build: %v\n%s", err, out)
	}
	return dir
}

// otherDefault gives a package another default of the settings, as a version with a
// new key has.
func otherDefault(t *testing.T, dir string) {
	t.Helper()
	const script = `set -e
dpkg-deb -R "$1"/avstem-agent_*.deb "$2/root"
echo '# a key of the new version' >>"$2/root/usr/share/avstem-agent/agent.yaml"
dpkg-deb -Zgzip -b "$2/root" "$1"/avstem-agent_*.deb`
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", script, "sh", dir, t.TempDir()).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func put(t *testing.T, h *lab.Host, dir, program string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, program+"_*.deb"))
	if err != nil || len(found) != 1 {
		t.Fatalf("there are %v, %v; want one package", found, err)
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Run(t.Context(), "rm -f /root/"+program+"_*.deb"); err != nil {
		t.Fatal(err)
	}
	if err := h.Put(t.Context(), "/root/"+filepath.Base(found[0]), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestInstall(t *testing.T) {
	todo := commands(t)
	old, next := build(t, "1.0.0", "avstem avstem-agent"), build(t, "1.1.0", "avstem-agent")
	otherDefault(t, next)
	l := lab.ForTest(t, lab.Options{Hosts: 3, Container: true})
	server, first, second := l.Host(0), l.Host(1), l.Host(2)
	put(t, server, old, "avstem")
	put(t, first, old, "avstem-agent")
	put(t, second, old, "avstem-agent")

	run := func(name string, f func(w *walk)) {
		if !t.Failed() {
			t.Run(name, func(t *testing.T) { f(&walk{t: t}) })
		}
	}
	token := regexp.MustCompile(`avstem1\.[A-Za-z0-9_-]+`)
	var given string
	run("the server, by the page", func(w *walk) {
		var all string
		for _, command := range todo["server"][:4] {
			all += w.must(server, command) + "\n"
		}
		given = token.FindString(all)
		w.says(all, "made ", "started ", "There is nothing to do")
		if strings.Count(all, "avstem1.") != 1 {
			w.t.Error("there is not one token")
		}
		w.says(w.must(server, "systemctl is-active avstem; stat -c %U /var/lib/avstem-server/auth"), "active\navstem")
	})
	// A host without libvirt, which sees no VM and says so.
	run("a host without libvirt, by the page", func(w *walk) {
		w.must(first, "systemctl stop libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd; systemctl mask libvirtd.socket libvirtd-ro.socket libvirtd; rm -rf /run/libvirt")
		w.words = strings.NewReplacer("SERVER", server.Address(), "TOKEN", given)
		for _, command := range todo["host"] {
			w.must(first, command)
		}
		w.says(w.must(first, "avstem-agent doctor"), "refused, as it should be")
		w.soon(server, todo["server"][4], first.Name()+" .* live ")
	})
	run("a second host, with a token of its own", func(w *walk) {
		startVM(w, second)
		made := token.FindString(w.must(server, "avstem enroll token --host "+second.Name()+" --auto-approve"))
		w.words = strings.NewReplacer("SERVER", server.Address(), "TOKEN", made)
		for _, command := range todo["host"] {
			w.must(second, command)
		}
		w.soon(server, todo["server"][4], "2 of 2 live")
		w.says(w.soon(server, todo["server"][5], second.Name()+" +medium|host.unknown +"+second.Name()), "vm.unknown") // they are pending before
		if out, err := w.on(second, "avstem-agent enroll --no-start --server "+server.Address()+":4223 --token "+made); err == nil {
			w.t.Errorf("a code holds twice: %s", out)
		}
	})
	run("what runs is written down, and nothing differs", func(w *walk) {
		var all string
		for _, command := range todo["adopt"][:1] {
			all += w.must(server, command)
		}
		w.says(all, "/etc/avstem/inventory/adopted.yaml")
		w.says(w.must(server, "cat /etc/avstem/inventory/adopted.yaml"), "name: shop-01", "memory: 32MiB", "tenant: acme")
		w.soon(server, todo["adopt"][1], "(?i)no drift|nothing")
	})
	run("a VM that is changed by virsh is found", func(w *walk) { changeVM(w, server, second) })
	run("a reboot", func(w *walk) {
		if err := second.Reboot(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		w.soon(second, "systemctl status --no-pager avstem-agent", "1 VM, .*published")
		w.soon(server, "avstem hosts", "2 of 2 live")
	})
	run("libvirtd that is stopped, and its VM is missed by nobody", func(w *walk) { stopLibvirtd(w, server, second) })
	run("a socket that is forbidden is named, with what to type", func(w *walk) { forbidSocket(w, server, second) })
	run("a wrong file is named by line and key", func(w *walk) {
		w.must(second, "echo 'interval: soon' >>/etc/avstem/agent.yaml")
		_, err := w.on(second, "systemctl restart avstem-agent && sleep 1 && systemctl is-active avstem-agent")
		if err == nil {
			w.t.Error("it runs")
		}
		w.soon(second, "journalctl -u avstem-agent -n 40 -o cat", `/etc/avstem/agent\.yaml:[0-9]+: interval: `)
		_, _ = w.on(second, "systemctl status --no-pager avstem-agent") // for the log: it fails, as the service does
		w.must(second, "sed -i '/^interval: soon/d' /etc/avstem/agent.yaml; systemctl reset-failed avstem-agent; systemctl restart avstem-agent")
	})
	run("credentials that are lost are missed by name", func(w *walk) {
		w.must(second, "mv /var/lib/avstem/nats.creds /var/lib/avstem/kept; systemctl restart avstem-agent || true")
		out, err := w.on(second, "avstem-agent doctor")
		if err == nil {
			w.t.Error("doctor finds nothing")
		}
		w.says(out, "broken", "type: ")
		w.must(second, "mv /var/lib/avstem/kept /var/lib/avstem/nats.creds; systemctl reset-failed avstem-agent; systemctl restart avstem-agent")
		w.soon(server, "avstem hosts", "2 of 2 live")
	})
	run("a full state directory is named, and nothing is lost", func(w *walk) {
		before := w.must(second, "avstem-agent identity show")
		w.must(second, `systemctl stop avstem-agent; cp -a /var/lib/avstem /var/lib/kept; mount -t tmpfs -o size=128k,mode=700,uid=$(id -u avstem-agent),gid=$(id -g avstem-agent) tmpfs /var/lib/avstem; cp -a /var/lib/kept/. /var/lib/avstem; dd if=/dev/zero of=/var/lib/avstem/fill bs=4k 2>/dev/null || true; systemctl start --no-block avstem-agent; sleep 3`)
		out, err := w.on(second, "avstem-agent doctor")
		if err == nil {
			w.t.Error("doctor finds nothing")
		}
		w.says(out, "no space left on device", "df -h /var/lib/avstem")
		w.soon(second, "journalctl -u avstem-agent -n 40 -o cat", "no space left on device: make room in /var/lib/avstem")
		w.must(second, "systemctl stop avstem-agent; umount /var/lib/avstem; rm -rf /var/lib/kept; systemctl reset-failed avstem-agent; systemctl start avstem-agent")
		id := regexp.MustCompile(`[0-9a-f-]{36}`)
		if after := w.must(second, "avstem-agent identity show"); id.FindString(after) != id.FindString(before) {
			w.t.Error("it is another host")
		}
		w.soon(server, "avstem hosts", "2 of 2 live")
	})
	run("an agent that hangs is killed and started again", func(w *walk) {
		w.must(second, "mkdir -p /run/systemd/system/avstem-agent.service.d; printf '[Service]\\nWatchdogSec=8\\nRestartSec=1\\n' >/run/systemd/system/avstem-agent.service.d/quick.conf; systemctl daemon-reload; systemctl restart avstem-agent; kill -STOP $(systemctl show --value -p MainPID avstem-agent)")
		w.soon(second, "systemctl show -p NRestarts,ActiveState avstem-agent; journalctl -u avstem-agent -o cat | grep -i watchdog", "(?s)NRestarts=1.*ActiveState=active|(?s)ActiveState=active.*NRestarts=1")
		w.must(second, "rm -r /run/systemd/system/avstem-agent.service.d; systemctl daemon-reload; systemctl restart avstem-agent")
	})
	run("an upgrade while it runs, and back", func(w *walk) {
		w.must(second, "echo '# written by its operator' >>/etc/avstem/agent.yaml")
		for _, dir := range []string{next, old} {
			put(w.t, second, dir, "avstem-agent")
			before := w.must(second, "systemctl show --value -p MainPID avstem-agent")
			for _, command := range todo["upgrade-host"] {
				w.must(second, command)
			}
			if after := w.must(second, "systemctl show --value -p MainPID avstem-agent"); after == before {
				w.t.Error("it was not started again")
			}
			w.soon(server, "avstem hosts", "(?s)"+second.Name()+" .* live .*"+map[string]string{next: "1.1.0", old: "1.0.0"}[dir])
			// Whoever set something isn't asked about it.
			w.says(w.must(second, "ls /etc/avstem; tail -n 1 /etc/avstem/agent.yaml /usr/share/avstem-agent/agent.yaml"),
				"agent.yaml\n==>", "# written by its operator", map[string]string{next: "# a key of the new version", old: "/usr/share/avstem-agent/agent.yaml"}[dir])
		}
	})
	run("removing leaves the state, purging nothing", func(w *walk) {
		for _, command := range todo["remove-host"] {
			w.must(second, command)
		}
		w.says(w.must(second, "ls /var/lib/avstem; id -un avstem-agent"), "host-id", "avstem-agent")
		for _, command := range todo["purge-host"] {
			w.must(second, command)
		}
		gone := "ls -d /var/lib/avstem /etc/avstem /run/avstem-agent /usr/lib/systemd/system/avstem-agent* /etc/systemd/system/*/avstem-agent* 2>/dev/null; getent passwd avstem-agent; systemctl list-unit-files --no-legend 'avstem*'; systemctl list-units --no-legend --state=active,failed 'avstem*'"
		if out, _ := w.on(second, gone); out != "" {
			w.t.Errorf("this is left:\n%s", out)
		}
		for _, command := range todo["purge-server"] {
			w.must(server, command)
		}
		if left := w.must(server, "ls /etc/avstem /etc/avstem/inventory"); left != "/etc/avstem:\ninventory\n\n/etc/avstem/inventory:\nadopted.yaml\nsite.yaml" {
			w.t.Errorf("of an inventory in which somebody has written, this is left:\n%s", left)
		}
		for _, command := range todo["purge-inventory"] {
			w.must(server, command)
		}
		gone = strings.NewReplacer("avstem-agent", "avstem", "/var/lib/avstem ", "/var/lib/avstem-server /var/lib/avstem-report ").Replace(gone)
		if out, _ := w.on(server, gone); out != "" {
			w.t.Errorf("this is left:\n%s", out)
		}
	})
}
