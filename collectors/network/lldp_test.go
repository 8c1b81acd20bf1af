package network

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// element makes an element of LLDP.
func element(kind int, value string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(kind<<9|len(value))), value...)
}

// vlanElement is one of IEEE 802.1's.
func vlanElement(subtype byte, id uint16, rest string) []byte {
	v := binary.BigEndian.AppendUint16([]byte(lldp8021+string(subtype)), id)
	return element(lldpOrganization, string(v)+rest)
}

// lldpFrame is what a station sends.
func lldpFrame(elements ...[]byte) []byte {
	frame := []byte{0x01, 0x80, 0xc2, 0, 0, 0x0e, 0x52, 0x54, 0, 0xaa, 0, 0xfe, 0x88, 0xcc}
	for _, e := range elements {
		frame = append(frame, e...)
	}
	return append(frame, element(lldpEnd, "")...)
}

// switchFrame is what the port of a switch in a rack sends.
func switchFrame() []byte {
	return lldpFrame(element(lldpChassisID, "\x04\x00\x11\x22\x33\x44\x55"), element(lldpPortID, "\x05Ethernet1/7"), element(3, "\x00\x78"),
		element(lldpPortDescription, "uplink of hv-osl1-01"), element(lldpSystemName, "leaf-07"), element(6, "an operating system"),
		vlanElement(lldpPortVLAN, 110, ""), vlanElement(lldpVLANName, 110, "\x03web"), vlanElement(lldpVLANName, 120, "\x04data"))
}

func switchPort() inventory.Neighbour {
	return inventory.Neighbour{ChassisID: "00:11:22:33:44:55", PortID: "Ethernet1/7", SystemName: "leaf-07",
		PortDescription: "uplink of hv-osl1-01", VLANs: []inventory.VLAN{110, 120}}
}

func TestDecodeLLDP(t *testing.T) {
	tests := []struct {
		name  string
		frame []byte
		want  inventory.Neighbour
		fails bool
	}{
		{"switch", switchFrame(), switchPort(), false},
		{"padded to 60 bytes", append(lldpFrame(element(1, "\x07x"), element(2, "\x07y")), make([]byte, 30)...),
			inventory.Neighbour{ChassisID: "x", PortID: "y"}, false},
		{"ends without an end", lldpFrame(element(1, "\x07x"), element(2, "\x07y"))[:14+8], inventory.Neighbour{ChassisID: "x", PortID: "y"}, false},
		{"addresses", lldpFrame(element(1, "\x05\x01\xc0\x00\x02\x01"), element(2, "\x04\x02"+strings.Repeat("\x20", 16))),
			inventory.Neighbour{ChassisID: "192.0.2.1", PortID: "2020:2020:2020:2020:2020:2020:2020:2020"}, false},
		{"address of another family", lldpFrame(element(1, "\x05\x06\x01\x02"), element(2, "\x03\x00\x11\x22\x33\x44\x66")),
			inventory.Neighbour{ChassisID: "060102", PortID: "00:11:22:33:44:66"}, false},
		{"IPv4 that calls itself IPv6", lldpFrame(element(1, "\x05\x02\xc0\x00\x02\x01"), element(2, "\x07y")),
			inventory.Neighbour{ChassisID: "02c0000201", PortID: "y"}, false},
		{"names that are no text", lldpFrame(element(1, "\x07\x00\x01"), element(2, "\x07\xff"), element(lldpSystemName, "\x1b[2J"), element(lldpPortDescription, "a\x00")),
			inventory.Neighbour{ChassisID: "0001", PortID: "ff", PortDescription: "a"}, false},
		{"VLANs that are none", lldpFrame(element(1, "\x07x"), element(2, "\x07y"), vlanElement(lldpPortVLAN, 0, ""), vlanElement(lldpVLANName, 4095, "\x00"),
			element(lldpOrganization, lldp8021+"\x01\x00"), element(lldpOrganization, "\x00\x12\x0f\x01\x00\x6e")),
			inventory.Neighbour{ChassisID: "x", PortID: "y"}, false},
		{"chassis without a name", lldpFrame(element(1, "\x04"), element(2, "\x07y")), inventory.Neighbour{}, true},
		{"chassis with half a MAC", lldpFrame(element(1, "\x04\x00\x11"), element(2, "\x07y")), inventory.Neighbour{}, true},
		{"no port", lldpFrame(element(1, "\x07x")), inventory.Neighbour{}, true},
		{"element that ends too late", append(lldpFrame()[:14], 0x02, 0xff, 7), inventory.Neighbour{}, true},
		{"half an element", append(lldpFrame()[:14], 0x02), inventory.Neighbour{}, true},
		{"another protocol", append(make([]byte, 12), 0x08, 0x00), inventory.Neighbour{}, true},
		{"nothing", nil, inventory.Neighbour{}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := decodeLLDP(tt.frame)
			if (err != nil) != tt.fails {
				t.Errorf("error %v", err)
			}
			if diff := cmp.Diff(tt.want, got); err == nil && diff != "" {
				t.Errorf("neighbour (-want +got):\n%s", diff)
			}
		})
	}
}

// framed puts frames into a file as networkd does.
func framed(frames ...[]byte) (b []byte) {
	for _, f := range frames {
		b = append(binary.LittleEndian.AppendUint64(b, uint64(len(f))), f...)
	}
	return b
}

func TestDecodeNetworkdKeepsWhatItCan(t *testing.T) {
	other := lldpFrame(element(1, "\x07other"), element(2, "\x07y"))
	many := make([][]byte, maxNeighbours+1)
	for i := range many {
		many[i] = other
	}
	tests := map[string]struct {
		file  []byte
		heard int
		fails bool
	}{
		"none":                {nil, 0, false},
		"two":                 {framed(switchFrame(), other), 2, false},
		"one bad in between":  {framed(switchFrame(), []byte("x"), other), 2, true},
		"cut off in a frame":  {framed(switchFrame(), other)[:150], 1, true},
		"cut off in a length": {framed(switchFrame(), other)[:len(framed(switchFrame()))+3], 1, true},
		"longer than it is":   {append(framed(switchFrame()), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1), 1, true},
		"too many":            {framed(many...), maxNeighbours, true},
	}
	for name, tt := range tests {
		if heard, err := decodeNetworkd(tt.file); len(heard) != tt.heard || (err != nil) != tt.fails {
			t.Errorf("%s: %d neighbours, error %v", name, len(heard), err)
		}
	}
}

func FuzzLLDP(f *testing.F) {
	f.Add(framed(switchFrame()))
	f.Add(framed(lldpFrame(element(1, "\x05\x01\xc0\x00\x02\x01"), element(2, "\x04\x02"+strings.Repeat("\x20", 16)))))
	f.Fuzz(func(t *testing.T, file []byte) {
		heard, _ := decodeNetworkd(file)
		checkHeard(t, heard)
	})
}

// checkHeard holds whatever came from the wire to what may be shown.
func checkHeard(t *testing.T, heard []inventory.Neighbour) {
	t.Helper()
	for _, n := range heard {
		if n.ChassisID == "" || n.PortID == "" {
			t.Errorf("neighbour %+v has no name", n)
		}
	}
	data, err := json.Marshal(heard)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, new([]inventory.Neighbour)); err != nil {
		t.Errorf("read back %s: %v", data, err)
	}
	var fields []map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Errorf("read back %s: %v", data, err)
	}
	for _, neighbour := range fields {
		for field, value := range neighbour {
			if text, is := value.(string); is && strings.ContainsFunc(text, unicode.IsControl) {
				t.Errorf("%s holds a control character: %q", field, text)
			}
		}
	}
}

// station is a link with a switch at its other end, and a /run of its own for
// the daemon that listens there.
type station struct {
	t    *testing.T
	n    *namespace
	root string
}

func newStation(t *testing.T) *station {
	s := &station{t, newNamespace(t), openDir(t)}
	s.n.add(&netlink.Veth{LinkAttrs: attrs("eno1", 1), PeerName: "switch", PeerHardwareAddr: attrs("", 2).HardwareAddr})
	s.n.up("eno1", "switch")
	for _, dir := range []string{"run", "sys"} {
		s.n.must(os.Mkdir(filepath.Join(s.root, dir), 0o755))
	}
	return s
}

// daemon runs a script in a mount namespace in which the station's run is /run,
// and sees its network namespace's sysfs. It is killed with the test.
func (s *station) daemon(script string) *exec.Cmd {
	s.t.Helper()
	log, err := os.Create(filepath.Join(s.root, "log"))
	s.n.must(err)
	defer log.Close()
	cmd := exec.Command("/bin/sh", "-ec", "mount --make-rprivate / && mount --bind "+s.root+"/run /run && mount -t sysfs -o ro sysfs /sys && "+script)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Setpgid: true}
	s.n.do(cmd.Start)
	s.t.Cleanup(func() {
		_ = unix.Kill(-cmd.Process.Pid, unix.SIGTERM)
		done := time.AfterFunc(10*time.Second, func() { _ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL) })
		_ = cmd.Wait()
		done.Stop()
		if s.t.Failed() {
			said, _ := os.ReadFile(filepath.Join(s.root, "log"))
			s.t.Logf("the daemon said:\n%s", said[max(0, len(said)-2000):])
		}
	})
	return cmd
}

// send sends a frame as the switch does.
func (s *station) send(frame []byte) {
	s.t.Helper()
	s.n.do(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: s.n.link("switch").Attrs().Index})
	})
}

// observe makes a pass that finds the station's files.
func (s *station) observe() *inventory.Observation {
	return collect(s.t, &Collector{NetNS: s.n.path(), Root: s.root})
}

// hears sends the frames until the collector reports neighbours of eno1, since
// nobody says when the daemon has begun to listen.
func (s *station) hears(want []inventory.Neighbour, frames ...[]byte) {
	s.t.Helper()
	var o *inventory.Observation
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		for _, frame := range frames {
			s.send(frame)
		}
		if o = s.observe(); len(linkNamed(s.t, o, "eno1").Neighbours) == len(want) {
			break
		}
	}
	if diff := cmp.Diff(want, linkNamed(s.t, o, "eno1").Neighbours); diff != "" {
		s.t.Fatalf("neighbours (-want +got):\n%s\nproblems %v", diff, o.Problems)
	}
}

// linkSysfs is what the daemon's sysfs says of eno1's index.
func (s *station) linkSysfs() {
	s.t.Helper()
	dir := filepath.Join(s.root, "sys/class/net/eno1")
	s.n.must(os.MkdirAll(dir, 0o755))
	s.n.must(os.WriteFile(filepath.Join(dir, "ifindex"), fmt.Appendln(nil, s.n.link("eno1").Attrs().Index), 0o644))
}

func TestNeighboursFromNetworkd(t *testing.T) {
	s := newStation(t)
	s.linkSysfs()
	s.daemon(`mkdir -p /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
		chown -R systemd-network:systemd-network /run/systemd/netif
		printf '[Match]\nName=eno1\n[Network]\nLLDP=yes\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n' > /run/systemd/network/10-eno1.network
		exec /lib/systemd/systemd-networkd`)
	other := inventory.Neighbour{ChassisID: "other", PortID: "y"}
	s.hears([]inventory.Neighbour{switchPort()}, switchFrame())
	s.hears([]inventory.Neighbour{switchPort(), other}, lldpFrame(element(1, "\x07other"), element(2, "\x07y"), element(3, "\x00\x78")))
	golden(t, "lldp.json", settleTime, s.observe)

	// A file about a link of that index in another namespace isn't about this one.
	s.n.must(os.WriteFile(filepath.Join(s.root, "sys/class/net/eno1/ifindex"), []byte("99\n"), 0o644))
	if heard := linkNamed(t, s.observe(), "eno1").Neighbours; heard != nil {
		t.Errorf("neighbours of another namespace's link: %v", heard)
	}
}

func TestNeighboursFromLLDPD(t *testing.T) {
	s := newStation(t)
	cmd := s.daemon(`mkdir -p /run/lldpd; exec lldpd -d -u /run/lldpd.socket -I eno1`)
	plain := lldpFrame(element(1, "\x07other"), element(2, "\x07y"), element(3, "\x00\x78"))
	s.hears([]inventory.Neighbour{switchPort()}, switchFrame())
	s.hears([]inventory.Neighbour{switchPort(), {ChassisID: "other", PortID: "y"}}, plain)
	if *update {
		recordLLDPD(t, s)
	}

	t.Run("refused to others", func(t *testing.T) {
		o := observeAsNobody(t, s.n, s.root)
		p, hidden := o.ProblemOf("link:eno1", "link.neighbours")
		if !hidden || p.Why != inventory.WhyRefused || !strings.Contains(p.Remedy, "_lldpd") || !o.Complete {
			t.Errorf("complete %t, problem %+v", o.Complete, p)
		}
	})
	t.Run("link of that name elsewhere", func(t *testing.T) {
		elsewhere := newNamespace(t)
		elsewhere.add(&netlink.Bridge{LinkAttrs: attrs("decoy", 3)})
		elsewhere.add(&netlink.Bridge{LinkAttrs: attrs("decoy2", 4)})
		elsewhere.add(&netlink.Veth{LinkAttrs: attrs("eno1", 2), PeerName: "elsewhere"})
		if heard := linkNamed(t, collect(t, &Collector{NetNS: elsewhere.path(), Root: s.root}), "eno1").Neighbours; heard != nil {
			t.Errorf("neighbours of another namespace's link: %v", heard)
		}
	})
	t.Run("hung", func(t *testing.T) {
		s.n.must(unix.Kill(-cmd.Process.Pid, unix.SIGSTOP))
		defer unix.Kill(-cmd.Process.Pid, unix.SIGCONT)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		o := (&collectors.Runner{Collector: &Collector{NetNS: s.n.path(), Root: s.root}}).Run(ctx)
		if p, hidden := o.ProblemOf("link:eno1", "link.neighbours"); !hidden || p.Why != inventory.WhyTimedOut || !o.Complete {
			t.Errorf("complete %t, problem %+v", o.Complete, p)
		}
	})
}

// fakeLLDPD is a server at lldpd's socket that answers whatever it is asked with
// one message.
func fakeLLDPD(t *testing.T, answer []byte) (root string) {
	t.Helper()
	root = openDir(t)
	if err := os.Mkdir(filepath.Join(root, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", filepath.Join(root, lldpdSocket))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write(answer)
			_ = conn.Close()
		}
	}()
	return root
}

func TestLLDPDOfAnotherForm(t *testing.T) {
	message := func(kind uint32, size uint64, payload ...byte) []byte {
		b := binary.NativeEndian.AppendUint64(nil, uint64(kind))
		return append(binary.NativeEndian.AppendUint64(b, size), payload...)
	}
	for name, answer := range map[string][]byte{
		"another message":    message(9, 0),
		"too large":          message(lldpdGetInterfaces, 1<<40),
		"cut off":            message(lldpdGetInterfaces, 100, 1, 2, 3),
		"no tree":            message(lldpdGetInterfaces, 16, make([]byte, 16)...),
		"no protocol at all": []byte("HTTP/1.0 400 Bad Request\r\n\r\n"),
		"nothing":            nil,
	} {
		o := collect(t, &Collector{NetNS: newNamespace(t).path(), Root: fakeLLDPD(t, answer)})
		p, hidden := o.ProblemOf("link:lo", "link.neighbours")
		if !hidden || p.Why != inventory.WhyBroken || !strings.Contains(p.Remedy, "1.0.14 to 1.0.22") || !o.Complete {
			t.Errorf("%s: complete %t, problem %+v", name, o.Complete, p)
		}
	}
}

// What lldpd left behind is as good as not there.
func TestSocketThatLLDPDLeft(t *testing.T) {
	root := fakeLLDPD(t, nil)
	socket := filepath.Join(root, lldpdSocket)
	if err := errors.Join(os.Remove(socket), os.WriteFile(socket, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	o := collect(t, &Collector{NetNS: newNamespace(t).path(), Root: root})
	if p, hidden := o.ProblemOf("link:lo", "link.neighbours"); !hidden || p.Why != inventory.WhyAbsent {
		t.Errorf("problem %+v", p)
	}
}
