package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/statefile"
)

// keptSchema is the version of the file in which the inventory in use is kept.
const keptSchema = "avstem.kept-inventory/v1"

// keptInventory is an inventory with what its own JSON leaves out.
type keptInventory struct {
	Schema     string            `json:"schema"`
	Source     string            `json:"source"`
	Version    string            `json:"version"`
	ReadAt     time.Time         `json:"readAt"`
	Incomplete bool              `json:"incomplete,omitempty"`
	Problems   []sentral.Problem `json:"problems,omitempty"`
	LeftOut    []sentral.LeftOut `json:"leftOut,omitempty"`
	Inventory  sentral.Inventory `json:"inventory"`
}

const (
	// keepRest keeps the writing of a large inventory that changes all the time to a
	// twentieth of the time.
	keepRest = 20
	// keepAgain is the pause after a writing that failed.
	keepAgain = time.Minute
	// keepLook is how often is looked whether there is one to be written.
	keepLook = time.Second
)

// keeper writes the inventory in use when it is another one.
type keeper struct {
	mu   sync.Mutex
	held *sentral.Inventory // as it was written or read last
	next time.Time          // when it is written again that nobody decided on
}

// recall has what is read first held against the inventory that was in use when
// this reconciler ended, and against what the last one of the site used, where that
// is another one. Without any, whatever is read is used.
func (s *Server) recall(ctx context.Context) {
	var invs []*sentral.Inventory
	const lost = "an inventory from before the start can't be read, so what is read now can't be held against it"
	own := ""
	if s.o.Keep != "" {
		inv, err := readKept(s.o.Keep)
		if err == nil {
			s.kept.held, own = inv, inv.Version
			invs = append(invs, inv)
		} else if !errors.Is(err, fs.ErrNotExist) {
			s.log.Warn(lost, "err", err)
		}
	}
	switch version, err := s.ledger.usedLast(ctx); {
	case err != nil:
		s.log.Warn(lost, "err", err)
	case version != "" && version != own:
		if inv, err := s.ledger.whole(ctx); err != nil {
			s.log.Warn(lost, "err", err)
		} else {
			invs = append(invs, inv)
		}
	}
	s.engine.Recall(invs...)
}

// learn has what is held back used where the reconciler that leads uses it, or did
// last: somebody has confirmed it there.
func (s *Server) learn(ctx context.Context) error {
	if s.engine.HeldBack() == "" {
		return nil
	}
	version, err := s.ledger.usedLast(ctx)
	if err != nil {
		return err
	}
	if s.engine.UsedElsewhere(version) {
		s.log.Info("the inventory that was held back is used, as the site's other reconciler does", "version", version)
		_ = s.keep() // it was said in the log
	}
	return nil
}

func readKept(file string) (*sentral.Inventory, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var k keptInventory
	if err := json.Unmarshal(data, &k); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	if k.Schema != keptSchema {
		return nil, fmt.Errorf("read %s: schema %q is not %s", file, k.Schema, keptSchema)
	}
	inv := k.Inventory
	inv.Source, inv.Version, inv.ReadAt, inv.Incomplete, inv.Problems, inv.LeftOut = k.Source, k.Version, k.ReadAt, k.Incomplete, k.Problems, k.LeftOut
	return &inv, nil
}

// keepOn keeps what had to wait, until ctx ends, and then the last.
func (s *Server) keepOn(ctx context.Context) {
	tick := time.NewTicker(keepLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			_ = s.keep() // it was said in the log
			return
		case <-tick.C:
			s.keepSoon()
		}
	}
}

// keepSoon is [Server.keep] for what the source says from one time to the next: at
// once, or after a rest.
func (s *Server) keepSoon() {
	s.kept.mu.Lock()
	rests := time.Now().Before(s.kept.next)
	s.kept.mu.Unlock()
	if !rests {
		_ = s.keep() // it was said in the log
	}
}

// keep writes the inventory in use, if it is another one than was written. What
// can't be written is said, and tried again.
func (s *Server) keep() error {
	inv := s.engine.Accepted()
	if s.o.Keep == "" || inv == nil {
		return nil
	}
	s.kept.mu.Lock()
	defer s.kept.mu.Unlock()
	if held := s.kept.held; held != nil && held.Version == inv.Version && held.Source == inv.Source {
		return nil
	}
	begin := time.Now()
	err := writeKept(s.o.Keep, inv)
	s.kept.next = time.Now().Add(keepRest * time.Since(begin))
	if err != nil {
		s.kept.next = time.Now().Add(keepAgain)
		s.log.Warn("the inventory in use can't be kept: after a restart, one that lost much would not be noticed", "err", err)
		return err
	}
	s.kept.held = inv
	return nil
}

// writeKept replaces the file at once or not at all.
func writeKept(file string, inv *sentral.Inventory) error {
	data, err := json.Marshal(keptInventory{keptSchema, inv.Source, inv.Version, inv.ReadAt, inv.Incomplete, inv.Problems, inv.LeftOut, *inv})
	if err == nil {
		err = statefile.MkdirAll(filepath.Dir(file))
	}
	if err == nil {
		err = statefile.Write(file, data)
	}
	if err != nil {
		return fmt.Errorf("keep the inventory: %w", err)
	}
	return nil
}
