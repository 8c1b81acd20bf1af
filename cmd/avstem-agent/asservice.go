package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/dataverket/avstem/cmd/internal/doctor"
)

// actAsService gives up root's rights for good, for those that the service has: of
// the user to whom the state directory belongs, with the groups that the unit adds.
// Whoever isn't root, or has a state directory of root's own, stays what they are.
func (a *app) actAsService(ctx context.Context) ([]doctor.Result, error) {
	info, err := os.Stat(a.host.StateDir)
	if err != nil || os.Geteuid() != 0 {
		return nil, nil // a directory that isn't there is for the next check
	}
	owner, is := info.Sys().(*syscall.Stat_t)
	if !is || owner.Uid == 0 {
		return nil, nil
	}
	who, err := user.LookupId(strconv.Itoa(int(owner.Uid)))
	if err != nil {
		return nil, fmt.Errorf("find the user of %s: %w", a.host.StateDir, err)
	}
	gid, groups, err := groupsOf(ctx, who)
	if err != nil {
		return nil, fmt.Errorf("find the groups of user %s: %w", who.Username, err)
	}
	if err := syscall.Setgroups(groups); err != nil {
		return nil, fmt.Errorf("become user %s: %w", who.Username, err)
	}
	if err := syscall.Setgid(gid); err != nil {
		return nil, fmt.Errorf("become user %s: %w", who.Username, err)
	}
	if err := syscall.Setuid(int(owner.Uid)); err != nil {
		return nil, fmt.Errorf("become user %s: %w", who.Username, err)
	}
	if env := a.env; who.HomeDir != "" {
		a.env = func(name string) string {
			if name == "HOME" {
				return who.HomeDir // where its NATS contexts are
			}
			return env(name)
		}
	}
	return []doctor.Result{doctor.Good("rights", "give up root's rights for the service's", "user "+who.Username)}, nil
}

// groupsOf are a user's own and those that the unit adds (SupplementaryGroups=).
func groupsOf(ctx context.Context, who *user.User) (gid int, groups []int, err error) {
	if gid, err = strconv.Atoi(who.Gid); err != nil {
		return 0, nil, err
	}
	ids, err := who.GroupIds()
	if err != nil {
		return 0, nil, err
	}
	// Without systemd there is no unit that adds any.
	added, _ := exec.CommandContext(ctx, "systemctl", "show", "--value", "--property=SupplementaryGroups", unitName).Output()
	for name := range strings.FieldsSeq(string(added)) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return 0, nil, err
		}
		ids = append(ids, g.Gid)
	}
	for _, id := range ids {
		n, err := strconv.Atoi(id)
		if err != nil {
			return 0, nil, err
		}
		if !slices.Contains(groups, n) {
			groups = append(groups, n)
		}
	}
	return gid, groups, nil
}
