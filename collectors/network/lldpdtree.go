package network

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dataverket/avstem/inventory"
)

// How lldpd writes its structures (src/marshal.c): each as a header with a number
// and the size of all that follows, then the structure as it is in memory, then
// what its pointers lead to, in the order of its list of pointers, each of it
// written so again and padded to 8 bytes. Numbers go up by one from 1; in place
// of a pointer stands the number of what it leads to, or 0. What was written
// before isn't written twice. A structure within a structure comes as a header
// without content of its own, and its pointers stay as they were in memory.
//
// A form that is wrong by a byte makes numbers and sizes that don't fit, so that
// an answer is either understood whole or refused.

// cStruct is the form of one of lldpd's structures on 64-bit machines: its size
// and its pointers, in the order of its list.
type cStruct struct {
	size     int
	pointers []cPointer
}

// cPointer is a pointer at an offset to a structure, to a text that ends with a
// NUL (to is empty), or to as many bytes as the number at lengthAt says. Where
// inside is set, the structure is not pointed to, but is there.
type cPointer struct {
	at       int
	to       string
	lengthAt int
	inside   bool
}

// Where the structures that are read have what is wanted, with all of lldpd's
// protocols built in, which is how it is configured by default and how
// distributions have it.
const (
	portChassis    = 16
	portProtocol   = 56
	portIDSubtype  = 64
	portID         = 72
	portIDLength   = 80
	portText       = 88
	chassisSubtype = 21
	chassisID      = 24
	chassisName    = 40
	vlanNumber     = 24
	interfaceName  = 16
	hardwareIndex  = 72
	lldpdIsLLDP    = 1 // LLDPD_MODE_LLDP, of p_protocol: CDP and others are spoken too
)

// lldpdLayout is what versions differ by: the size of struct lldpd_hardware, the
// offset of its own port (h_lport), behind which the list of those that were
// heard begins, and how much longer a port is than it was at first. Later ones
// have a pattern in each port and the interface's alias.
type lldpdLayout struct {
	hardware, local, longer int
	pattern, alias          bool
}

var lldpdLayouts = []lldpdLayout{
	{hardware: 624, local: 224},                                        // 1.0.14 to 1.0.17
	{hardware: 632, local: 232},                                        // 1.0.18 and 1.0.19
	{hardware: 640, local: 232, longer: 8, pattern: true},              // 1.0.20
	{hardware: 648, local: 240, longer: 8, pattern: true, alias: true}, // 1.0.21 and 1.0.22
}

func (l lldpdLayout) portBytes() int { return 376 + l.longer }
func (l lldpdLayout) heard() int     { return l.local + l.portBytes() } // h_rports
func (l lldpdLayout) pvid() int      { return 306 + l.longer }
func (l lldpdLayout) vlans() int     { return 312 + l.longer }

// forms are the structures' forms under a layout.
func (l lldpdLayout) forms() map[string]cStruct {
	next := func(of string) cPointer { return cPointer{at: 0, to: of} }
	hardware := []cPointer{{at: l.local, to: "port", inside: true}, {at: l.heard(), to: "port"}}
	if l.alias {
		hardware = append(hardware, cPointer{at: 96})
	}
	port := []cPointer{next("port"), {at: portChassis, to: "chassis"}, {at: portID, lengthAt: portIDLength}, {at: portText}}
	if l.pattern {
		port = append(port, cPointer{at: 112})
	}
	for _, at := range []int{224, 248, 272} {
		port = append(port, cPointer{at: at + l.longer, to: "location", inside: true})
	}
	port = append(port, cPointer{at: l.vlans(), to: "vlan"}, cPointer{at: 328 + l.longer, to: "ppvid"},
		cPointer{at: 344 + l.longer, to: "protocol"}, cPointer{at: 360 + l.longer, to: "custom"})
	return map[string]cStruct{
		"hardware": {l.hardware, hardware},
		"port":     {l.portBytes(), port},
		"chassis": {144, []cPointer{{at: chassisID, lengthAt: 32}, {at: chassisName}, {at: 48}, {at: 64, to: "management"},
			{at: 88}, {at: 96}, {at: 104}, {at: 112}, {at: 120}, {at: 128}, {at: 136}}},
		"management": {56, []cPointer{next("management")}},
		"location":   {24, []cPointer{{at: 8, lengthAt: 16}}},
		"vlan":       {32, []cPointer{next("vlan"), {at: 16}}},
		"ppvid":      {24, []cPointer{next("ppvid")}},
		"protocol":   {32, []cPointer{next("protocol"), {at: 16, lengthAt: 24}}},
		"custom":     {40, []cPointer{next("custom"), {at: 24, lengthAt: 32}}},
	}
}

// listForms are the forms of the list of interfaces: later versions have their
// aliases in it.
func listForms(alias bool) map[string]cStruct {
	element := cStruct{24, []cPointer{{at: 0, to: "interface"}, {at: interfaceName}}}
	if alias {
		element.size = 32
		element.pointers = append(element.pointers, cPointer{at: 24})
	}
	return map[string]cStruct{"interfaces": {16, []cPointer{{at: 0, to: "interface"}}}, "interface": element}
}

// lldpdTree is an answer taken apart: the objects by their number.
type lldpdTree struct {
	forms   map[string]cStruct
	objects map[uint64]cObject
	last    uint64
}

// cObject is the content of a structure, or of a text, whose kind is empty.
type cObject struct {
	kind string
	data []byte
}

const (
	treeHeader = 16
	// maxTreeDepth bounds a list, each of whose elements is in the one before.
	maxTreeDepth = 10_000
)

var errForm = errors.New("lldpd's answer has another form than is known")

// readTree takes an answer apart that begins with a structure of a kind.
func readTree(b []byte, kind string, forms map[string]cStruct) (*lldpdTree, error) {
	t := &lldpdTree{forms: forms, objects: map[uint64]cObject{}}
	size, err := t.read(b, cPointer{to: kind}, nil, 0)
	if err == nil && size != len(b) {
		err = errForm
	}
	return t, err
}

// read reads what a pointer of owner leads to, from the beginning of b, and gives
// its size.
func (t *lldpdTree) read(b []byte, p cPointer, owner []byte, depth int) (size int, err error) {
	if len(b) < treeHeader || depth > maxTreeDepth {
		return 0, errForm
	}
	number, length := binary.NativeEndian.Uint64(b), binary.NativeEndian.Uint64(b[8:])
	if t.last++; number != t.last || length < treeHeader || length > uint64(len(b)) {
		return 0, errForm
	}
	b = b[:length]
	form, isStruct := t.forms[p.to]
	at, object := treeHeader, []byte(nil)
	switch {
	case p.inside:
		object = owner[p.at : p.at+form.size]
	case isStruct:
		if at += form.size; at > len(b) {
			return 0, errForm
		}
		object = b[treeHeader:at]
	default:
		object, at = b[treeHeader:], len(b)
		if !textFits(object, p, owner) {
			return 0, errForm
		}
	}
	t.objects[number] = cObject{p.to, object}
	for _, inner := range form.pointers {
		next := b[min((at+7)&^7, len(b)):]
		if !t.follows(next, inner, object, p.inside) {
			continue
		}
		size, err := t.read(next, inner, object, depth+1)
		if err != nil {
			return 0, err
		}
		at = len(b) - len(next) + size
	}
	if at != len(b) {
		return 0, errForm
	}
	return len(b), nil
}

// follows says whether what a pointer leads to comes next: not where it is
// nowhere, and not where it was written before.
func (t *lldpdTree) follows(next []byte, p cPointer, object []byte, raw bool) bool {
	switch leads := binary.NativeEndian.Uint64(object[p.at:]); {
	case p.inside:
		return true
	case raw:
		return leads != 0 && len(next) >= treeHeader && binary.NativeEndian.Uint64(next) == t.last+1
	default:
		return leads > t.last
	}
}

// textFits says whether a text is as long as the number beside its pointer, or
// ends with its only NUL.
func textFits(text []byte, p cPointer, owner []byte) bool {
	if p.lengthAt > 0 {
		return uint64(len(text)) == uint64(binary.NativeEndian.Uint32(owner[p.lengthAt:]))
	}
	for i, c := range text {
		if c == 0 {
			return i == len(text)-1
		}
	}
	return false
}

// root gives the structure that the answer begins with.
func (t *lldpdTree) root() []byte { return t.objects[1].data }

// follow gives what a pointer of an object leads to; nil where that is nowhere or
// of another kind.
func (t *lldpdTree) follow(object []byte, at int, kind string) []byte {
	led := t.objects[binary.NativeEndian.Uint64(object[at:])]
	if led.kind != kind {
		return nil
	}
	return led.data
}

// each calls f with each element of a list whose first is at an offset of head. It
// ends where a ring would begin.
func (t *lldpdTree) each(head []byte, at int, kind string, f func(element []byte)) {
	element := t.follow(head, at, kind)
	for range t.objects {
		if element == nil {
			return
		}
		f(element)
		element = t.follow(element, 0, kind)
	}
}

// lldpdString writes a text as lldpd reads it.
func lldpdString(s string) []byte {
	b := binary.NativeEndian.AppendUint64(nil, 1)
	b = binary.NativeEndian.AppendUint64(b, uint64(treeHeader+len(s)+1))
	return append(append(b, s...), 0)
}

// decodeInterfaces reads the names of the interfaces that lldpd listens on.
func decodeInterfaces(b []byte) (names []string, err error) {
	if len(b) == 0 {
		return nil, nil
	}
	t, err := readTree(b, "interfaces", listForms(false))
	if err != nil {
		if t, err = readTree(b, "interfaces", listForms(true)); err != nil {
			return nil, err
		}
	}
	t.each(t.root(), 0, "interface", func(element []byte) {
		names = append(names, text(t.follow(element, interfaceName, "")))
	})
	return names, nil
}

// decodeInterface reads the index of an interface and who was heard there. Of one
// that is gone lldpd says nothing.
func decodeInterface(b []byte) (index int, heard []inventory.Neighbour, err error) {
	if len(b) == 0 {
		return 0, nil, nil
	}
	for _, layout := range lldpdLayouts {
		t, err := readTree(b, "hardware", layout.forms())
		if err != nil {
			continue
		}
		heard, err := t.heard(layout)
		return int(int32(binary.NativeEndian.Uint32(t.root()[hardwareIndex:]))), heard, err
	}
	return 0, nil, errForm
}

// heard reads the ports that an interface heard. One that can't be read leaves
// the others.
func (t *lldpdTree) heard(layout lldpdLayout) (heard []inventory.Neighbour, err error) {
	t.each(t.root(), layout.heard(), "port", func(port []byte) {
		if port[portProtocol] != lldpdIsLLDP || len(heard) == maxNeighbours {
			return
		}
		n, bad := t.neighbour(port, layout)
		if bad != nil {
			err = bad
			return
		}
		heard = append(heard, n)
	})
	return heard, err
}

// neighbour reads a port that was heard.
func (t *lldpdTree) neighbour(port []byte, layout lldpdLayout) (n inventory.Neighbour, err error) {
	chassis := t.follow(port, portChassis, "chassis")
	if chassis == nil || len(t.follow(chassis, chassisID, "")) == 0 || len(t.follow(port, portID, "")) == 0 {
		return n, fmt.Errorf("port that doesn't say whose it is: %w", errForm)
	}
	name := func(forms map[byte]nameForm, subtype byte, id []byte) string {
		text, bad := stationName(forms[subtype], id)
		err = errors.Join(err, bad)
		return text
	}
	n.ChassisID = name(chassisForms, chassis[chassisSubtype], t.follow(chassis, chassisID, ""))
	n.PortID = name(portForms, port[portIDSubtype], t.follow(port, portID, ""))
	n.SystemName = printable(t.follow(chassis, chassisName, ""))
	n.PortDescription = printable(t.follow(port, portText, ""))
	addVLAN(&n, binary.NativeEndian.Uint16(port[layout.pvid():]))
	t.each(port, layout.vlans(), "vlan", func(vlan []byte) { addVLAN(&n, binary.NativeEndian.Uint16(vlan[vlanNumber:])) })
	return n, err
}
