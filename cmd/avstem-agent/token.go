package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"

	"github.com/dataverket/avstem/cmd/internal/doctor"
)

// tokenPath is where whoever installs a host leaves a token for its first boot, and
// tokenUnit is what uses it.
const (
	tokenPath = "/etc/avstem/enroll-token"
	tokenUnit = "avstem-agent-enroll.service"
)

// examineToken says how the enrolment by a token that was left is doing, if there is
// one and the host isn't in.
func (a *app) examineToken(ctx context.Context) []doctor.Result {
	if _, err := os.Stat(tokenPath); err != nil || a.host.StateDir != serviceState {
		return nil
	}
	if _, in := a.isIn(); in {
		return nil
	}
	// Without systemd there is no unit, and nothing is said of it.
	shown, _ := exec.CommandContext(ctx, "systemctl", "show", "--property=ActiveState,StatusText", tokenUnit).Output()
	unit := map[string]string{}
	for line := range bytes.Lines(shown) {
		key, value, _ := strings.Cut(strings.TrimSpace(string(line)), "=")
		unit[key] = value
	}
	return []doctor.Result{judgeToken(unit["ActiveState"], unit["StatusText"])}
}

// judgeToken says what the state of the unit means, and the words that it left.
func judgeToken(state, status string) doctor.Result {
	const check, tried = "enrolment", "see what became of the token in " + tokenPath
	const means = "this host has no credentials, and its agent waits for them"
	switch state {
	case "failed":
		return doctor.Bad(check, tried, errors.New(cmp.Or(status, tokenUnit+" has failed: journalctl -u "+tokenUnit)), means,
			"avstem enroll token --host NAME on the server; its token into "+tokenPath+"; systemctl restart "+tokenUnit)
	case "active":
		return doctor.Weak(check, tried, cmp.Or(status, tokenUnit+" runs"), means, "systemctl status "+tokenUnit+"; systemctl restart "+tokenUnit+" tries at once")
	}
	return doctor.Weak(check, tried, "nothing uses it: "+tokenUnit+" is "+cmp.Or(state, "unknown here"), means, "systemctl start "+tokenUnit)
}
