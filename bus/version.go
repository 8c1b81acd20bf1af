package bus

import (
	"fmt"
	"strconv"
	"strings"
)

// MinServer is the oldest nats-server that avstem works with. Before it,
// sync_interval: always did not hold for streams that keep the last value only
// (nats-server pull request 8475), so an acknowledged finding could be lost.
const MinServer = "2.14.6"

// VersionError says that the server is too old.
type VersionError struct {
	URL, Version string
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("nats-server %s at %s is too old: avstem needs %s or newer, since older ones can lose what they acknowledged: upgrade the server",
		e.Version, e.URL, MinServer)
}

// CheckServer refuses the connected server if it is older than [MinServer].
func (c *Conn) CheckServer() error {
	if version := c.nc.ConnectedServerVersion(); !newEnough(version) {
		return &VersionError{URL: c.Server(), Version: version}
	}
	return nil
}

// newEnough compares the three numbers. A pre-release counts as its release:
// it has the fix that the release has.
func newEnough(version string) bool {
	have, ok := numbers(version)
	if !ok {
		return false
	}
	need, _ := numbers(MinServer)
	for i := range need {
		if have[i] != need[i] {
			return have[i] > need[i]
		}
	}
	return true
}

func numbers(version string) (n [3]int, ok bool) {
	core, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), "-")
	core, _, _ = strings.Cut(core, "+")
	parts := strings.Split(core, ".")
	if len(parts) != len(n) {
		return n, false
	}
	for i, part := range parts {
		value, err := strconv.Atoi(part)
		if err != nil || value < 0 {
			return n, false
		}
		n[i] = value
	}
	return n, true
}
