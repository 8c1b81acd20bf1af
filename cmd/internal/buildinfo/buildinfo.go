// Package buildinfo says which build of avstem this is. It knows what the linker
// and the go command left in the binary, and nothing else.
package buildinfo

import (
	"runtime"
	"runtime/debug"
)

// version is set by the linker: -X github.com/dataverket/avstem/cmd/internal/buildinfo.version=…
var version = ""

// Info is what is known of how this binary came to be.
type Info struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // git commit
	Time     string `json:"time,omitempty"`     // of the commit, RFC 3339
	Modified bool   `json:"modified,omitempty"` // the checkout had changes that weren't committed
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Read returns it.
func Read() Info {
	b := Info{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}
