// Package units holds the systemd units to how little they may do.
package units

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Each unit's exposure, as systemd counts it, is at most 1.5 of 10.
func TestUnitsAreSandboxed(t *testing.T) {
	for _, unit := range []string{"avstem-agent.service", "avstem-agent-enroll.service", "avstem.service", "avstem-report.service"} {
		path := filepath.Join("..", "..", "systemd", unit)
		if _, err := os.ReadFile(path); err != nil { // so that a change of it runs the test anew
			t.Fatal(err)
		}
		out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=15", path).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", unit, err, out)
		}
	}
}
