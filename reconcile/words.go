package reconcile

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// maxListed is how many names or reasons a finding lists; more tell nobody more.
const maxListed = 8

// rungWords names a mark of identity as people say it.
func rungWords(rung string) string {
	switch rung {
	case "macs":
		return "the MAC addresses"
	case "disk-serials":
		return "the disk serials"
	case "name":
		return "the name"
	case "sentral-id":
		return "the Sentral ID in the metadata"
	case "runtime-uuid":
		return "the UUID"
	case "smbios-uuid":
		return "the SMBIOS UUID"
	case "host-id":
		return "the host ID"
	case "earlier-host-id":
		return "an earlier host ID"
	case "system-uuid":
		return "the system UUID"
	case "serial":
		return "the serial number"
	}
	return rung
}

// ambiguity says that nothing settles which of both sides belong together.
func ambiguity(seen, wanted []string, rung string) string {
	const why = "%s could be %s: they share %s, and nothing else tells them apart"
	switch {
	case len(seen) == 1:
		return fmt.Sprintf(why, seen[0], listed(wanted, "or"), rungWords(rung))
	case len(wanted) == 1:
		return fmt.Sprintf(why, wanted[0], listed(seen, "or"), rungWords(rung))
	}
	return fmt.Sprintf(why, listed(wanted, "and"), "any of "+listed(seen, "and"), rungWords(rung))
}

// listed writes names in a row: all of a few, the first of many.
func listed(names []string, joint string) string {
	last := len(names) - 1
	switch {
	case last < 0:
		return ""
	case len(names) > maxListed:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxListed], ", "), len(names)-maxListed)
	case last == 0:
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " " + joint + " " + names[last]
}

// sizeWords writes two sizes that differ so that they read differently.
func sizeWords(a, b inventory.Bytes) (string, string) {
	if a.String() != b.String() {
		return a.String(), b.String()
	}
	return fmt.Sprintf("%d B", uint64(a)), fmt.Sprintf("%d B", uint64(b))
}

// plain writes a size as inventory files take it, exactly.
func plain(b inventory.Bytes) string {
	text := strings.ReplaceAll(b.String(), " ", "")
	if same, err := inventory.ParseBytes(text); err != nil || same != b {
		return strconv.FormatUint(uint64(b), 10)
	}
	return text
}

func notEmpty(value, line string) []string {
	if value == "" {
		return nil
	}
	return []string{line}
}

// orNothing gives nil for "", which JSON shows as null.
func orNothing(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

func quote(s string) string { return strconv.Quote(s) }

// bothWays writes the two resolutions that a difference has. One that is empty
// there is none.
func bothWays(runtime, how, sentral string) []Resolution {
	ways := make([]Resolution, 0, 2)
	if runtime != "" {
		ways = append(ways, Resolution{Side: "runtime", Do: runtime, How: how})
	}
	if sentral != "" {
		ways = append(ways, Resolution{Side: "sentral", Do: sentral})
	}
	return ways
}

func vCPUs(n int) string {
	if n == 1 {
		return "1 vCPU"
	}
	return fmt.Sprintf("%d vCPUs", n)
}
