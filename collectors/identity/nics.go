package identity

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

const (
	netPath     = "/sys/class/net"
	bondingPath = "/proc/net/bonding"
)

// nics reads the permanent MACs of the physical NICs. A NIC is physical when it
// sits on a bus. Left out are virtual functions, which come and go with a
// setting of the card, and what hangs on USB: it is unplugged, and the NIC that
// a BMC shows to its host there has one address on every board of a kind.
func (r *reader) nics() {
	names, err := collectors.ReadNames(r.root, netPath)
	if err != nil {
		r.problem("host.macs", netPath, collectors.WhyOf(err), err, "")
		return
	}
	burntIn := r.bonded()
	for _, name := range names {
		path := netPath + "/" + name
		if !r.isPhysical(path) {
			continue
		}
		mac, bonded := burntIn[name]
		if !bonded {
			mac = r.permanentMAC(path)
		}
		if mac.Identifies() {
			r.host.MACs = append(r.host.MACs, mac)
		}
	}
	slices.SortFunc(r.host.MACs, func(x, y inventory.MAC) int { return slices.Compare(x[:], y[:]) })
	r.host.MACs = slices.Compact(r.host.MACs)
}

func (r *reader) isPhysical(path string) bool {
	subsystem, err := os.Readlink(filepath.Join("/", r.root, path, "device/subsystem"))
	if err != nil || filepath.Base(subsystem) == "usb" {
		return false
	}
	_, err = os.Lstat(filepath.Join("/", r.root, path, "device/physfn"))
	return errors.Is(err, fs.ErrNotExist)
}

// permanentMAC returns a NIC's address where the kernel says that the device
// came with it (addr_assign_type 0, NET_ADDR_PERM), and the zero MAC where
// somebody set it or it is no Ethernet address.
func (r *reader) permanentMAC(path string) inventory.MAC {
	assigned, err := collectors.ReadText(r.root, path+"/addr_assign_type")
	if err != nil || assigned != "0" {
		return inventory.MAC{}
	}
	text, err := collectors.ReadText(r.root, path+"/address")
	if err != nil {
		r.problem("host.macs", path+"/address", collectors.WhyOf(err), err, "")
		return inventory.MAC{}
	}
	mac, err := inventory.ParseMAC(text)
	if err != nil { // InfiniBand
		return inventory.MAC{}
	}
	return mac
}

// bonded returns the permanent MACs of the NICs in bonds. A bond sets its own
// address on its members, so sysfs no longer shows theirs; the bonding driver
// remembers them.
func (r *reader) bonded() map[string]inventory.MAC {
	macs := map[string]inventory.MAC{}
	bonds, err := collectors.ReadNames(r.root, bondingPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.problem("host.macs", bondingPath, collectors.WhyOf(err), err, "")
	}
	for _, bond := range bonds {
		data, err := collectors.ReadFile(r.root, bondingPath+"/"+bond)
		if err != nil {
			r.problem("host.macs", bondingPath+"/"+bond, collectors.WhyOf(err), err, "")
		}
		parseBonding(data, macs)
	}
	return macs
}

// parseBonding takes each member's permanent address out of what the bonding
// driver shows (drivers/net/bonding/bond_procfs.c).
func parseBonding(data []byte, into map[string]inventory.MAC) {
	member := ""
	for line := range strings.Lines(string(data)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "Slave Interface":
			member = value
		case "Permanent HW addr":
			if mac, err := inventory.ParseMAC(value); err == nil && member != "" {
				into[member] = mac
			}
		}
	}
}
