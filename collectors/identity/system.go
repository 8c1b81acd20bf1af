package identity

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// system reads names and versions. They come from the same files whether root
// is moved or not.
func (r *reader) system() {
	r.host.Hostname = r.text("host.hostname", "/proc/sys/kernel/hostname")
	r.host.Kernel = r.text("host.kernel", "/proc/sys/kernel/osrelease")
	r.architecture()

	path := "/etc/os-release"
	data, err := collectors.ReadFile(r.root, path)
	if errors.Is(err, fs.ErrNotExist) {
		path = "/usr/lib/os-release"
		data, err = collectors.ReadFile(r.root, path)
	}
	if err != nil {
		r.problem("host.os", path, collectors.WhyOf(err), err, "")
		return
	}
	r.host.OS = parseOSRelease(data)
}

// architecture reads /proc/sys/kernel/arch, which is new in Linux 6.1. Older
// kernels tell it by uname(2) only, which speaks of the running kernel and so of
// nothing under a moved root.
func (r *reader) architecture() {
	const path = "/proc/sys/kernel/arch"
	text, err := collectors.ReadText(r.root, path)
	if errors.Is(err, fs.ErrNotExist) && (r.root == "" || r.root == "/") {
		var name unix.Utsname
		if err = unix.Uname(&name); err == nil {
			text = unix.ByteSliceToString(name.Machine[:])
		}
	}
	if err != nil {
		r.problem("host.architecture", path, collectors.WhyOf(err), err, "")
		return
	}
	r.host.Architecture = text
}

func (r *reader) cpus() {
	r.cpuModel()
	const path = "/sys/devices/system/cpu/online"
	text := r.text("host.cpus", path)
	if text == "" {
		return
	}
	n, err := countCPUs(text)
	if err != nil {
		r.problem("host.cpus", path, inventory.WhyBroken, err, "")
		return
	}
	r.host.CPUs = &n
}

// cpuModel reads only as far as it must: with hundreds of CPUs the whole of
// cpuinfo is a megabyte, and the kernel asks each of them for its clock.
func (r *reader) cpuModel() {
	const path = "/proc/cpuinfo"
	f, err := collectors.Open(r.root, path)
	if err == nil {
		defer f.Close()
		r.host.CPUModel, err = parseCPUModel(f)
	}
	if err != nil {
		r.problem("host.cpuModel", path, collectors.WhyOf(err), err, "")
	}
}

func (r *reader) memory() {
	const path = "/proc/meminfo"
	data, err := collectors.ReadFile(r.root, path)
	if err != nil {
		r.problem("host.memory", path, collectors.WhyOf(err), err, "")
		return
	}
	total, err := parseMemTotal(data)
	if err != nil {
		r.problem("host.memory", path, inventory.WhyBroken, err, "")
		return
	}
	r.host.Memory = &total
}

// parseOSRelease returns PRETTY_NAME of os-release(5), "" where it has none.
// Quotes and backslashes are the shell's; the last assignment counts.
func parseOSRelease(data []byte) string {
	name := ""
	for line := range strings.Lines(string(data)) {
		if value, found := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); found {
			name = unquote(value)
		}
	}
	return strings.ToValidUTF8(name, "\ufffd")
}

func unquote(value string) string {
	if len(value) < 2 || value[0] != value[len(value)-1] || (value[0] != '"' && value[0] != '\'') {
		return value
	}
	quote, inner := value[0], value[1:len(value)-1]
	if quote == '\'' {
		return inner
	}
	var out strings.Builder
	for i := 0; i < len(inner); i++ {
		if inner[i] == '\\' && i+1 < len(inner) && strings.IndexByte("\"\\$`", inner[i+1]) >= 0 {
			i++
		}
		out.WriteByte(inner[i])
	}
	return out.String()
}

// cpuModelKeys are what architectures call the model in /proc/cpuinfo: x86 and
// LoongArch, PowerPC, MIPS, RISC-V. Arm has numbers only.
var cpuModelKeys = map[string]bool{"model name": true, "Model Name": true, "cpu": true, "cpu model": true, "uarch": true}

// parseCPUModel returns the first CPU's model, "" where cpuinfo doesn't tell it.
func parseCPUModel(cpuinfo io.Reader) (string, error) {
	lines, begun := bufio.NewScanner(cpuinfo), false
	for lines.Scan() {
		if begun && lines.Text() == "" {
			break // the first CPU's lines end here
		}
		key, value, found := strings.Cut(lines.Text(), ":")
		begun = begun || strings.HasPrefix(key, "processor")
		if value = strings.TrimSpace(value); found && value != "" && cpuModelKeys[strings.TrimSpace(key)] {
			return strings.ToValidUTF8(value, "\ufffd"), nil
		}
	}
	return "", lines.Err()
}

// countCPUs counts the CPUs in a list in the kernel's notation, such as
// "0-3,8" (Documentation/core-api/printk-formats.rst, %*pbl).
func countCPUs(list string) (int, error) {
	count, last := 0, -1
	for part := range strings.SplitSeq(list, ",") {
		first, end, isRange := strings.Cut(part, "-")
		if !isRange {
			end = first
		}
		from, err1 := strconv.ParseUint(first, 10, 16)
		to, err2 := strconv.ParseUint(end, 10, 16)
		if err1 != nil || err2 != nil || to < from || int(from) <= last {
			return 0, fmt.Errorf("%q is not a list of CPUs", list)
		}
		count, last = count+int(to-from)+1, int(to)
	}
	return count, nil
}

// parseMemTotal returns MemTotal of proc_meminfo(5), whose "kB" are KiB.
func parseMemTotal(data []byte) (inventory.Bytes, error) {
	for line := range strings.Lines(string(data)) {
		value, found := strings.CutPrefix(line, "MemTotal:")
		if !found {
			continue
		}
		number, unit, _ := strings.Cut(strings.TrimSpace(value), " ")
		kib, err := strconv.ParseUint(number, 10, 54)
		if err != nil || unit != "kB" {
			return 0, fmt.Errorf("MemTotal %q is not a size in kB", strings.TrimSpace(value))
		}
		return inventory.Bytes(kib) * inventory.KiB, nil
	}
	return 0, errors.New("no MemTotal in it")
}
