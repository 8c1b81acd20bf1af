package bundle

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// The files of a bundle.
const (
	manifestName = "manifest.json"
	observedName = "observed.json" // as avstem diff --observed takes it
	intendedName = "intended.json" // as avstem diff --intended takes it in a directory of its own
	restName     = "rest.json"
	findingsName = "findings.json"
	eventsName   = "events.json"
	timelineName = "timeline.json"
	explainName  = "explain.json"
)

// part is one file and what it is read into.
type part struct {
	name  string
	value any
}

// parts are the files beside the manifest.
func (b *Bundle) parts() []part {
	return []part{
		{observedName, &b.Observed}, {intendedName, &b.Intended}, {restName, &b.Rest}, {findingsName, &b.Findings},
		{eventsName, &b.Events}, {timelineName, &b.Timeline}, {explainName, &b.Explanation},
	}
}

// Seal takes the credentials out of everything, and runs the core over what is
// left, so that the manifest can say whether that gives the same findings. It is
// called once, before [Write].
func (b *Bundle) Seal() error {
	b.Manifest.Schema = Schema
	total := 0
	for _, p := range b.parts() {
		text, err := json.Marshal(p.value)
		if err != nil {
			return fmt.Errorf("make bundle: %s: %w", p.name, err)
		}
		clean, n, err := scrub(text)
		if err != nil {
			return fmt.Errorf("make bundle: %s: %w", p.name, err)
		}
		total += n
		if n > 0 {
			if err := json.Unmarshal(clean, p.value); err != nil {
				return fmt.Errorf("make bundle: %s: %w", p.name, err)
			}
		}
	}
	for _, o := range b.Observed {
		if err := o.Seal(); err != nil {
			return fmt.Errorf("make bundle: %w", err)
		}
	}
	if total > 0 {
		b.Manifest.LeftOut = append(b.Manifest.LeftOut, fmt.Sprintf("what looked like a credential; texts that held one: %d", total))
	}
	b.Manifest.Differs = b.check()
	b.Manifest.Reproduces = len(b.Manifest.Differs) == 0
	return nil
}

// Write writes the file. The same bundle always gives the same bytes.
func Write(w io.Writer, b *Bundle) error {
	z := zip.NewWriter(w)
	b.Manifest.Files = nil
	contents := map[string][]byte{}
	for _, p := range b.parts() {
		text, err := json.MarshalIndent(p.value, "", " ")
		if err != nil {
			return fmt.Errorf("write bundle: %s: %w", p.name, err)
		}
		hash := sha256.Sum256(text)
		contents[p.name] = text
		b.Manifest.Files = append(b.Manifest.Files, File{Name: p.name, Size: int64(len(text)), SHA256: hex.EncodeToString(hash[:])})
	}
	text, err := json.MarshalIndent(&b.Manifest, "", " ")
	if err != nil {
		return fmt.Errorf("write bundle: %s: %w", manifestName, err)
	}
	contents[manifestName] = text
	for _, name := range append([]string{manifestName}, names(b.Manifest.Files)...) {
		file, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: b.Manifest.Made.UTC().Truncate(time.Second)})
		if err == nil {
			_, err = file.Write(contents[name])
		}
		if err != nil {
			return fmt.Errorf("write bundle: %s: %w", name, err)
		}
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("write bundle: %w", err)
	}
	return nil
}

func names(files []File) (all []string) {
	for _, f := range files {
		all = append(all, f.Name)
	}
	return all
}
