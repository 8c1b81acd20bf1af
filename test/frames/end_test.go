package frames

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// end is where frames enter and leave: what QEMU holds of a tap or a macvtap, or
// the cable of a physical link.
type end struct {
	name string
	fd   int
}

// attach opens a tap that is there already, as QEMU does. Without anybody at its
// other end a tap has no carrier.
func attach(name string) (*end, error) {
	path := "/dev/net/tun"
	if strings.HasPrefix(name, "macvtap") {
		var err error
		if path, err = macvtapDevice(name); err != nil {
			return nil, err
		}
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s for %s: %w", path, name, err)
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("attach to %s: %w", name, err)
	}
	return &end{name, fd}, nil
}

// macvtapDevice makes the device file of a macvtap, which udev does elsewhere.
func macvtapDevice(name string) (string, error) {
	dir := "/sys/class/net/" + name
	index, err := os.ReadFile(dir + "/ifindex")
	if err != nil {
		return "", err
	}
	tap := "tap" + strings.TrimSpace(string(index))
	numbers, err := os.ReadFile(dir + "/macvtap/" + tap + "/dev")
	if err != nil {
		return "", err
	}
	major, minor, _ := strings.Cut(strings.TrimSpace(string(numbers)), ":")
	ma, err := strconv.ParseUint(major, 10, 32)
	if err != nil {
		return "", err
	}
	mi, err := strconv.ParseUint(minor, 10, 32)
	if err != nil {
		return "", err
	}
	path := "/dev/" + tap
	_ = os.Remove(path) // of a link that had the index before
	return path, unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(uint32(ma), uint32(mi))))
}

func (e *end) close() { unix.Close(e.fd) }

// send puts a frame in. A link that is down takes none.
func (e *end) send(frame []byte) error {
	_, err := unix.Write(e.fd, frame)
	if err == unix.EIO || err == unix.ENETDOWN {
		return nil
	}
	return err
}

// probe is a frame that was sent.
type probe struct {
	from string
	tags stack
}

func (p probe) String() string { return fmt.Sprintf("a frame sent by %s %s", p.from, p.tags) }

// arrival is how it arrived somewhere.
type arrival struct {
	at   string
	tags stack
}

// exchange sends probes, each by its end, and listens at every end until nothing
// has come for a while.
func exchange(ends map[string]*end, probes []probe, quiet time.Duration) ([][]arrival, error) {
	for i, p := range probes {
		if err := ends[p.from].send(encode(byte(i), p.tags, uint32(i))); err != nil {
			return nil, fmt.Errorf("send %s: %w", p, err)
		}
	}
	var polled []unix.PollFd
	var names []string
	for name, e := range ends {
		polled = append(polled, unix.PollFd{Fd: int32(e.fd), Events: unix.POLLIN})
		names = append(names, name)
	}
	arrived := make([][]arrival, len(probes))
	buffer := make([]byte, 2048)
	limit := time.Now().Add(20 * time.Second)
	for last := time.Now(); ; {
		wait := time.Until(last.Add(quiet))
		if wait <= 0 {
			return arrived, nil
		}
		if time.Now().After(limit) {
			return nil, fmt.Errorf("frames go on for 20 s: they run in a circle")
		}
		if _, err := unix.Poll(polled, int(wait.Milliseconds())+1); err != nil && err != unix.EINTR {
			return nil, err
		}
		for i := range polled {
			for {
				n, err := unix.Read(int(polled[i].Fd), buffer)
				if err != nil || n <= 0 {
					break
				}
				if tags, number, ok := decode(buffer[:n]); ok && int(number) < len(probes) {
					arrived[number] = append(arrived[number], arrival{names[i], tags})
					last = time.Now()
				}
			}
		}
	}
}
