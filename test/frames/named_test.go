package frames

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

// parse reads a topology as commands, one a line. Links that begin with vnet or
// macvtap are guests', those that begin with eno are wires; "# eno1 has no
// carrier" says that nobody is at its other end.
func parse(text string) *topology {
	t := &topology{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		words := strings.Fields(line)
		switch {
		case line == "":
		case words[0] == "#":
			t.dead = append(t.dead, words[1])
		case words[0] == "ip" && words[1] == "tuntap" && strings.HasPrefix(words[3], "eno"):
			t.wires = append(t.wires, words[3])
			t.do("%s", line)
		case words[0] == "ip" && words[1] == "tuntap":
			t.nics = append(t.nics, words[3])
			t.do("%s", line)
		case strings.HasPrefix(line, "ip link add macvtap"):
			t.nics = append(t.nics, words[3])
			t.do("%s", line)
		case strings.HasSuffix(line, " down") || strings.Contains(line, " state "):
			t.after = append(t.after, line)
		default:
			t.do("%s", line)
		}
	}
	return t
}

func TestNamed(t *testing.T) {
	if !inGuest() {
		runInGuest(t, 5*time.Minute)
		return
	}
	_, err := check(parse(`
                ovs-vsctl add-br ovs0
                ip tuntap add eno1 mode tap
                ovs-vsctl add-port ovs0 eno1 tag=10
                ip tuntap add eno2 mode tap
                ovs-vsctl add-port ovs0 eno2
                ip tuntap add vnet1 mode tap
                ovs-vsctl add-port ovs0 vnet1 tag=10
                ip link set eno1 up
                ip link set eno2 up
                ip link set vnet1 up
`))
	for _, c := range []string{"ls -l /proc/self/ns; cat /proc/self/timens_offsets; cat /proc/uptime; unshare -T --monotonic 1000 true; echo $?"} {
		out, e := exec.Command("sh", "-c", c).CombinedOutput()
		t.Logf("%s: %v: %s", c, e, out)
	}
	if err != nil {
		t.Fatal(err)
	}
}
