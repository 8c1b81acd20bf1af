package libvirt

import (
	"encoding/xml"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strings"

	"github.com/google/uuid"
	"libvirt.org/go/libvirtxml"

	"github.com/dataverket/avstem/inventory"
)

// domainDoc is what we read of a domain's XML. Its parts are libvirtxml's; the
// whole isn't, for three reasons: what we don't read can't break what we do, the
// decoder skips it at a third of the cost, and libvirtxml loses the namespaces
// that libvirt declares on the metadata element itself.
type domainDoc struct {
	XMLName  xml.Name                   `xml:"domain"`
	ID       string                     `xml:"id,attr"`
	Name     string                     `xml:"name"`
	UUID     string                     `xml:"uuid"`
	HWUUID   string                     `xml:"hwuuid"`
	GenID    *libvirtxml.DomainGenID    `xml:"genid"`
	Title    string                     `xml:"title"`
	Metadata element                    `xml:"metadata"`
	Memory   *libvirtxml.DomainMemory   `xml:"memory"`
	VCPU     *libvirtxml.DomainVCPU     `xml:"vcpu"`
	SysInfo  []libvirtxml.DomainSysInfo `xml:"sysinfo"`
	OS       *libvirtxml.DomainOS       `xml:"os"`
	Devices  struct {
		Disks       []libvirtxml.DomainDisk `xml:"disk"`
		Interfaces  []interfaceDoc          `xml:"interface"`
		Controllers []controllerDoc         `xml:"controller"`
	} `xml:"devices"`
}

// domainCall is the call that a domain's XML comes from.
const domainCall = "virDomainGetXMLDesc"

// faults collects the problems of one VM.
type faults struct {
	entity string
	call   string
	list   []inventory.Problem
}

func (f *faults) add(field inventory.Field, path string, err error) {
	f.list = append(f.list, inventory.Problem{Entity: f.entity, Field: field, Call: f.call + " " + path,
		Why: inventory.WhyBroken, Error: err.Error(), Remedy: remedyReport})
}

// domain is what a domain's XML says.
type domain struct {
	vm     inventory.VM
	boot   string // what it starts from, in order
	active bool   // the XML is a running domain's
	root   int    // the disk that it starts from, -1 for none
}

// parseDomain reads a domain's XML, live or inactive, as virDomainGetXMLDesc
// gives it. State, persistence and disk sizes are not in it. A document that is
// no domain, or one without a UUID, is an error; anything less is a problem on
// its field.
func parseDomain(raw []byte) (domain, []inventory.Problem, error) {
	var doc domainDoc
	tokens := newDigester(raw)
	if err := xml.NewTokenDecoder(tokens).Decode(&doc); err != nil {
		return domain{}, nil, fmt.Errorf("parse domain XML: %w", tokens.located(err))
	}
	id, err := inventory.ParseUUID(doc.UUID)
	if err != nil {
		return domain{}, nil, fmt.Errorf("parse domain XML: %w", err)
	}
	f := &faults{entity: inventory.VMEntity(id), call: domainCall}
	vm := inventory.VM{UUID: id, Name: doc.Name, Title: doc.Title}
	d := domain{active: doc.ID != ""} // only a running domain has one
	readHardware(&vm, &doc, f)
	readMetadata(&vm, &doc, f)
	vm.NICs = readNICs(&doc, d.active, f)
	vm.Disks = readDisks(&doc)
	d.boot = bootOrder(&doc)
	d.root = rootDisk(doc.Devices.Disks, vm.Disks)
	setImageSource(&vm, d.root)
	vm.ConfigDigest = tokens.sum()
	d.vm = vm
	return d, f.list, nil
}

// readHardware reads what the VM is made of, but for its devices.
func readHardware(vm *inventory.VM, doc *domainDoc, f *faults) {
	if doc.GenID != nil {
		vm.GenerationID = readUUID(f, "vm.generationID", "genid", doc.GenID.Value)
	}
	vm.SMBIOSUUID = smbiosUUID(doc, f)
	if doc.VCPU != nil && doc.VCPU.Value > 0 {
		// <vcpu> is the most that can be plugged in; current is what the guest
		// was given, where that is less.
		n := doc.VCPU.Value
		if doc.VCPU.Current > 0 {
			n = doc.VCPU.Current
		}
		if n > math.MaxInt32 {
			f.add("vm.vcpus", "vcpu", fmt.Errorf("%d vCPUs are no possible number", n))
		} else {
			count := int(n)
			vm.VCPUs = &count
		}
	}
	if doc.Memory != nil {
		size, err := memory(uint64(doc.Memory.Value), doc.Memory.Unit)
		if err != nil {
			f.add("vm.memory", "memory", err)
		} else {
			vm.Memory = &size
		}
	}
	if doc.OS == nil || doc.OS.Type == nil {
		return
	}
	vm.Architecture = doc.OS.Type.Arch
	vm.RawMachine = doc.OS.Type.Machine
	vm.Machine = inventory.CanonicalMachine(doc.OS.Type.Machine)
	vm.Firmware = firmware(doc.OS)
}

func readUUID(f *faults, field inventory.Field, path, text string) uuid.UUID {
	if strings.TrimSpace(text) == "" {
		return uuid.Nil
	}
	id, err := inventory.ParseUUID(text)
	if err != nil {
		f.add(field, path, err)
	}
	return id
}

// smbiosUUID is the UUID that the guest sees as its system's: hwuuid (libvirt
// 11.6) or the sysinfo entry where they are given, and else the domain's own.
// Junk in the entry is kept: it is what the guest sees.
func smbiosUUID(doc *domainDoc, f *faults) uuid.UUID {
	if doc.HWUUID != "" {
		return readUUID(f, "vm.smbiosUUID", "hwuuid", doc.HWUUID)
	}
	return readUUID(f, "vm.smbiosUUID", "sysinfo/system/entry[uuid]", systemEntry(doc, "uuid"))
}

// systemEntry is an entry of the system that SMBIOS shows the guest.
func systemEntry(doc *domainDoc, name string) string {
	for _, info := range doc.SysInfo {
		if info.SMBIOS == nil || info.SMBIOS.System == nil {
			continue
		}
		for _, entry := range info.SMBIOS.System.Entry {
			if entry.Name == name {
				return entry.Value
			}
		}
	}
	return ""
}

// memoryUnits are the units of libvirt's scaled integers (formatdomain,
// "memory": KiB where none is given, as with "k").
var memoryUnits = map[string]uint64{
	"": 1 << 10, "b": 1, "bytes": 1, "byte": 1,
	"k": 1 << 10, "kib": 1 << 10, "kb": 1e3,
	"m": 1 << 20, "mib": 1 << 20, "mb": 1e6,
	"g": 1 << 30, "gib": 1 << 30, "gb": 1e9,
	"t": 1 << 40, "tib": 1 << 40, "tb": 1e12,
}

func memory(n uint64, unit string) (inventory.Bytes, error) {
	factor, known := memoryUnits[strings.ToLower(unit)]
	if !known {
		return 0, fmt.Errorf("unit %q is not one of libvirt's", unit)
	}
	high, size := bits.Mul64(n, factor)
	if high != 0 {
		return 0, errors.New("the size does not fit 64 bits")
	}
	return inventory.Bytes(size), nil
}

// firmware is efi where libvirt was asked for it or a pflash loader is mapped,
// which only EFI has. Without a loader an x86 machine starts SeaBIOS. A loader
// in ROM may be either, and other machines have firmware of other kinds: those
// are not reported.
func firmware(os *libvirtxml.DomainOS) string {
	switch {
	case os.Firmware == "efi", os.Loader != nil && os.Loader.Type == "pflash":
		return "efi"
	case os.Firmware == "bios":
		return "bios"
	case os.Loader != nil && os.Loader.Path != "":
		return ""
	case os.Type.Type == "hvm" && (os.Type.Arch == "x86_64" || os.Type.Arch == "i686"):
		return "bios"
	}
	return ""
}
