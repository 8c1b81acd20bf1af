package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/dataverket/avstem/bus/auth"
	"github.com/dataverket/avstem/bus/embedded"
)

const (
	// certificateEvery is how often the certificate is looked at.
	certificateEvery = time.Minute
	// renewBefore is how long before its end a certificate of the private CA is renewed.
	renewBefore = 60 * 24 * time.Hour
)

// ownNATS is the NATS server of avstem auth in this process.
type ownNATS struct {
	*embedded.Configured
	dir *auth.Dir
	log *slog.Logger
}

func (a *app) startOwnNATS(ctx context.Context, log *slog.Logger) (*ownNATS, error) {
	dir, err := auth.Open(a.authPath())
	if err != nil {
		return nil, err
	}
	nats, err := embedded.StartConfigured(ctx, dir.Config(), log.With("part", "nats"))
	if err != nil {
		return nil, err
	}
	log.Info("NATS server runs", "server", dir.Server(), "config", dir.Config())
	return &ownNATS{nats, dir, log}, nil
}

// keepCertificate renews the certificate in time, and takes up one that somebody
// else renewed.
func (n *ownNATS) keepCertificate(ctx context.Context) error {
	tick := time.NewTicker(certificateEvery)
	defer tick.Stop()
	file, _ := n.dir.Certificate()
	taken := changedAt(file)
	for {
		n.renew(time.Now())
		if now := changedAt(file); !now.Equal(taken) {
			if err := n.Reload(); err != nil {
				n.log.Warn("the renewed certificate is not used yet; trying again", "err", err)
			} else {
				n.log.Info("the server has another certificate", "file", file)
				taken = now
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (n *ownNATS) renew(now time.Time) {
	leaf, ca, err := n.dir.CertificateEnds()
	switch {
	case err != nil:
		n.log.Warn("the server's certificate can't be read", "err", err)
	case leaf.Sub(now) > renewBefore || n.dir.OwnTLS():
	case !ca.IsZero() && !leaf.Before(ca):
		n.log.Error("the private CA ends with the certificate: no renewal helps, make another", "ends", ca)
	default:
		if until, err := n.dir.RenewCertificate(); err != nil {
			n.log.Warn("the server's certificate can't be renewed", "ends", leaf, "err", err)
		} else {
			n.log.Info("the server's certificate is renewed", "until", until)
		}
	}
}

// changedAt is the zero time for a file that isn't there.
func changedAt(file string) time.Time {
	info, err := os.Stat(file)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
