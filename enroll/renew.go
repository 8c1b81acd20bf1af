package enroll

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"time"

	"github.com/dataverket/avstem/agent/hostid"
)

const (
	// renewRetry and renewMost bound the wait after a renewal that failed.
	renewRetry = time.Minute
	renewMost  = time.Hour
)

// RenewAt is when credentials are to be renewed: at half their life.
func (m Member) RenewAt() time.Time { return m.Issued.Add(m.Expires.Sub(m.Issued) / 2) }

// KeepRenewed renews the credentials of a state directory for as long as ctx lasts,
// each time at half their life. Who uses them reads the file again when it connects,
// so nothing is started anew.
func KeepRenewed(ctx context.Context, dir string, seen func() hostid.Evidence, log *slog.Logger) {
	wait := renewRetry
	said := ""
	for {
		m, err := ReadMember(dir)
		if err == nil && (m.Issuer == "" || m.Expires.IsZero()) {
			return // nothing ends
		}
		pause := time.Until(m.RenewAt())
		if err == nil && pause <= 0 {
			err = renew(ctx, dir, m, seen())
			if pause = 0; err == nil {
				log.Info("credentials are renewed", "host", m.Host)
				wait, said = renewRetry, ""
				continue
			}
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			pause, wait = wait, min(2*wait, renewMost)
			if refused, is := errors.AsType[*RefusedError](err); is && refused.Status == http.StatusForbidden {
				pause = renewMost
			}
			if err.Error() != said {
				log.Error("credentials can't be renewed; trying again", "end", m.Expires, "err", err)
				said = err.Error()
			}
		}
		// Hosts that were enrolled together don't come back together.
		pause += rand.N(pause/10 + time.Second)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func renew(ctx context.Context, dir string, m Member, seen hostid.Evidence) error {
	where, err := m.Where(dir)
	if err != nil {
		return err
	}
	key, err := Key(dir)
	if err != nil {
		return err
	}
	public, err := key.PublicKey()
	if err != nil {
		return err
	}
	client, err := NewClient(m.Issuer, Trust{CAFile: where.CA})
	if err != nil {
		return err
	}
	answer, err := client.Renew(ctx, Renewal{Key: public, Host: m.Host, Evidence: seen}, key)
	if err != nil {
		return err
	}
	_, err = m.Take(filepath.Clean(dir), answer, key)
	return err
}
