package doctor

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/bus"
)

const (
	// skewTold and skewBad are how far a clock may be off. Nothing is ordered by
	// clocks, but certificates, "since" and the age of documents are read by people.
	skewTold = 2 * time.Second
	skewBad  = time.Minute
	// roomTold and roomBad are free bytes below which a directory is short of room.
	roomTold = 100 << 20
	roomBad  = 1 << 20
)

// StateDirectory tries to write a file in a directory, and looks at its room. User is
// whose it is, and means what it leads to if nothing can be written.
func StateDirectory(dir, user, means string) Result {
	const check = "state directory"
	if above, missing := firstThere(dir); missing {
		return judgeMissing(check, dir, above, unix.Access(above, unix.W_OK|unix.X_OK))
	}
	tried := "write a file in " + dir
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err == nil {
		_, err = f.Write(make([]byte, 64<<10))
		err = errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
	}
	if err != nil {
		return judgeWrite(check, tried, dir, user, means, err)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return Weak(check, tried, "written, but its room can't be read: "+err.Error(), "", "")
	}
	return judgeRoom(check, tried, dir, fs.Bavail*uint64(fs.Bsize)) //nolint:unconvert // Bsize differs by architecture
}

// firstThere is the first directory on the way up that is there, and whether that is
// another than dir.
func firstThere(dir string) (above string, missing bool) {
	for above = dir; filepath.Dir(above) != above; above = filepath.Dir(above) {
		if _, err := os.Lstat(above); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return above, above != dir
}

// judgeMissing judges a directory that the agent's first start makes, if it may.
func judgeMissing(check, dir, above string, mayMake error) Result {
	tried := "look for " + dir
	if mayMake != nil {
		return Weak(check, tried, fmt.Sprintf("it isn't there yet, and can't be made in %s by this user: %v", above, mayMake), "identity and epoch have no place yet",
			"systemctl start avstem-agent (it makes the directory), or install -d -o avstem-agent -m 700 "+dir)
	}
	return Good(check, tried, "it isn't there yet: the agent's first start makes it")
}

func judgeWrite(check, tried, dir, user, means string, err error) Result {
	switch {
	case errors.Is(err, syscall.EROFS):
		return Bad(check, tried, err, means, "mount the file system of "+dir+" for writing; in a service: StateDirectory= in its unit")
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return Bad(check, tried, err, means, "make room: df -h "+dir)
	case errors.Is(err, os.ErrPermission):
		return Bad(check, tried, err, means, "run this as root, which takes the service's rights for it; if it says the same: chown -R "+user+": "+dir)
	}
	return Bad(check, tried, err, means, "ls -ld "+dir)
}

func judgeRoom(check, tried, dir string, free uint64) Result {
	room := fmt.Sprintf("written; %d MiB free", free>>20)
	switch {
	case free < roomBad:
		return Bad(check, tried, errors.New(room), "the next write will fail", "make room: df -h "+dir)
	case free < roomTold:
		return Weak(check, tried, room, "it is about to be full", "make room: df -h "+dir)
	}
	return Good(check, tried, room)
}

// Connection judges an attempt to connect.
func Connection(tried string, conn *bus.Conn, err error) Result {
	const check = "NATS"
	const means = "nothing is published or read"
	if err == nil {
		return Good(check, tried, "connected to "+conn.Server())
	}
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	text := err.Error()
	switch {
	case errors.As(err, &dns):
		return Bad(check, tried, err, means, "getent hosts "+dns.Name+"; see /etc/resolv.conf, or name the server by its address")
	case errors.As(err, &unknown) || strings.Contains(text, "certificate signed by unknown authority"):
		return Bad(check, tried, err, means, "name the authority that signed the server's certificate: ca: /etc/avstem/ca.pem")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired || strings.Contains(text, "certificate has expired"):
		return Bad(check, tried, err, means, "date (is this clock right?); else renew the server's certificate")
	case errors.As(err, &host) || strings.Contains(text, "certificate is valid for"):
		return Bad(check, tried, err, means, "name the server as its certificate does, or give it one with this name")
	case errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) || strings.Contains(text, "Authorization Violation"):
		return Bad(check, tried, err, means, "ask for new credentials, and name them: creds: /etc/avstem/agent.creds")
	case errors.Is(err, fs.ErrPermission):
		return Bad(check, tried, err, means, "let the service's user read that file, and nobody else: chown and chmod 600, or a systemd credential")
	case errors.Is(err, nats.ErrNoServers) || errors.Is(err, syscall.ECONNREFUSED):
		return Bad(check, tried, err, means, "see that the server runs and that no firewall is between: nc -zv HOST 4222")
	}
	var none *bus.NoServerError
	if errors.As(err, &none) {
		return Bad(check, tried, err, means, "name one in /etc/avstem: server: tls://nats.example.net (looked for "+strings.Join(none.Tried, "; ")+")")
	}
	return Bad(check, tried, err, means, "avstem-agent config show")
}

// Clock holds our clock against the server's, of a message that it stamped. The
// time the question took is what can't be told.
func Clock(tried string, ours, theirs time.Time, took time.Duration) Result {
	const check = "clock"
	skew := ours.Sub(theirs)
	found := fmt.Sprintf("%s off, give or take %s", skew.Round(time.Millisecond).String(), took.Round(time.Millisecond))
	off := max(skew, -skew) - took
	const do = "timedatectl set-ntp true; timedatectl timesync-status"
	switch {
	case off > skewBad:
		return Bad(check, tried, errors.New(found), "certificates and credentials look expired or not valid yet, and ages are wrong", do)
	case off > skewTold:
		return Weak(check, tried, found, "ages that are shown are wrong by as much", do)
	}
	return Good(check, tried, found)
}

// Version judges the server's.
func Version(conn *bus.Conn) Result {
	const check, tried = "NATS version", "compare the server's version with " + bus.MinServer
	if err := conn.CheckServer(); err != nil {
		return Bad(check, tried, err, "it can lose what it acknowledged, and avstem refuses it", "upgrade nats-server to "+bus.MinServer+" or newer")
	}
	return Good(check, tried, conn.NATS().ConnectedServerVersion())
}

// TLS says how the connection is kept from others.
func TLS(conn *bus.Conn, warnWithin time.Duration, now time.Time) Result {
	const check, tried = "TLS", "look at the connection"
	state, err := conn.NATS().TLSConnectionState()
	if err != nil || len(state.PeerCertificates) == 0 {
		return Good(check, tried, "none, as the server is on this machine")
	}
	until := state.PeerCertificates[0].NotAfter
	found := "verified; the server's certificate is valid until " + until.UTC().Format(time.DateOnly)
	if left := until.Sub(now); left < warnWithin {
		return Weak(check, tried, found, fmt.Sprintf("every agent is cut off in %s", left.Round(time.Hour)), "renew the server's certificate")
	}
	return Good(check, tried, found)
}

// KernelClock asks the kernel whether something keeps its clock right.
func KernelClock() Result {
	const check, tried = "clock kept", "ask the kernel whether its clock is kept right (adjtimex)"
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return judgeKept(check, tried, state, time.Duration(t.Maxerror)*time.Microsecond, err)
}

// timeError is TIME_ERROR of adjtimex(2): nothing keeps the clock.
const timeError = 5

func judgeKept(check, tried string, state int, most time.Duration, err error) Result {
	switch {
	case err != nil:
		return Skip(check, tried, err.Error())
	case state == timeError:
		return Weak(check, tried, "nothing keeps it", "it drifts by seconds a week; certificates and ages are judged by it", "timedatectl set-ntp true, or install chrony")
	}
	return Good(check, tried, fmt.Sprintf("kept, at most %s off", most.Round(time.Millisecond)))
}

// leastPayload is what documents of a full host may take, compressed.
const leastPayload = 1 << 20

// Payload judges how large a message the server takes.
func Payload(limit int64) Result {
	const check, tried = "limits", "look at how large a message the server takes"
	found := fmt.Sprintf("%d KiB", limit>>10)
	if limit < leastPayload {
		return Weak(check, tried, found, "a full host's document may be refused", "max_payload: 1MB in the NATS server's configuration")
	}
	return Good(check, tried, found)
}
