package inventory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// What a document may hold at most. Well-formed documents stay far below; the
// limits keep a small hostile one from becoming gigabytes in memory, where an
// empty element of two bytes is a struct of several hundred.
const (
	MaxDepth    = 32
	MaxElements = 500_000 // of all its lists together
)

// DecodeObservations reads observations as people have them in files and on
// pipes: one document, several after one another, a JSON list of them, or any
// mixture. Fields that it doesn't know are ignored, another major version of the
// schema is refused (see [CheckSchema]), and so is more than limit bytes in all.
// The error says which document it is about, counted from 1, and at which byte
// that begins. It doesn't check digests: see [Observation.VerifyDigest].
func DecodeObservations(r io.Reader, limit int64) ([]*Observation, error) {
	bounded := &io.LimitedReader{R: r, N: limit + 1}
	d := documents{json: json.NewDecoder(bounded)}
	err := d.readAll()
	if bounded.N <= 0 { // whatever was wrong, it was cut off
		return nil, fmt.Errorf("decode observations: more than %d bytes", limit)
	}
	if err != nil {
		return nil, fmt.Errorf("decode observation %d, at byte %d: %w", len(d.read)+1, d.begin, err)
	}
	return d.read, nil
}

type documents struct {
	json  *json.Decoder
	begin int64 // where the value that is being read begins
	read  []*Observation
}

func (d *documents) readAll() error {
	for {
		var value json.RawMessage
		d.begin = d.json.InputOffset()
		switch err := d.json.Decode(&value); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		d.begin = d.json.InputOffset() - int64(len(value))
		if err := d.add(value); err != nil {
			return err
		}
	}
}

// add takes one value: a document, or a list of them.
func (d *documents) add(value []byte) error {
	if err := checkShape(value, MaxDepth+1); err != nil { // one more for a list of documents
		return err
	}
	if value[0] != '[' {
		return d.addDocument(value)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(value, &list); err != nil {
		return err
	}
	begin, from := d.begin, 0
	for _, document := range list {
		// The elements are slices of the list's text, in its order.
		from += bytes.Index(value[from:], document)
		d.begin = begin + int64(from)
		if err := d.addDocument(document); err != nil {
			return err
		}
		from += len(document)
	}
	return nil
}

func (d *documents) addDocument(document []byte) error {
	if document[0] != '{' {
		return fmt.Errorf("want an object, not %.20q", document)
	}
	var o Observation
	// The schema first: another version's fields may not fit this one's types.
	var header struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(document, &header); err != nil {
		return err
	}
	if err := CheckSchema(header.Schema); err != nil {
		return err
	}
	if err := json.Unmarshal(document, &o); err != nil {
		return err
	}
	d.read = append(d.read, &o)
	return nil
}

// CheckShape refuses the JSON text of a document that is nested deeper, or whose
// lists have more elements, than any real one: it is to be asked before a text of
// a stranger is decoded. What isn't well-formed it leaves to the decoder.
func CheckShape(text []byte) error { return checkShape(text, MaxDepth) }

// checkShape counts depth and list elements.
func checkShape(text []byte, depthLimit int) error {
	var inList []bool // of the containers that are open
	elements, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			if inList = append(inList, c == '['); len(inList) > depthLimit {
				return fmt.Errorf("nested more than %d deep", depthLimit)
			}
			elements++
		case (c == ']' || c == '}') && len(inList) > 0:
			inList = inList[:len(inList)-1]
		case c == ',' && len(inList) > 0 && inList[len(inList)-1]:
			if elements++; elements > MaxElements {
				return fmt.Errorf("more than %d elements in its lists", MaxElements)
			}
		}
	}
	return nil
}

// VerifyDigest says whether the digest is that of what the document holds. One
// from a newer avstem may hold more than this one knows and fail for it.
func (o *Observation) VerifyDigest() error {
	text, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("verify digest of %s: %w", o.Source, err)
	}
	var sealed Observation // a copy, since sealing sorts
	if err := json.Unmarshal(text, &sealed); err != nil {
		return fmt.Errorf("verify digest of %s: %w", o.Source, err)
	}
	if err := sealed.Seal(); err != nil {
		return fmt.Errorf("verify digest of %s: %w", o.Source, err)
	}
	if sealed.Digest != o.Digest {
		return fmt.Errorf("verify digest of %s: it says %q, its content gives %q", o.Source, o.Digest, sealed.Digest)
	}
	return nil
}
