package qemu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// process is one QEMU process.
type process struct {
	stat
	pid int
	inv *invocation
}

// stat is what is read of /proc/PID/stat.
type stat struct {
	state   byte
	parent  int
	threads int
	started uint64 // in clock ticks since the host's boot: with the PID it names a process
}

// parseStat reads /proc/PID/stat. The name in it may hold anything, spaces and
// parentheses too, so the fields are counted from its last parenthesis.
func parseStat(data []byte) (stat, error) {
	end := bytes.LastIndexByte(data, ')')
	fields := bytes.Fields(data[end+1:])
	if end < 0 || len(fields) < 20 || len(fields[0]) != 1 {
		return stat{}, errors.New("it isn't the status of a process")
	}
	parent, err := strconv.Atoi(string(fields[1]))
	threads, err2 := strconv.Atoi(string(fields[17]))
	started, err3 := strconv.ParseUint(string(fields[19]), 10, 64)
	return stat{fields[0][0], parent, threads, started}, errors.Join(err, err2, err3)
}

func (c *Collector) stat(pid int) (stat, error) {
	data, err := collectors.ReadFile(c.Root, procFile(pid, "stat"))
	if err != nil {
		return stat{}, err
	}
	s, err := parseStat(data)
	if err != nil {
		err = fmt.Errorf("read %s: %w", procFile(pid, "stat"), err)
	}
	return s, err
}

func procFile(pid int, name string) string { return fmt.Sprintf("/proc/%d/%s", pid, name) }

// errHidden is why a list of processes isn't whole.
var errHidden = errors.New("the processes of others are hidden (hidepid)")

// processes lists the QEMU processes. errHidden comes beside those that show.
func (c *Collector) processes(ctx context.Context) ([]*process, error) {
	names, err := collectors.ReadNames(c.Root, "/proc")
	if err != nil {
		return nil, err
	}
	seen := map[int]*process{}
	var first bool
	hidden := false
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("list the processes: %w", err)
		}
		first = first || pid == 1
		p, err := c.process(pid, c.known)
		switch {
		case err == nil && p != nil:
			seen[pid] = p
		case errors.Is(err, fs.ErrPermission):
			hidden = true
		case err != nil && !gone(err):
			return nil, err
		}
	}
	c.known = seen
	all := make([]*process, 0, len(seen))
	for _, p := range seen {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *process) int { return a.pid - b.pid })
	if hidden || !first { // every PID namespace has a first process
		return all, errHidden
	}
	return all, nil
}

// gone says whether an error means that the process ended meanwhile.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}

// process reads one process, and gives nil where it isn't a VM's. A PID names
// another process once its own has ended, so what is read counts only where the
// same process was there before and after.
func (c *Collector) process(pid int, known map[int]*process) (*process, error) {
	data, err := collectors.ReadFile(c.Root, procFile(pid, "cmdline"))
	if err != nil {
		return nil, err
	}
	program, _, _ := bytes.Cut(data, []byte{0})
	if !isQEMU(string(program)) {
		return nil, nil
	}
	before, err := c.stat(pid)
	if err != nil {
		return nil, err
	}
	if before.state == 'Z' || before.state == 'X' {
		return nil, nil // it has ended and waits for its parent to notice
	}
	if p := known[pid]; p != nil && p.started == before.started {
		again := *p
		again.stat = before
		return &again, nil
	}
	if data, err = collectors.ReadFile(c.Root, procFile(pid, "cmdline")); err != nil {
		return nil, err
	}
	argv := strings.Split(strings.ToValidUTF8(strings.TrimSuffix(string(data), "\x00"), "\ufffd"), "\x00")
	after, err := c.stat(pid)
	if err != nil {
		return nil, err
	}
	if after.started != before.started || !isQEMU(argv[0]) {
		return nil, fs.ErrNotExist // what it was is gone; what it is now, the next pass sees
	}
	p := &process{stat: after, pid: pid, inv: parseArgs(argv)}
	if p.inv.probes {
		return nil, nil
	}
	return p, nil
}

// upThreads is how many threads a QEMU has that is up: its main one, one for
// memory that is given back, and one a vCPU.
const upThreads = 3

// withoutForks leaves one process for each VM. QEMU forks to go into the
// background, where the first process waits until the last is up, and to run a
// script: until that is done, two or three processes have one command line. The
// target of a migration on one host isn't a second VM until its source is gone.
func withoutForks(all []*process) []*process {
	same := map[string][]*process{}
	for _, p := range all {
		same[p.inv.line] = append(same[p.inv.line], p)
	}
	passing := func(p *process) bool {
		return p.threads < upThreads && slices.ContainsFunc(same[p.inv.line], func(o *process) bool {
			newer := o.started > p.started || o.started == p.started && o.pid > p.pid
			return o != p && (o.pid == p.parent || newer && p.inv.daemonized)
		})
	}
	target := func(p *process) bool {
		return p.inv.incoming && p.inv.uuid != "" && slices.ContainsFunc(all, func(o *process) bool {
			return o.inv.uuid == p.inv.uuid && !o.inv.incoming
		})
	}
	var vms []*process
	for _, p := range all {
		if !passing(p) && !target(p) {
			vms = append(vms, p)
		}
	}
	return vms
}

// descriptor is an open file of a process.
type descriptor struct{ fd, target string }

// descriptors lists what a process has open.
func (c *Collector) descriptors(p *process) ([]descriptor, error) {
	dir := procFile(p.pid, "fd")
	fds, err := collectors.ReadNames(c.Root, dir)
	if err != nil {
		return nil, err
	}
	var all []descriptor
	for _, fd := range fds {
		target, err := os.Readlink(filepath.Join("/", c.Root, dir, fd))
		switch {
		case err == nil:
			all = append(all, descriptor{fd, target})
		case !gone(err): // else it was closed meanwhile
			return nil, fmt.Errorf("read %s/%s: %w", dir, fd, errors.Unwrap(err))
		}
	}
	return all, nil
}

// tap is a descriptor that a QEMU process has of a link of the host.
type tap struct{ fd, link string }

// taps finds the taps among a process's descriptors, as the kernel tells by
// fdinfo ("iff:"), and macvtaps, whose device is called by the link's index.
func (c *Collector) taps(pid int, open []descriptor) []tap {
	var taps []tap
	for _, d := range open {
		link := ""
		if d.target == "/dev/net/tun" {
			link = c.tunLink(pid, d.fd)
		} else if index, found := strings.CutPrefix(d.target, "/dev/tap"); found {
			link = c.linkOfIndex(index)
		}
		if link != "" {
			taps = append(taps, tap{d.fd, link})
		}
	}
	return taps
}

// tunLink is the link that a descriptor of /dev/net/tun is attached to.
func (c *Collector) tunLink(pid int, fd string) string {
	data, err := collectors.ReadFile(c.Root, procFile(pid, "fdinfo/"+fd))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if name, found := strings.CutPrefix(line, "iff:"); found {
			return strings.TrimSpace(name)
		}
	}
	return ""
}

func (c *Collector) linkOfIndex(index string) string {
	links, err := collectors.ReadNames(c.Root, "/sys/class/net")
	if err != nil {
		return ""
	}
	for _, link := range links {
		if text, err := collectors.ReadText(c.Root, "/sys/class/net/"+link+"/ifindex"); err == nil && text == index {
			return link
		}
	}
	return ""
}

// sameNetwork says whether a process's links are those that the network collector
// reads: a tap of a pod has a name that means nothing outside it.
func (c *Collector) sameNetwork(p *process) (bool, error) {
	its, err := os.Stat(filepath.Join("/", c.Root, procFile(p.pid, "ns/net")))
	if err != nil {
		return false, fmt.Errorf("read %s: %w", procFile(p.pid, "ns/net"), errors.Unwrap(err))
	}
	ours, err := os.Stat(firstOf(c.NetNS, "/proc/self/ns/net"))
	if err != nil {
		return false, fmt.Errorf("read the network namespace: %w", err)
	}
	return os.SameFile(its, ours), nil
}

// bootTime is when the host booted, in seconds of the epoch.
func (c *Collector) bootTime() int64 {
	data, err := collectors.ReadFile(c.Root, "/proc/stat")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if text, found := strings.CutPrefix(line, "btime "); found {
			seconds, _ := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
			return seconds
		}
	}
	return 0
}

// workingDirectory is where relative paths of a command line begin, "" where that
// isn't known: QEMU opens its files and then goes to / with -daemonize.
func (c *Collector) workingDirectory(p *process) string {
	if p.inv.daemonized {
		return ""
	}
	directory, _ := os.Readlink(filepath.Join("/", c.Root, procFile(p.pid, "cwd")))
	return directory
}

// installed says whether the host could run QEMU at all.
func (c *Collector) installed() bool {
	for _, pattern := range []string{"/usr/bin/qemu-system-*", "/usr/libexec/qemu-kvm", "/usr/bin/kvm", "/usr/local/bin/qemu-system-*", "/opt/*/bin/qemu-system-*"} {
		if found, err := filepath.Glob(filepath.Join("/", c.Root, pattern)); err == nil && len(found) > 0 {
			return true
		}
	}
	return false
}

// refusal is what a person can do where /proc tells too little.
const refusal = "run the agent as root or as the user that runs QEMU, or give it CAP_SYS_PTRACE"

func problem(entity string, field inventory.Field, call string, err error, remedy string) inventory.Problem {
	return inventory.Problem{Entity: entity, Field: field, Call: call, Why: collectors.WhyOf(err), Error: err.Error(), Remedy: remedy}
}
