package rig

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// commandTimeout bounds the commands that the rig's own methods run.
const commandTimeout = time.Minute

// Command prepares a command that runs in all of the rig's namespaces. Its
// working directory is /, whatever Dir says. When ctx ends it is killed, and so
// is it when nsenter, which is what Process is, is killed.
func (r *Rig) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	full := []string{"--target", strconv.Itoa(r.init.PID),
		"--mount", "--uts", "--ipc", "--net", "--pid",
		"--root", "--wd", // the rig's, which is not the machine's where we are in a chroot
		"--",
		"setpriv", "--pdeathsig", "KILL", "--", name}
	cmd := exec.CommandContext(ctx, "nsenter", append(full, args...)...)
	cmd.Env = environment()
	cmd.WaitDelay = 5 * time.Second // for grandchildren that keep its output open
	return cmd
}

// Run runs a command inside and returns what it wrote to standard output without
// the final line break. The error has what it wrote to standard error.
func (r *Rig) Run(name string, args ...string) (string, error) {
	return r.runWith("", name, args...)
}

// Virsh runs virsh inside, as [Rig.Run] does.
func (r *Rig) Virsh(args ...string) (string, error) {
	return r.Run("virsh", append([]string{"-q", "-c", "qemu:///system"}, args...)...)
}

// VSCtl runs ovs-vsctl inside, as [Rig.Run] does.
func (r *Rig) VSCtl(args ...string) (string, error) {
	return r.Run("ovs-vsctl", args...)
}

func (r *Rig) runWith(stdin, name string, args ...string) (string, error) {
	if !r.init.alive() {
		return "", fmt.Errorf("run %s in rig %s: %w", name, r.dir, ErrNotRunning)
	}
	ctx, cancel := withDeadline()
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := r.Command(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return "", fmt.Errorf("run %s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimRight(stdout.String(), "\n"), nil
}
