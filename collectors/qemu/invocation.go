package qemu

import (
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// invocation is what a QEMU process was started with, as its command line says.
type invocation struct {
	arch      string // of the guest, by the program's name
	name      string
	uuid      string // -uuid
	guestUUID string // the one that the guest sees: the last of -uuid and -smbios
	smbios    params // type 1
	generation,
	machine string
	smp         params
	memory      string
	devices     []params // -device, with their driver
	netdevs     []params // -netdev, and -nic and -net with what they imply
	onboard     []params // NICs of -nic and -net nic
	drives      []params // -drive and its short forms
	blockdevs   []params
	chardevs    []params
	monitors    []params // -mon and -qmp
	configs     []string // -readconfig
	id          string   // -id, which only Proxmox VE's QEMU knows
	pidfile     string
	bios, flash bool
	nodefaults  bool
	nets        bool // some -nic, -net or -netdev was given
	paused      bool // -S
	incoming    bool
	daemonized  bool
	probes      bool   // it only tells what QEMU can do, and holds no VM
	line        string // the whole of it
}

// parseArgs reads a command line, the program's name first. It knows no error:
// QEMU runs, so it understood it, and what isn't understood here isn't told.
func parseArgs(argv []string) *invocation {
	inv := &invocation{smbios: params{}, smp: params{}}
	if len(argv) == 0 {
		return inv
	}
	inv.line = strings.Join(argv, "\x00")
	inv.arch = architecture(argv[0])
	for _, o := range splitOptions(argv[1:]) {
		inv.take(o)
	}
	return inv
}

// architecture is the guest's, where the program's name has it.
func architecture(program string) string {
	arch, found := strings.CutPrefix(path.Base(program), "qemu-system-")
	if !found {
		return ""
	}
	return arch
}

// isQEMU says whether a program's name is one that QEMU's emulator goes by: of
// the project itself, of RHEL (qemu-kvm), of Proxmox VE (kvm).
func isQEMU(program string) bool {
	base := path.Base(program)
	return strings.HasPrefix(base, "qemu-system") || base == "qemu-kvm" || base == "kvm"
}

func (inv *invocation) take(o option) {
	switch o.name {
	case "name":
		if p := parseParams(o.value, "guest"); p["guest"] != "" {
			inv.name = p["guest"]
		}
	case "uuid":
		inv.uuid, inv.guestUUID = o.value, o.value
	case "smbios":
		inv.takeSMBIOS(parseParams(o.value, ""))
	case "m":
		inv.memory = parseParams(o.value, "size")["size"]
	case "smp":
		inv.smp = parseParams(o.value, "cpus")
	case "machine", "M":
		p := parseParams(o.value, "type")
		if p["type"] != "" {
			inv.machine = p["type"]
		}
		inv.flash = inv.flash || p["pflash0"] != ""
		inv.probes = inv.probes || p["type"] == "none" || p["type"] == "help"
	case "device":
		if p := parseParams(o.value, "driver"); p["driver"] == "vmgenid" {
			inv.generation = p["guid"]
		} else {
			inv.devices = append(inv.devices, p)
		}
	case "drive":
		inv.drives = append(inv.drives, parseParams(o.value, ""))
	case "hda", "hdb", "hdc", "hdd":
		inv.drives = append(inv.drives, params{"file": o.value})
	case "cdrom":
		inv.drives = append(inv.drives, params{"file": o.value, "media": "cdrom"})
	case "fda", "fdb":
		inv.drives = append(inv.drives, params{"file": o.value, "if": "floppy"})
	case "blockdev":
		inv.blockdevs = append(inv.blockdevs, parseParams(o.value, "driver"))
	case "netdev", "nic", "net":
		inv.takeNet(o)
	case "chardev", "mon", "qmp", "qmp-pretty":
		inv.takeMonitor(o)
	case "readconfig":
		inv.configs = append(inv.configs, o.value)
	case "incoming":
		inv.incoming = true
	case "bios":
		inv.bios = true
	case "pidfile":
		inv.pidfile = o.value
	case "id":
		inv.id = o.value
	case "daemonize":
		inv.daemonized = true
	case "nodefaults":
		inv.nodefaults = true
	case "version", "help", "h":
		inv.probes = true
	case "S":
		inv.paused = true
	}
}

func (inv *invocation) takeSMBIOS(p params) {
	if p["type"] != "1" {
		return
	}
	for key, value := range p {
		inv.smbios[key] = value
	}
	if p["uuid"] != "" {
		inv.guestUUID = p["uuid"]
	}
}

// takeNet reads -netdev, and -nic and -net, which are a NIC on the board, what
// it hangs on, or both.
func (inv *invocation) takeNet(o option) {
	p := parseParams(o.value, "type")
	inv.nets = true
	switch {
	case p["type"] == "none":
	case o.name == "netdev":
		inv.netdevs = append(inv.netdevs, p)
	case o.name == "net" && p["type"] == "nic":
		inv.onboard = append(inv.onboard, p)
	case o.name == "net": // all of them hang on one hub
		inv.netdevs = append(inv.netdevs, p)
	default:
		inv.onboard = append(inv.onboard, p)
	}
}

// takeMonitor reads where monitors listen. -qmp is short for a socket and a
// control monitor on it.
func (inv *invocation) takeMonitor(o option) {
	switch o.name {
	case "chardev":
		inv.chardevs = append(inv.chardevs, parseParams(o.value, "backend"))
	case "mon":
		inv.monitors = append(inv.monitors, parseParams(o.value, "chardev"))
	default:
		socket, found := strings.CutPrefix(o.value, "unix:")
		if !found {
			return
		}
		p := parseParams(socket, "path")
		p["id"] = "qmp:" + strconv.Itoa(len(inv.chardevs))
		inv.chardevs = append(inv.chardevs, p)
		inv.monitors = append(inv.monitors, params{"chardev": p["id"], "mode": "control"})
	}
}

// socket is a QMP monitor's. A monitor whose socket was passed as a descriptor
// has no path here, and one that QEMU dials listens nowhere.
type socket struct{ chardev, path string }

// sockets lists the sockets that QMP monitors listen on.
func (inv *invocation) sockets() []socket {
	var all []socket
	for _, m := range inv.monitors {
		i := slices.IndexFunc(inv.chardevs, func(c params) bool { return c["id"] == m["chardev"] })
		if m["mode"] == "control" && i >= 0 {
			all = append(all, socket{chardev: m["chardev"], path: inv.chardevs[i]["path"]})
		}
	}
	return all
}

// cpus is how many the guest was given at boot: what -smp says, or what its
// topology multiplies to, or one.
func (inv *invocation) cpus() (int, error) {
	if text := inv.smp["cpus"]; text != "" {
		return positive(text)
	}
	product, given := 1, false
	for _, key := range []string{"drawers", "books", "sockets", "dies", "clusters", "modules", "cores", "threads"} {
		if text := inv.smp[key]; text != "" {
			n, err := positive(text)
			if err != nil {
				return 0, err
			}
			if product *= n; product > math.MaxInt32 {
				return 0, errors.New("the topology has too many")
			}
			given = true
		}
	}
	if text := inv.smp["maxcpus"]; text != "" && !given {
		return positive(text)
	}
	return product, nil
}

func positive(text string) (int, error) {
	n, err := strconv.ParseUint(text, 0, 31)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a number of vCPUs", text)
	}
	return int(n), nil
}

// memoryUnits are the suffixes of QEMU's sizes; -m counts mebibytes where there
// is none.
var memoryUnits = map[byte]float64{'b': 1, 'k': 1 << 10, 'm': 1 << 20, 'g': 1 << 30, 't': 1 << 40, 'p': 1 << 50, 'e': 1 << 60}

// parseMemory reads the size of -m.
func parseMemory(text string) (inventory.Bytes, error) {
	number, unit := text, memoryUnits['m']
	if n := len(text); n > 0 {
		if factor, known := memoryUnits[text[n-1]|0x20]; known {
			number, unit = text[:n-1], factor
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n > 0) || n*unit >= 1<<63 {
		return 0, fmt.Errorf("%q is not a size of memory", text)
	}
	return inventory.Bytes(n * unit), nil
}

// firmware is efi where flash is mapped, which only EFI has, and bios on a PC
// that was given nothing else.
func (inv *invocation) firmware(arch string) string {
	if inv.elsewhere() != "" {
		return ""
	}
	flash := inv.flash || slices.ContainsFunc(inv.drives, func(p params) bool { return p["if"] == "pflash" })
	switch {
	case flash:
		return "efi"
	case !inv.bios && (arch == "x86_64" || arch == "i386"):
		return "bios"
	}
	return ""
}

// elsewhere is the file that more was read from than the command line says (-readconfig),
// "" for none. Those of a distribution hold a machine type's controllers only.
func (inv *invocation) elsewhere() string {
	for _, config := range inv.configs {
		if !strings.HasPrefix(config, "/usr/share/") {
			return config
		}
	}
	return ""
}

// family is the machine type's, without what a distribution marks it with
// ("+pve0").
func family(machine string) string {
	machine, _, _ = strings.Cut(machine, "+")
	return inventory.CanonicalMachine(machine)
}
