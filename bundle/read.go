package bundle

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

const (
	// MaxFile bounds a bundle, and maxContent what is in it: a zip file of some
	// kilobytes can claim to hold anything.
	MaxFile    = 64 << 20
	maxContent = 128 << 20
	maxSchema  = 1 << 20 // of the manifest
	// maxObjects keeps a small text from becoming gigabytes of empty records.
	maxObjects = 1_000_000
)

// Read reads a bundle. Nothing of it is written anywhere: names in it are compared
// with ours and mean nothing else.
func Read(data []byte) (*Bundle, error) {
	b, err := read(data)
	if err != nil {
		return nil, fmt.Errorf("read bundle: %w", err)
	}
	return b, nil
}

func read(data []byte) (*Bundle, error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if errors.Is(err, zip.ErrFormat) {
		return nil, errors.New("it is no bundle, or was cut short: avstem bundle writes one")
	} else if err != nil {
		return nil, err
	}
	b := new(Bundle)
	files := map[string]*zip.File{}
	known := []string{manifestName}
	for _, p := range b.parts() {
		known = append(known, p.name)
	}
	for _, f := range z.File {
		if !slices.Contains(known, f.Name) {
			return nil, fmt.Errorf("it holds %.80q, which no bundle does", f.Name)
		}
		if files[f.Name] != nil {
			return nil, fmt.Errorf("it holds %s twice", f.Name)
		}
		files[f.Name] = f
	}
	left := int64(maxContent)
	manifest, err := content(files, manifestName, maxSchema, &left)
	if err != nil {
		return nil, err
	}
	if err := checkSchema(manifest); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(manifest, &b.Manifest); err != nil {
		return nil, fmt.Errorf("%s: %w", manifestName, err)
	}
	for _, p := range b.parts() {
		text, err := content(files, p.name, maxContent, &left)
		if err != nil {
			return nil, err
		}
		if err := b.verify(p.name, text); err != nil {
			return nil, err
		}
		if err := b.decode(p, text); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return b, nil
}

// content reads one file, and no more than is left of what all may be.
func content(files map[string]*zip.File, name string, limit int64, left *int64) ([]byte, error) {
	f := files[name]
	if f == nil {
		return nil, fmt.Errorf("%s is missing: was it cut short?", name)
	}
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer r.Close()
	limit = min(limit, *left)
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case int64(len(text)) > limit:
		return nil, fmt.Errorf("%s: it holds more than %d bytes, which no bundle does", name, limit)
	}
	*left -= int64(len(text))
	return text, nil
}

// verify holds a file against the manifest.
func (b *Bundle) verify(name string, text []byte) error {
	hash := sha256.Sum256(text)
	for _, f := range b.Manifest.Files {
		if f.Name == name {
			if f.SHA256 != hex.EncodeToString(hash[:]) {
				return fmt.Errorf("%s: it isn't what the manifest says: the bundle was changed or damaged", name)
			}
			return nil
		}
	}
	return fmt.Errorf("%s: the manifest doesn't list it", name)
}

// decode reads one file. Documents are held to what they are anywhere else.
func (b *Bundle) decode(p part, text []byte) error {
	switch into := p.value.(type) {
	case *[]*inventory.Observation:
		read, err := inventory.DecodeObservations(bytes.NewReader(text), maxContent)
		if err != nil {
			return err
		}
		*into = read
		return nil
	case **sentral.Inventory:
		*into = new(sentral.Inventory)
	case **reconcile.Explanation:
		*into = new(reconcile.Explanation)
	}
	if n := bytes.Count(text, []byte("{")); n > maxObjects {
		return fmt.Errorf("it holds %d objects, which no bundle does", n)
	}
	if err := json.Unmarshal(text, p.value); err != nil {
		return err
	}
	switch { // what null leaves
	case b.Intended == nil:
		b.Intended = new(sentral.Inventory)
	case b.Explanation == nil:
		b.Explanation = new(reconcile.Explanation)
	}
	return nil
}

// checkSchema refuses another major version, whatever else is in it.
func checkSchema(manifest []byte) error {
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(manifest, &head); err != nil {
		return fmt.Errorf("%s: %w", manifestName, err)
	}
	name, version, _ := strings.Cut(head.Schema, "/v")
	if major, _, _ := strings.Cut(version, "."); name != "avstem.bundle" || major == "" {
		return fmt.Errorf("%s: schema %.80q is not %s", manifestName, head.Schema, Schema)
	} else if major != "1" {
		return fmt.Errorf("%s: schema %.80q is newer than this avstem understands (%s): upgrade avstem", manifestName, head.Schema, Schema)
	}
	return nil
}
