package hostagent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/agent/hostid"
	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/collectors/identity"
	"github.com/dataverket/avstem/inventory"
)

// Pass is one pass over a host, of which nothing is published or kept.
type Pass struct {
	// Host is the kept identity, or a provisional one (hostid.IsProvisional)
	// where Note says why.
	Host         uuid.UUID
	Note         string
	Observations []*inventory.Observation
}

// Collect passes once over each source, or over the one that is named, and
// writes nothing. What can't be read is in the observations.
func Collect(ctx context.Context, o Options, source string) (Pass, error) {
	var err error
	if o.Root, err = Root(o.Root); err != nil {
		return Pass{}, err
	}
	chosen := Collectors(o)
	if source != "" {
		if !slices.ContainsFunc(chosen, func(c collectors.Collector) bool { return c.Source() == source }) {
			return Pass{}, &UnknownSourceError{Source: source}
		}
		// Which images there are, source images has from the runtimes' passes.
		chosen = slices.DeleteFunc(chosen, func(c collectors.Collector) bool {
			return c.Source() != source && (source != "images" || !strings.HasPrefix(c.Source(), "runtime-"))
		})
	}
	defer closeAll(chosen)
	pass := Pass{Observations: make([]*inventory.Observation, len(chosen))}
	var tasks sync.WaitGroup
	for i, c := range chosen {
		tasks.Go(func() { pass.Observations[i] = (&collectors.Runner{Collector: c, Timeout: o.Timeout}).Run(ctx) })
	}
	self, _ := identity.Read(ctx, o.Root)
	pass.Host, pass.Note = hostOf(o.StateDir, self)
	tasks.Wait()
	if err := ctx.Err(); err != nil {
		return Pass{}, fmt.Errorf("collect: %w", context.Cause(ctx))
	}
	if source != "" {
		pass.Observations = slices.DeleteFunc(pass.Observations, func(o *inventory.Observation) bool { return o.Source != source })
	}
	boot, _ := identity.BootID(o.Root) // its absence is a problem of source identity
	for _, doc := range pass.Observations {
		doc.Host, doc.Site, doc.BootID = pass.Host, o.site(), boot
		if err := doc.Seal(); err != nil {
			return Pass{}, fmt.Errorf("collect: %w", err)
		}
	}
	return pass, nil
}

// UnknownSourceError says that there is no such source.
type UnknownSourceError struct{ Source string }

func (e *UnknownSourceError) Error() string {
	return fmt.Sprintf("there is no source %q: the sources are %s", e.Source, strings.Join(Sources(), ", "))
}

// hostOf is the host's ID without making one.
func hostOf(stateDir string, self inventory.Host) (uuid.UUID, string) {
	kept, err := hostid.Read(stateDir)
	switch {
	case err == nil:
		return kept.ID, ""
	case errors.Is(err, fs.ErrNotExist):
		if given, err := hostid.Provisioned(stateDir); err == nil && given != uuid.Nil {
			return given, ""
		}
		return hostid.Provisional(hostid.EvidenceOf(self), self.Hostname), "no agent has run with state directory " + stateDir
	}
	return hostid.Provisional(hostid.EvidenceOf(self), self.Hostname), err.Error()
}

func closeAll(all []collectors.Collector) {
	for _, c := range all {
		if closer, ok := c.(io.Closer); ok {
			closer.Close() // only reads; there is nothing to lose
		}
	}
}
