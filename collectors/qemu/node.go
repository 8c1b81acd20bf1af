package qemu

import (
	"net"
	"slices"
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// image is where a block device's data is, as QEMU was told.
type image struct {
	sourceType, source string // as inventory.Disk has them
	format             string
	backing            []inventory.BackingFile // where it was told
}

// maxNodes bounds how deep a graph of block nodes is followed.
const maxNodes = 64

// protocols are the drivers of block nodes that hold data, with what kind of
// source that is. What is neither one of them nor a format is a filter, which
// hands on what is below it.
var protocols = map[string]string{
	"file": "file", "host_device": "block", "host_cdrom": "block", "nvme": "nvme",
	"rbd": "network", "nbd": "network", "iscsi": "network", "gluster": "network", "ssh": "network", "nfs": "network",
	"http": "network", "https": "network", "ftp": "network", "ftps": "network", "sheepdog": "network",
	"vvfat": "dir", "virtio-blk-vhost-user": "vhostuser", "virtio-blk-vhost-vdpa": "vhostvdpa",
}

var formats = []string{"raw", "qcow2", "qcow", "qed", "vmdk", "vdi", "vhdx", "vpc", "luks", "parallels", "dmg", "bochs", "cloop"}

// graph are the block nodes of a command line, by name.
type graph map[string]params

func newGraph(blockdevs []params) graph {
	g := graph{}
	for _, p := range blockdevs {
		g[p["node-name"]] = p
	}
	return g
}

// child is what a node is over: a node by name, or one described within it.
func (g graph) child(p params, edge string) params {
	if name := p[edge]; name != "" {
		return g[name]
	}
	if inner := p.below(edge); len(inner) > 0 {
		return inner
	}
	return nil
}

// image follows a node down to its data.
func (g graph) image(p params) image {
	im := image{}
	for range maxNodes {
		driver := p["driver"]
		if kind, known := protocols[driver]; known {
			im.sourceType, im.source = kind, protocolName(p)
			if im.source == "" {
				im.sourceType = ""
			}
			return im
		}
		if im.format == "" && slices.Contains(formats, driver) {
			im.format = driver
			im.backing = g.chain(p)
		}
		next := g.child(p, "file")
		if next == nil {
			next = g.child(p, "image") // an encrypted or a copying filter's
		}
		if next == nil {
			return im
		}
		p = next
	}
	return im
}

// chain lists what the command line says is below a format node.
func (g graph) chain(p params) []inventory.BackingFile {
	var chain []inventory.BackingFile
	for range maxNodes {
		if p = g.child(p, "backing"); p == nil {
			break
		}
		below := g.without(p)
		if below.source == "" {
			break
		}
		chain = append(chain, inventory.BackingFile{Source: below.source, Format: below.format})
	}
	return chain
}

// without is a node's image regardless of what is below that.
func (g graph) without(p params) image {
	im := image{}
	for range maxNodes {
		if _, known := protocols[p["driver"]]; known {
			im.source = protocolName(p)
			return im
		}
		if im.format == "" && slices.Contains(formats, p["driver"]) {
			im.format = p["driver"]
		}
		if p = g.child(p, "file"); p == nil {
			return im
		}
	}
	return im
}

// protocolName names what a protocol node holds, as libvirt's collector does: a
// path, or PROTOCOL:NAME.
func protocolName(p params) string {
	switch p["driver"] {
	case "file", "host_device", "host_cdrom":
		return p["filename"]
	case "rbd":
		name := strings.Trim(p["pool"]+"/"+p["image"], "/")
		if p["namespace"] != "" {
			name = p["pool"] + "/" + p["namespace"] + "/" + p["image"]
		}
		if p["snapshot"] != "" {
			name += "@" + p["snapshot"]
		}
		return prefixed("rbd:", name)
	case "nbd":
		return prefixed("nbd:", firstOf(p["export"], p["server.path"], address(p)))
	case "iscsi":
		return prefixed("iscsi:", p["target"]+lun(p["lun"]))
	case "gluster":
		return prefixed("gluster:", strings.Trim(p["volume"]+"/"+p["path"], "/"))
	case "nvme":
		return p["device"]
	case "virtio-blk-vhost-user", "virtio-blk-vhost-vdpa":
		return p["path"]
	}
	_, place, _ := strings.Cut(withoutUser(p["url"]), "://")
	return prefixed(p["driver"]+":", firstOf(place, p["path"], p["dir"]))
}

func lun(n string) string {
	if n == "" {
		return ""
	}
	return "/" + n
}

func address(p params) string {
	if p["server.host"] == "" {
		return ""
	}
	return net.JoinHostPort(p["server.host"], p["server.port"])
}

// withoutUser takes the user and password out of a URL: an observation is no place
// for them.
func withoutUser(url string) string {
	before, rest, found := strings.Cut(url, "//")
	if !found {
		return url
	}
	authority, path, slash := strings.Cut(rest, "/")
	authority = authority[strings.LastIndexByte(authority, '@')+1:]
	if slash {
		path = "/" + path
	}
	return before + "//" + authority + path
}

func prefixed(prefix, name string) string {
	if name == "" {
		return ""
	}
	return prefix + name
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// namedImage reads a file name as -drive file= and QMP have it: a path, a
// protocol with its options, or a JSON description.
func namedImage(name string) image {
	if description, found := strings.CutPrefix(name, "json:"); found {
		return graph{}.image(parseParams(description, ""))
	}
	protocol, rest, found := strings.Cut(name, ":")
	switch {
	case name == "":
		return image{}
	case !found || strings.Contains(protocol, "/"):
		if strings.HasPrefix(name, "/dev/") {
			return image{sourceType: "block", source: name}
		}
		return image{sourceType: "file", source: name}
	case protocol == "file":
		return image{sourceType: "file", source: rest}
	case protocol == "rbd": // rbd:POOL/IMAGE@SNAPSHOT:key=value…
		volume, _, _ := strings.Cut(rest, ":")
		return image{sourceType: "network", source: "rbd:" + volume}
	case protocol == "nbd":
		if _, export, named := strings.Cut(rest, ":exportname="); named {
			return image{sourceType: "network", source: "nbd:" + export}
		}
		return image{sourceType: "network", source: "nbd:" + strings.TrimPrefix(rest, "unix:")}
	case protocol == "fat":
		return image{sourceType: "dir", source: rest}
	}
	return image{sourceType: "network", source: protocol + ":" + strings.TrimPrefix(withoutUser(rest), "//")}
}
