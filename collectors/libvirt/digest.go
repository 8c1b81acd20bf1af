package libvirt

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"hash"
	"slices"
	"strings"
)

// configDigest is SHA-256 over a domain's XML without what changes though
// nobody configured anything. Element order, text and attributes count; white
// space between elements and the order of attributes don't. Left out are
//
//   - the domain's id, which counts starts;
//   - currentMemory, and current of a memory device: the balloon's and the
//     guest's doing;
//   - what libvirt names at each start: aliases but the user's own (ua-…), NIC
//     targets vnetN, macvtapN, macvlanN and vifN, pty paths, automatic ports of
//     a display, sockets below a channel directory of the run, the labels of
//     dynamic security;
//   - index of a disk's source, portid of a network's, the backing chain and
//     mirror, which block jobs rewrite (the chain is a field of its own);
//   - what the guest does: tray, state of a channel, currentAddress of a MAC.
//
// Live and inactive XML differ in more than that (libvirt writes out defaults),
// so a digest compares with others of the same VM in the same activity. A
// document that isn't XML to its end has the digest of its bytes.
func configDigest(raw []byte) string {
	sum := sha256.New()
	if err := hashConfig(sum, raw); err != nil {
		sum.Reset()
		sum.Write(raw)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}

func hashConfig(sum hash.Hash, raw []byte) error {
	d := xml.NewDecoder(bytes.NewReader(raw))
	var path []string
	skip := 0 // depth of the element that is being left out, 0 for none
	for {
		token, err := d.RawToken()
		if err != nil {
			if len(path) == 0 && d.InputOffset() == int64(len(raw)) {
				return nil
			}
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			path = append(path, t.Name.Local)
			if skip == 0 && volatileElement(path, t.Attr) {
				skip = len(path)
			}
			if skip == 0 {
				hashStart(sum, path, t)
			}
		case xml.EndElement:
			if len(path) == 0 {
				return xml.UnmarshalError("end of an element that was not begun")
			}
			if skip == 0 {
				sum.Write([]byte{'>'})
			}
			if skip == len(path) {
				skip = 0
			}
			path = path[:len(path)-1]
		case xml.CharData:
			if text := bytes.TrimSpace(t); skip == 0 && len(text) > 0 {
				sum.Write([]byte{'='})
				sum.Write(text)
				sum.Write([]byte{0})
			}
		}
	}
}

func hashStart(sum hash.Hash, path []string, t xml.StartElement) {
	var attrs []xml.Attr
	for _, a := range t.Attr {
		if !volatileAttr(path, t.Attr, a) {
			attrs = append(attrs, a)
		}
	}
	slices.SortFunc(attrs, func(x, y xml.Attr) int {
		return strings.Compare(x.Name.Space+":"+x.Name.Local, y.Name.Space+":"+y.Name.Local)
	})
	var b strings.Builder
	b.WriteString("<" + t.Name.Space + ":" + t.Name.Local)
	for _, a := range attrs {
		b.WriteString("\x00" + a.Name.Space + ":" + a.Name.Local + "\x00" + a.Value)
	}
	b.WriteByte(0)
	sum.Write([]byte(b.String()))
}
