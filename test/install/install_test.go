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

// steps gives what runs one step after the other, as long as none fails.
func steps(t *testing.T) func(name string, f func(w *walk)) {
	return func(name string, f func(w *walk)) {
		if !t.Failed() {
			t.Run(name, func(t *testing.T) { f(&walk{t: t}) })
		}
	}
}

// isLive is what avstem hosts says of a host, and of its agent's version.
func isLive(h *lab.Host, version string) string {
	return "(?m)^" + h.Name() + " .* live .*" + regexp.QuoteMeta(version)
}

// build makes packages of a version.
func build(t *testing.T, version, programs string) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "../../packaging/build", "amd64")
	cmd.Env = append(os.Environ(), "DIST="+dir, "VERSION="+version, "PROGRAMS="+programs, "COMPRESSION=gzip:1", "FORMATS=deb")
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

	run := steps(t)
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
		w.soon(server, todo["server"][5], `(?s)host\.unknown +`+second.Name()+`.* vm\.unknown`) // they are pending before, each for itself
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
	// What goes wrong with either host, at one time: with its VM, and with its agent.
	run("both hosts", func(w *walk) {
		w.t.Run("with a VM", func(t *testing.T) {
			t.Parallel()
			breakRuntime(t, server, second)
		})
		w.t.Run("without", func(t *testing.T) {
			t.Parallel()
			breakAgent(t, server, first, todo["upgrade-host"], old, next)
		})
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
