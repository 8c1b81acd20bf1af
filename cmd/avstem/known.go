package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/avstem/internal/names"
	"github.com/dataverket/avstem/cmd/avstem/internal/server"
	"github.com/dataverket/avstem/reconcile"
)

// unknown says which of the names that were asked for isn't one: what is chosen by
// it is nothing, and looks as if nothing were wrong.
func (s *selection) unknown(n *names.Names) error {
	for _, err := range []error{
		names.Check("site", s.site, n.Sites), names.Check("platform", s.platform, n.Platforms),
		names.Check("tenant", s.tenant, n.Tenants), n.CheckProject(s.project),
	} {
		if err != nil {
			return usageError{err}
		}
	}
	return nil
}

// checkNames is unknown by what the findings and the reconcilers know. What hosts alone
// show, a reconciler must pass over the whole site for: it is asked for that where the
// inventory doesn't have the name either.
func (a *app) checkNames(ctx context.Context, conn *bus.Conn, s *selection, findings []reconcile.Finding) error {
	known := names.Of(nil, nil, findings)
	unknown := s.unknown(&known)
	for _, question := range []string{server.WithRecordedNames, server.WithNames} {
		if unknown == nil {
			return nil
		}
		all, err := statuses(ctx, conn, a.site(), question)
		if err != nil {
			named := selection{site: s.site, platform: s.platform, tenant: s.tenant, project: s.project}
			return fmt.Errorf("nothing that is found is of %s, and nobody says whether there is such: %w", named.words(), err)
		}
		for i := range all {
			switch {
			case all[i].Names != nil:
				known.Add(*all[i].Names)
				known.Add(names.Names{Sites: []string{all[i].Site}}) // an inventory needn't name it
			case question == server.WithNames:
				return nil // that reconciler is older than this, or has nothing to know it by
			}
		}
		unknown = s.unknown(&known)
	}
	return unknown
}

// noReconciler says why nobody answers for a site: there is none, or there is no such
// site.
func noReconciler(ctx context.Context, conn *bus.Conn, site string) error {
	nobody := fmt.Errorf("site %s: %w", site, errNoReconciler)
	others, err := reconcilers(ctx, conn)
	if err != nil || len(others) == 0 || slices.Contains(others, site) {
		return nobody
	}
	known := names.Names{Sites: others}
	for _, other := range others {
		answer, err := put(ctx, conn, other, "status", []byte(server.WithRecordedNames))
		if err != nil {
			continue
		}
		var status server.Status
		if err := json.Unmarshal(answer, &status); err == nil && status.Names != nil {
			known.Add(*status.Names)
		}
	}
	if err := names.Check("site", site, known.Sites); err != nil {
		return usageError{unknownSiteError{err}}
	}
	return nobody
}

// unknownSiteError is an errNoReconciler of a site that there isn't.
type unknownSiteError struct{ error }

func (unknownSiteError) Is(target error) bool { return target == errNoReconciler }
