package qemu

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// option is one option of a command line with its value, if it has one.
type option struct{ name, value string }

// flags are QEMU's options that take no value (qemu-options.hx). What isn't in
// the list takes one, unless what follows looks like an option.
var flags = []string{
	"S", "s", "h", "help", "version", "nodefaults", "no-user-config", "nodefconfig", "nographic", "daemonize",
	"no-reboot", "no-shutdown", "snapshot", "enable-kvm", "no-kvm", "no-acpi", "no-hpet", "full-screen", "usb",
	"curses", "preconfig", "portrait", "no-quit", "alt-grab", "ctrl-grab", "no-frame", "win2k-hack",
	"no-fd-bootchk", "only-migratable", "singlestep", "semihosting", "xen-attach", "xen-domid-restrict",
	"enable-fips", "mem-prealloc", "rtc-td-hack", "tdf", "old-param", "enable-sync-profile",
}

// values are the options read here: they take what follows, whatever it is.
var values = []string{
	"name", "uuid", "m", "smp", "machine", "M", "smbios", "device", "netdev", "nic", "net", "drive", "blockdev",
	"chardev", "mon", "qmp", "qmp-pretty", "readconfig", "incoming", "bios", "pidfile", "id", "append",
	"hda", "hdb", "hdc", "hdd", "cdrom", "fda", "fdb", "object", "accel",
}

// splitOptions reads arguments, without the program's name, as QEMU does: with
// one dash or two, and what has none is the first hard disk.
func splitOptions(args []string) []option {
	var options []option
	for i := 0; i < len(args); i++ {
		if !strings.HasPrefix(args[i], "-") || args[i] == "-" {
			options = append(options, option{"hda", args[i]})
			continue
		}
		o := option{name: strings.TrimPrefix(strings.TrimPrefix(args[i], "-"), "-")}
		takes := i+1 < len(args) && !slices.Contains(flags, o.name) &&
			(slices.Contains(values, o.name) || !strings.HasPrefix(args[i+1], "-"))
		if takes {
			i++
			o.value = args[i]
		}
		options = append(options, o)
	}
	return options
}

// params are an option's keys and values. Nested ones have dotted keys, as in
// "file.filename", however they were written.
type params map[string]string

// parseParams reads an option's value in either of QEMU's notations: JSON, or
// key=value pairs between commas (doubled where they are meant), the first of
// which may be a bare value of the implied key. A further bare word is a key
// that is on, or off where it begins with "no". Of a key that comes twice the
// last counts.
func parseParams(value, implied string) params {
	p := params{}
	if strings.HasPrefix(value, "{") {
		p.addJSON("", value)
		return p
	}
	for i, part := range splitCommas(value) {
		key, text, set := strings.Cut(part, "=")
		switch {
		case set:
			p[key] = text
		case i == 0 && implied != "":
			p[implied] = part
		case strings.HasPrefix(part, "no") && len(part) > 2:
			p[part[2:]] = "off"
		case part != "":
			p[part] = "on"
		}
	}
	return p
}

// splitCommas splits at single commas; two are one that is meant.
func splitCommas(s string) []string {
	if !strings.Contains(s, ",,") {
		return strings.Split(s, ",")
	}
	var parts []string
	var part strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != ',':
			part.WriteByte(s[i])
		case i+1 < len(s) && s[i+1] == ',':
			part.WriteByte(',')
			i++
		default:
			parts = append(parts, part.String())
			part.Reset()
		}
	}
	return append(parts, part.String())
}

// addJSON adds an object's members below a prefix. What is no JSON adds nothing,
// as QEMU wouldn't have started with it.
func (p params) addJSON(prefix, text string) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var v any
	if decoder.Decode(&v) == nil {
		p.addValue(prefix, v)
	}
}

func (p params) addValue(key string, v any) {
	under := func(name string) string {
		if key == "" {
			return name
		}
		return key + "." + name
	}
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			p.addValue(under(name), member)
		}
	case []any:
		for i, element := range v {
			p.addValue(under(strconv.Itoa(i)), element)
		}
	case bool:
		p[key] = map[bool]string{true: "on", false: "off"}[v]
	case nil:
		p[key] = ""
	default: // a text or a json.Number
		p[key] = fmt.Sprint(v)
	}
}

// below gives the parameters under a dotted prefix.
func (p params) below(prefix string) params {
	sub := params{}
	for key, value := range p {
		if rest, found := strings.CutPrefix(key, prefix+"."); found {
			sub[rest] = value
		}
	}
	return sub
}

// on says whether a switch is on.
func (p params) on(key string) bool {
	switch p[key] {
	case "on", "yes", "true", "y":
		return true
	}
	return false
}
