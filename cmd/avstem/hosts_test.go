package main

import (
	"strings"
	"testing"
	"time"

	"github.com/dataverket/avstem/evaluate"
)

// The line below the table counts the hosts that the table has.
func TestHostsOfAPlatformAreCounted(t *testing.T) {
	states := func(live, silent int) map[evaluate.HostState]int {
		return map[evaluate.HostState]int{evaluate.HostLive: live, evaluate.HostSilent: silent}
	}
	health := evaluate.Health{
		Whole:     evaluate.Fleet{Hosts: states(5, 2)},
		Platforms: []evaluate.Fleet{{Platform: "incus", Hosts: states(3, 1)}, {Platform: "libvirt", Hosts: states(2, 1)}},
		Hosts:     []evaluate.HostHealth{{Host: "hv-osl1-01"}},
	}
	for platform, want := range map[string]string{"": "5 of 7 live", "libvirt": "2 of 3 live"} {
		var out strings.Builder
		a := &app{stdout: &out, now: time.Now}
		if err := a.writeHosts(health, platform); err != nil || !strings.Contains(out.String(), "\n"+want+"\n") {
			t.Errorf("of platform %q it says, %v:\n%s", platform, err, out.String())
		}
	}
}
