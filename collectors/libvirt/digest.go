package libvirt

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
)

// digester is an [xml.TokenReader] that makes a domain's config digest: SHA-256
// over its XML without what changes though nobody configured anything. Element
// order, text and attributes count; white space between elements, the order of
// attributes and that of controllers don't: libvirt sorts those that it adds
// itself only when it reads the domain again. Left out are
//
//   - the domain's id, which counts starts;
//   - currentMemory, and current of a memory device: the balloon's and the
//     guest's doing;
//   - what libvirt names at each start: aliases but the user's own (ua-…), NIC
//     targets vnetN, macvtapN, macvlanN and vifN, pty paths, automatic ports
//     and sockets of a display, sockets below a channel directory of the run,
//     the labels of dynamic security;
//   - index of a disk's source, portid of a network's, the backing chain and
//     mirror, which block jobs rewrite (the chain is a field of its own);
//   - what the guest does: tray, state of a channel, currentAddress of a MAC.
//
// Live and inactive XML differ in more than that (libvirt writes out defaults),
// so a digest compares with others of the same VM in the same activity. A
// document that isn't XML to its end has the digest of its bytes.
//
// It passes on the tokens that it hashes, so that one reading of the XML serves
// the decoder as well.
type digester struct {
	raw     []byte
	decoder *xml.Decoder
	content []byte     // what is hashed
	attrs   []xml.Attr // scratch
	path    []string   // of the open elements

	controllers []string // what is hashed of each
	begun       int      // where in content the open controller begins
	skip        int      // depth of the element that is being left out, 0 for none
	err         error    // that ended it
}

func newDigester(raw []byte) *digester {
	return &digester{raw: raw, decoder: xml.NewDecoder(bytes.NewReader(raw)), content: make([]byte, 0, len(raw))}
}

// Token reads the next token, whose names are not translated yet.
func (d *digester) Token() (xml.Token, error) {
	token, err := d.decoder.RawToken()
	if err != nil {
		d.err = err
		return token, err
	}
	switch t := token.(type) {
	case xml.StartElement:
		d.path = append(d.path, t.Name.Local)
		if d.skip == 0 && volatileElement(d.path, t.Attr) {
			d.skip = len(d.path)
		}
		if d.isController() {
			d.begun = len(d.content)
		}
		if d.skip == 0 {
			d.start(t)
		}
	case xml.EndElement:
		if len(d.path) == 0 {
			d.err = xml.UnmarshalError("end of an element that was not begun")
			return nil, d.err
		}
		if d.skip == 0 {
			d.content = append(d.content, '>')
		}
		if d.skip == len(d.path) {
			d.skip = 0
		}
		if d.isController() {
			d.controllers = append(d.controllers, string(d.content[d.begun:]))
			d.content = d.content[:d.begun]
		}
		d.path = d.path[:len(d.path)-1]
	case xml.CharData:
		if text := bytes.TrimSpace(t); d.skip == 0 && len(text) > 0 {
			d.content = append(d.content, '=')
			d.content = append(d.content, text...)
			d.content = append(d.content, 0)
		}
	}
	return token, nil
}

func (d *digester) isController() bool {
	return len(d.path) == 3 && d.path[2] == "controller" && d.path[1] == "devices"
}

func (d *digester) start(t xml.StartElement) {
	d.attrs = d.attrs[:0]
	for _, a := range t.Attr {
		if !volatileAttr(d.path, t.Attr, a) {
			d.attrs = append(d.attrs, a)
		}
	}
	slices.SortFunc(d.attrs, func(x, y xml.Attr) int {
		return cmp.Or(cmp.Compare(x.Name.Space, y.Name.Space), cmp.Compare(x.Name.Local, y.Name.Local))
	})
	d.content = append(d.content, '<')
	d.name(t.Name)
	for _, a := range d.attrs {
		d.content = append(d.content, 0)
		d.name(a.Name)
		d.content = append(d.content, 0)
		d.content = append(d.content, a.Value...)
	}
	d.content = append(d.content, 0)
}

func (d *digester) name(n xml.Name) {
	d.content = append(d.content, n.Space...)
	d.content = append(d.content, ':')
	d.content = append(d.content, n.Local...)
}

// located gives a decoder's error the line that it is on: who reads our tokens
// can't know it.
func (d *digester) located(err error) error {
	if syntax, ok := errors.AsType[*xml.SyntaxError](err); ok {
		syntax.Line, _ = d.decoder.InputPos()
	}
	return err
}

// sum reads what nobody has read yet, and gives the digest.
func (d *digester) sum() string {
	for d.err == nil {
		_, _ = d.Token() // kept in d.err
	}
	slices.Sort(d.controllers)
	content := append(d.content, strings.Join(d.controllers, "")...)
	if d.err != io.EOF || len(d.path) > 0 || d.decoder.InputOffset() != int64(len(d.raw)) {
		content = d.raw
	}
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}
