package bus

import (
	"os"
	"path/filepath"
	"strings"
)

// StateDir is where avstem keeps its state: the flag's value, AVSTEM_STATE_DIR,
// the directory that systemd made for the service, /var/lib/avstem for root, $XDG_STATE_HOME/avstem (~/.local/state/avstem) for
// others.
func StateDir(flag string, getenv func(string) string) string {
	switch fromEnv := getenv("AVSTEM_STATE_DIR"); {
	case flag != "":
		return flag
	case fromEnv != "":
		return fromEnv
	case getenv("STATE_DIRECTORY") != "": // StateDirectory= in the unit; one of several with colons
		first, _, _ := strings.Cut(getenv("STATE_DIRECTORY"), ":")
		return first
	case os.Geteuid() == 0:
		return "/var/lib/avstem"
	}
	if base := getenv("XDG_STATE_HOME"); base != "" {
		return filepath.Join(base, "avstem")
	}
	return filepath.Join(getenv("HOME"), ".local", "state", "avstem")
}

// RunLink is the symbolic link to the state directory of the `avstem up` that
// runs now: /run/avstem/current for root, $XDG_RUNTIME_DIR/avstem/current for
// others. AVSTEM_RUN_LINK names another.
func RunLink(getenv func(string) string) string {
	if link := getenv("AVSTEM_RUN_LINK"); link != "" {
		return link
	}
	if os.Geteuid() == 0 {
		return "/run/avstem/current"
	}
	base := getenv("XDG_RUNTIME_DIR")
	if base == "" {
		base = filepath.Join(getenv("HOME"), ".cache")
	}
	return filepath.Join(base, "avstem", "current")
}
