package resolve

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
)

// runtime adds the commands on the host, where some are right.
func (c *onCase) runtime(r *Remedy) {
	vm := c.observed()
	if vm == nil || c.intended() == nil {
		return // what nobody wants, or nobody has, is for a person
	}
	r.Host = vm.Host
	switch {
	case c.f.Kind == "nic.vlan" || c.f.Kind == "network.isolation":
		c.vlan(r)
	case vm.Source == "runtime-libvirt":
		c.libvirt(r, libvirtName(vm))
	case vm.Source == "runtime-incus":
		c.incus(r, "incus")
	case vm.Source == "runtime-lxd":
		c.incus(r, "lxc")
	}
	if len(r.Commands) == 0 {
		r.Host, r.Note = "", ""
	}
}

// libvirtName is what virsh takes. A name that looks like a flag, a number (which
// virsh takes for an ID) or a UUID isn't used.
func libvirtName(vm *reconcile.ObservedVM) string {
	if _, err := strconv.Atoi(vm.Name); vm.Name == "" || err == nil || vm.Name[0] == '-' || isUUID(vm.Name) {
		return vm.UUID.String()
	}
	return vm.Name
}

func (c *onCase) libvirt(r *Remedy, name string) {
	want, have := c.intended(), c.observed()
	add := func(words ...string) {
		r.Commands = append(r.Commands, command(append([]string{"virsh"}, words...)...))
	}
	live := []string{"--config"}
	if have.State.Active() {
		live = append(live, "--live")
	}
	switch c.f.Kind {
	case "vm.state":
		switch wanted := string(want.State); {
		case wanted == "stopped" && have.State.Active():
			add("shutdown", name)
			r.Note = "the guest is asked, and may take a while or refuse"
		case wanted != "stopped" && have.State == inventory.StatePaused:
			add("resume", name)
			r.Note = "first see why it is paused: virsh domstate --reason " + Quote(name)
		case wanted != "stopped" && have.State == inventory.StateStopped:
			add("start", name)
		}
	case "vm.lingering":
		if have.State.Active() {
			add("shutdown", name)
			r.Note = "removing it with its disks (virsh undefine) is for a person, who has looked at them"
		}
	case "vm.vcpus":
		if want.VCPUs == nil {
			return
		}
		n := strconv.Itoa(*want.VCPUs)
		if have.VCPUs == nil || *want.VCPUs > *have.VCPUs {
			add("setvcpus", name, n, "--maximum", "--config")
		}
		add("setvcpus", name, n, "--config")
		r.Note = "a reboot from within the guest doesn't do: it must be shut down and started"
	case "vm.memory":
		if want.Memory == nil {
			return
		}
		kib := strconv.FormatUint(uint64(*want.Memory)/1024, 10)
		add("setmaxmem", name, kib, "--config")
		add("setmem", name, kib, "--config")
		r.Note = "in KiB; a reboot from within the guest doesn't do: it must be shut down and started"
	case "vm.placement":
		add(append([]string{"metadata", name, "--uri", "urn:dataverket:maskin:placement:v1", "--key", "dv", "--set", c.placement()}, live...)...)
		r.Note = "Maskin writes this label: see why it didn't"
	case "vm.transient":
		r.Commands = append(r.Commands, command("virsh", "dumpxml", name)+" | virsh define /dev/stdin")
	case "nic.link":
		add("domif-setlink", name, c.key, "up", "--config")
		if have.State.Active() {
			add("domif-setlink", name, c.key, "up")
		}
	case "nic.unknown":
		if kind := interfaceType(c); kind != "" {
			add(append([]string{"detach-interface", name, kind, "--mac", c.key}, live...)...)
			r.Note = "whatever uses it loses its network"
		}
	case "disk.size":
		wanted, _, disk := c.disk()
		if wanted == nil || disk == nil || wanted.Size == nil || disk.Capacity == nil || disk.Target == "" {
			return
		}
		if *wanted.Size > *disk.Capacity && have.State.Active() { // a smaller one loses what is behind its end
			add("blockresize", name, disk.Target, strconv.FormatUint(uint64(*wanted.Size), 10)+"B")
			r.Note = "the partition and the file system in the guest have to be grown after it"
		}
	case "disk.unknown":
		if _, _, disk := c.disk(); disk != nil && disk.Target != "" {
			add(append([]string{"detach-disk", name, disk.Target}, live...)...)
			r.Note = "unmount it in the guest first; what is on it stays where it is"
		}
	}
}

// placement is the label of CONTRACTS.md §2 as Sentral would have it.
func (c *onCase) placement() string {
	vm := c.intended()
	attributes := [][2]string{{"vm", vm.ID}, {"tenant", vm.Tenant}, {"project", vm.Project}, {"environment", vm.Environment}}
	if vm.Image != nil {
		attributes = append(attributes, [2]string{"image", vm.Image.ID}, [2]string{"imageVersion", vm.Image.Version})
	}
	var b strings.Builder
	b.WriteString("<placement")
	for _, a := range attributes {
		if a[1] != "" {
			fmt.Fprintf(&b, ` %s="%s"`, a[0], attribute.Replace(a[1]))
		}
	}
	return b.String() + "/>"
}

// attribute escapes the value of an XML attribute.
var attribute = strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;")

// interfaceType is libvirt's word for how a NIC is attached.
func interfaceType(c *onCase) string {
	_, _, nic := c.nic()
	if nic == nil {
		return ""
	}
	switch nic.Attachment {
	case "ovs":
		return "bridge"
	case "bridge", "network", "direct", "hostdev", "ethernet", "user", "vhostuser":
		return nic.Attachment
	}
	return ""
}

func (c *onCase) incus(r *Remedy, program string) {
	want, have := c.intended(), c.observed()
	project, name, is := strings.Cut(have.NativeID, "/")
	if !is {
		project, name = "default", have.Name
	}
	if name == "" || name[0] == '-' {
		return
	}
	add := func(words ...string) {
		r.Commands = append(r.Commands, command(append(append([]string{program}, words...), "--project", project)...))
	}
	switch c.f.Kind {
	case "vm.state":
		switch wanted := string(want.State); {
		case wanted == "stopped" && have.State.Active():
			add("stop", name)
		case wanted != "stopped" && !have.State.Active(), wanted != "stopped" && have.State == inventory.StatePaused:
			add("start", name)
		}
	case "vm.lingering":
		if have.State.Active() {
			add("stop", name)
			r.Note = "removing it (" + program + " delete) is for a person, who has looked at it"
		}
	case "vm.vcpus":
		if want.VCPUs != nil {
			add("config", "set", name, "limits.cpu="+strconv.Itoa(*want.VCPUs))
		}
	case "vm.memory":
		if want.Memory != nil {
			add("config", "set", name, "limits.memory="+strconv.FormatUint(uint64(*want.Memory), 10)+"B")
		}
	case "vm.placement":
		add("config", "set", name, "user.dataverket.vm="+want.ID, "user.dataverket.tenant="+want.Tenant,
			"user.dataverket.project="+want.Project, "user.dataverket.environment="+want.Environment)
		r.Note = "Maskin writes this label: see why it didn't"
	}
}

// vlan moves a NIC's port to the VLAN that Sentral means, on the switch that puts
// it where it is.
func (c *onCase) vlan(r *Remedy) {
	_, _, nic := c.nic()
	vlan, is := c.wantedVLAN()
	if nic == nil || !is {
		return
	}
	for i := range c.vm.Paths {
		if path := &c.vm.Paths[i]; path.MAC.String() == c.key && (path.VLAN == nil || int(*path.VLAN) != vlan) {
			c.port(r, path, vlan)
		}
	}
	if len(r.Commands) == 0 {
		return
	}
	switch {
	case nic.VLAN != nil && c.observed().Source == "runtime-libvirt":
		r.Note = fmt.Sprintf("until the VM is started anew: its XML asks for VLAN %d (virsh edit %s)", *nic.VLAN, Quote(libvirtName(c.observed())))
	default:
		r.Note = "until the VM is started anew: then its runtime sets up the port by what it has for it"
	}
}

// wantedVLAN is the one that Sentral means the NIC to be on.
func (c *onCase) wantedVLAN() (int, bool) {
	for i := range c.vm.Comparisons {
		if comparison := &c.vm.Comparisons[i]; comparison.Path == "nics["+c.key+"].vlan" {
			return whole(comparison.Intended)
		}
	}
	return 0, false
}

// port finds where the path gives frames their VLAN.
func (c *onCase) port(r *Remedy, path *reconcile.NICPath, vlan int) {
	for i := range path.Hops {
		hop := &path.Hops[i]
		if hop.Does != reconcile.Assigns || hop.Name == "" || hop.Name[0] == '-' {
			continue
		}
		id := strconv.Itoa(vlan)
		if strings.HasPrefix(hop.Kind, "OVS") {
			r.Commands = append(r.Commands, command("ovs-vsctl", "set", "Port", hop.Name, "tag="+id))
			return
		}
		r.Commands = append(r.Commands, command("bridge", "vlan", "add", "dev", hop.Name, "vid", id, "pvid", "untagged"))
		if hop.VLAN != nil {
			r.Commands = append(r.Commands, command("bridge", "vlan", "del", "dev", hop.Name, "vid", strconv.Itoa(int(*hop.VLAN))))
		}
		return
	}
}
