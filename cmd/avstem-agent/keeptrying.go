package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/dataverket/avstem/enroll"
)

// Between two tries to enroll: the first pause, which doubles, and the longest where
// nobody answers, and where somebody does and doesn't let the host in for now.
const (
	tryFirst = 2 * time.Second
	tryAway  = 5 * time.Minute
	tryMost  = time.Hour
)

// keepTrying enrolls, however long the server is away. The state directory is free
// between two tries: whoever enrolls the host by hand meanwhile ends this.
func (a *app) keepTrying(ctx context.Context, flags enrollFlags, token enroll.Token) (enroll.Member, error) {
	for wait := tryFirst; ; wait *= 2 {
		m, err := a.enroll(ctx, flags, token)
		if err == nil || ctx.Err() != nil || isFinal(err) {
			if isFinal(err) {
				notify("STATUS=" + err.Error())
			}
			return m, err
		}
		wait = min(wait, longestPause(err))
		// Hosts that were installed together don't ask together.
		pause := wait/2 + rand.N(wait/2)
		a.tell(fmt.Sprintf("%s; trying again at %s", strings.ReplaceAll(err.Error(), "\n", "; "), time.Now().Add(pause).Format(time.TimeOnly)))
		select {
		case <-ctx.Done():
			return enroll.Member{}, err
		case <-time.After(pause):
		}
		if m, ok := a.isIn(); ok {
			return m, nil
		}
	}
}

// isIn says whether the host has credentials.
func (a *app) isIn() (enroll.Member, bool) {
	m, err := enroll.ReadMember(a.host.StateDir)
	if err == nil {
		_, err = m.Where(a.host.StateDir)
	}
	return m, err == nil
}

// isFinal says whether a refusal is of the token itself, which no other try changes:
// its code was used, is too old, is of another host or of other hardware, was denied,
// or was never handed out.
func isFinal(err error) bool {
	refused, is := errors.AsType[*enroll.RefusedError](err)
	return is && refused.Status == http.StatusForbidden
}

// longestPause is that after an error: short where nobody answers, as on a network that
// comes and goes.
func longestPause(err error) time.Duration {
	if away, is := errors.AsType[net.Error](err); is && (away.Timeout() || isDial(err)) {
		return tryAway
	}
	return tryMost
}

func isDial(err error) bool {
	op, is := errors.AsType[*net.OpError](err)
	return is && op.Op == "dial"
}

// tell writes a line, and shows it in systemctl status.
func (a *app) tell(line string) {
	fmt.Fprintln(a.stderr, line)
	notify("STATUS=" + line)
}
