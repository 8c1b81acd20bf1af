package libvirt

import (
	"encoding/xml"
	"regexp"
	"strings"
)

// generatedTarget matches the names that libvirt makes up for a NIC's link
// (virnetdev.h, VIR_NET_GENERATED_*_PREFIX).
var generatedTarget = regexp.MustCompile(`^(vnet|macvtap|macvlan|vif)[0-9]+$`)

// displaySockets is in the paths that libvirt makes up for a display's socket:
// /var/lib/libvirt/qemu/domain-ID-NAME/vnc.sock (qemu_domain.c, libDir).
const displaySockets = "/libvirt/qemu/domain-"

// volatileElement says whether an element as a whole changes on its own.
func volatileElement(path []string, attrs []xml.Attr) bool {
	if len(path) == 2 {
		switch path[1] {
		case "currentMemory":
			return true
		case "seclabel":
			return value(attrs, "type") == "dynamic"
		}
		return false
	}
	if len(path) < 4 || path[1] != "devices" {
		return false
	}
	device, last := path[2], path[len(path)-1]
	switch {
	case last == "alias":
		return !strings.HasPrefix(value(attrs, "name"), "ua-")
	case device == "disk":
		return last == "backingStore" || last == "mirror"
	case device == "memory":
		return last == "current"
	case device == "channel" && last == "source":
		// /var/lib/libvirt/qemu/channel/target/domain-ID-NAME/…, since 11.0
		// /run/libvirt/qemu/channel/ID-NAME/…
		return strings.Contains(value(attrs, "path"), "/libvirt/qemu/channel/")
	}
	return false
}

// volatileAttr says whether one attribute of an element changes on its own.
func volatileAttr(path []string, all []xml.Attr, a xml.Attr) bool {
	name := a.Name.Local
	if len(path) == 1 {
		return name == "id"
	}
	if len(path) < 3 || path[1] != "devices" {
		return false
	}
	device := path[2]
	if len(path) == 3 {
		switch device {
		case "graphics":
			if name == "socket" {
				return strings.Contains(a.Value, displaySockets)
			}
			return value(all, "autoport") == "yes" && (name == "port" || name == "tlsPort" || name == "websocket")
		case "console":
			return name == "tty"
		}
		return false
	}
	switch [3]string{device, path[3], name} {
	case [3]string{"disk", "source", "index"}, [3]string{"disk", "target", "tray"}, [3]string{"interface", "source", "portid"},
		[3]string{"interface", "mac", "currentAddress"}, [3]string{"channel", "target", "state"}:
		return true
	case [3]string{"interface", "target", "dev"}:
		return generatedTarget.MatchString(a.Value)
	case [3]string{"graphics", "listen", "socket"}:
		return strings.Contains(a.Value, displaySockets)
	case [3]string{"serial", "source", "path"}, [3]string{"console", "source", "path"},
		[3]string{"parallel", "source", "path"}, [3]string{"channel", "source", "path"}:
		return strings.HasPrefix(a.Value, "/dev/pts/")
	}
	return false
}

func value(attrs []xml.Attr, name string) string {
	for _, a := range attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
