package frames

import "strings"

// parse reads a topology as commands, one a line. Taps that begin with eno are
// wires, the others and macvtaps are guests'; "# eno1 has no carrier" says that
// nobody is at its other end. Links are taken down when all have their carriers.
func parse(text string) *topology {
	t := &topology{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		words := strings.Fields(line)
		switch {
		case line == "":
			continue
		case strings.HasSuffix(line, "has no carrier"):
			t.dead = append(t.dead, words[1])
			continue
		case strings.HasPrefix(line, "#"):
			continue
		case strings.HasSuffix(line, " down"):
			t.after = append(t.after, line)
			continue
		case strings.HasPrefix(line, "ip tuntap add eno"):
			t.wires = append(t.wires, words[3])
		case strings.HasPrefix(line, "ip tuntap") || strings.HasPrefix(line, "ip link add macvtap"):
			t.nics = append(t.nics, words[3])
		}
		t.commands = append(t.commands, line)
	}
	return t
}
