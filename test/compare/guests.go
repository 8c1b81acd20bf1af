package compare

import (
	"fmt"
	"strings"

	"github.com/dataverket/avstem/test/rig"
)

// guest is one of the set that each runtime gets.
type guest struct {
	role    string
	vlans   []int // of its NICs
	disks   int
	stopped bool
}

// guests are the set.
var guests = []guest{
	{role: "web", vlans: []int{110}, disks: 1},
	{role: "db", vlans: []int{110, 120}, disks: 2},
	{role: "idle", vlans: []int{120}, disks: 1, stopped: true},
}

// The runtimes, by the letters that begin their guests' names, and by the digit
// that their guests' UUIDs and MAC addresses have.
const (
	libvirt = "lv"
	qemu    = "qm"
	lxd     = "lx"
)

var digit = map[string]int{libvirt: 1, qemu: 2, lxd: 3}

func (g *guest) name(runtime string) string { return runtime + "-" + g.role + "-01" }

func (g *guest) uuid(runtime string, n int) string {
	return fmt.Sprintf("c0%d00000-0000-4000-8000-%012d", digit[runtime], n)
}

func (g *guest) mac(runtime string, n, nic int) string {
	return fmt.Sprintf("52:54:00:c0:%d%d:%02d", digit[runtime], n, nic)
}

func (g *guest) serial(runtime string, disk int) string {
	return fmt.Sprintf("%s-%d", g.name(runtime), disk)
}

func (g *guest) image(runtime string, disk int) string { return g.serial(runtime, disk) + ".qcow2" }

// link is the tap of a QEMU guest's NIC.
func (g *guest) link(n, nic int) string { return fmt.Sprintf("qm%d-%d", n, nic) }

const (
	// baseImage is what root disks are made of.
	baseImage = "debian-12-20261101.qcow2"
	project   = "compare"
)

// placement is what a runtime that keeps metadata is told.
func (g *guest) placement(runtime string, n int) map[string]string {
	return map[string]string{"vm": g.uuid(runtime, n), "tenant": "acme", "project": project, "environment": "lab", "image": "debian-12", "imageVersion": "20261101"}
}

// domain is a guest as libvirt's XML.
func (g *guest) domain(n int) string {
	var devices, labels strings.Builder
	for d := range g.disks {
		fmt.Fprintf(&devices, "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='%s'/><target dev='vd%c' bus='virtio'/><serial>%s</serial></disk>",
			rig.ImagePath(g.image(libvirt, d)), 'a'+d, g.serial(libvirt, d))
	}
	for i, vlan := range g.vlans {
		fmt.Fprintf(&devices, "<interface type='bridge'><mac address='%s'/><source bridge='br0'/><virtualport type='openvswitch'/><vlan><tag id='%d'/></vlan><model type='virtio'/></interface>",
			g.mac(libvirt, n, i), vlan)
	}
	for key, value := range g.placement(libvirt, n) {
		fmt.Fprintf(&labels, " %s='%s'", key, value)
	}
	return fmt.Sprintf(`<domain type='qemu'><name>%s</name><uuid>%s</uuid>
<metadata><dv:placement xmlns:dv="urn:dataverket:maskin:placement:v1"%s/></metadata>
<memory unit='MiB'>32</memory><vcpu>1</vcpu><os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os><devices>%s</devices></domain>`,
		g.name(libvirt), g.uuid(libvirt, n), labels.String(), devices.String())
}

// process is a guest as QEMU's command line, with a monitor for avstem.
func (g *guest) process(n int) []string {
	line := []string{"qemu-system-x86_64", "-name", g.name(qemu), "-uuid", g.uuid(qemu, n), "-machine", "q35,accel=tcg", "-m", "32", "-smp", "1",
		"-nodefaults", "-display", "none", "-daemonize", "-smbios", "type=1,serial=dv:" + g.uuid(qemu, n),
		"-qmp", "unix:/run/avstem-" + g.name(qemu) + ".qmp,server=on,wait=off"}
	for d := range g.disks {
		line = append(line, "-blockdev", fmt.Sprintf("driver=qcow2,node-name=d%d,file.driver=file,file.filename=%s", d, rig.ImagePath(g.image(qemu, d))),
			"-device", fmt.Sprintf("virtio-blk-pci,drive=d%d,serial=%s", d, g.serial(qemu, d)))
	}
	for i := range g.vlans {
		line = append(line, "-netdev", fmt.Sprintf("tap,id=n%d,ifname=%s,script=no,downscript=no", i, g.link(n, i)),
			"-device", fmt.Sprintf("virtio-net-pci,netdev=n%d,mac=%s", i, g.mac(qemu, n, i)))
	}
	return line
}

// Inventory is what Sentral says: the guests of libvirt and QEMU, which are VMs.
// The host is one in maintenance, which may be probed.
//
// hostID is the agent's, which ties the host to its record for good.
func Inventory(hostID string) string {
	var b strings.Builder
	b.WriteString(`sites: [{id: lab}]
projects: [{tenant: acme, id: ` + project + `, environments: [lab]}]
images: [{id: debian-12, version: "20261101", source: ` + rig.ImagePath(baseImage) + `}]
networks:
  - {id: front, tenant: acme, project: ` + project + `, vlans: {lab: 110}}
  - {id: back, tenant: acme, project: ` + project + `, vlans: {lab: 120}}
hosts: [{id: ` + hostname + `, hostID: ` + hostID + `, name: ` + hostname + `, site: lab, state: maintenance}]
vms:
`)
	networks := map[int]string{110: "front", 120: "back"}
	for _, runtime := range []string{libvirt, qemu} {
		for n, g := range guests {
			if g.stopped && runtime == qemu { // a process that has ended is nothing
				continue
			}
			state := "running"
			if g.stopped {
				state = "stopped"
			}
			fmt.Fprintf(&b, "  - id: %s\n    name: %s\n    tenant: acme\n    project: %s\n    environment: lab\n    site: lab\n    host: %s\n    state: %s\n    vcpus: 1\n    memory: 32MiB\n    image: {id: debian-12, version: \"20261101\"}\n    nics:\n",
				g.uuid(runtime, n), g.name(runtime), project, hostname, state)
			for i, vlan := range g.vlans {
				fmt.Fprintf(&b, "      - {mac: \"%s\", network: %s}\n", g.mac(runtime, n, i), networks[vlan])
			}
			b.WriteString("    disks:\n")
			for d := range g.disks {
				fmt.Fprintf(&b, "      - {name: disk%d, size: 1GiB, serial: %s}\n", d, g.serial(runtime, d))
			}
		}
	}
	return b.String()
}
