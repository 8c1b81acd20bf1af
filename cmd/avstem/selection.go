package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/cmd/internal/choiceflag"
	"github.com/dataverket/avstem/inventory/near"
	"github.com/dataverket/avstem/reconcile"
)

var severityWords = []string{
	string(reconcile.Critical), string(reconcile.High), string(reconcile.Medium), string(reconcile.Low), string(reconcile.Info),
}

// selection is which findings were asked for. Site is the global flag's.
type selection struct {
	platform, site, tenant, project string
	severity                        string
	kinds                           []string
}

func (s *selection) addFlags(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&s.platform, "platform", "", "only findings of `PLATFORM`, such as libvirt")
	flags.StringVar(&s.tenant, "tenant", "", "only findings of `TENANT`")
	flags.StringVar(&s.project, "project", "", "only findings of `PROJECT`, or of TENANT/PROJECT")
	flags.Var(choiceflag.Optional(&s.severity, severityWords...), "severity", "only findings of `SEVERITY` or worse: "+strings.Join(severityWords, ", "))
	flags.StringSliceVar(&s.kinds, "kind", nil, "only findings of `KIND`, such as nic.vlan, or nic for all about NICs; may be given several times")
}

// kindsLike says which kinds may have been meant, and lists the kinds of a kind's group,
// or the groups where that is none.
func kindsLike(kind string) string {
	wanted, _, _ := strings.Cut(kind, ".")
	var every, kinds, groups []string
	for _, info := range reconcile.Kinds() {
		every = append(every, string(info.Kind))
		group, _, _ := strings.Cut(string(info.Kind), ".")
		if group == wanted {
			kinds = append(kinds, string(info.Kind))
		}
		if !slices.Contains(groups, group) {
			groups = append(groups, group)
		}
	}
	meant, want := "", "want"
	if near := near.Names(kind, slices.Values(slices.Concat(every, groups)), 3); len(near) > 0 {
		meant, want = "did you mean "+strings.Join(near, " or ")+"? ", "Want"
	}
	if len(kinds) > 0 {
		return meant + want + " one of " + strings.Join(kinds, ", ")
	}
	return meant + want + " one of /usr/share/doc/avstem/findings.md, or a group of them: " + strings.Join(groups, ", ")
}

// check refuses what no finding could ever be.
func (s *selection) check() error {
	for _, kind := range s.kinds {
		if !slices.ContainsFunc(reconcile.Kinds(), func(info reconcile.KindInfo) bool { return ofKind(info.Kind, kind) }) {
			return usageError{fmt.Errorf("select by kind: there is no kind %q: %s", kind, kindsLike(kind))}
		}
	}
	return nil
}

// ofKind says whether a kind is the one asked for, or one of its group.
func ofKind(kind reconcile.Kind, asked string) bool {
	asked = strings.ToLower(asked)
	group := strings.TrimSuffix(strings.TrimSuffix(asked, "*"), ".")
	return string(kind) == asked || strings.HasPrefix(string(kind), group+".")
}

// takes says whether a finding was asked for.
func (s *selection) takes(f *reconcile.Finding) bool {
	project := s.project
	if tenant, name, qualified := strings.Cut(project, "/"); qualified {
		if f.Subject.Tenant != tenant {
			return false
		}
		project = name
	}
	is := func(asked, have string) bool { return asked == "" || asked == have }
	return is(s.platform, f.Subject.Platform) && is(s.site, f.Subject.Site) &&
		is(s.tenant, f.Subject.Tenant) && is(project, f.Subject.Project) &&
		asSevere(f, s.severity) &&
		(len(s.kinds) == 0 || slices.ContainsFunc(s.kinds, func(asked string) bool { return ofKind(f.Kind, asked) }))
}

// asSevere says whether a finding is of a severity or worse; "" takes them all.
func asSevere(f *reconcile.Finding, severity string) bool {
	return severity == "" || f.Severity.Rank() <= reconcile.Severity(severity).Rank()
}

// apply keeps what was asked for.
func (s *selection) apply(findings []reconcile.Finding) []reconcile.Finding {
	return slices.DeleteFunc(slices.Clone(findings), func(f reconcile.Finding) bool { return !s.takes(&f) })
}

// words says what was asked for, "" for everything.
func (s *selection) words() string {
	var words []string
	for _, w := range []struct{ name, value string }{
		{"platform", s.platform}, {"site", s.site}, {"tenant", s.tenant}, {"project", s.project},
		{"kind", strings.Join(s.kinds, " or ")},
	} {
		if w.value != "" {
			words = append(words, w.name+" "+w.value)
		}
	}
	if s.severity != "" {
		words = append(words, s.severity+" or worse")
	}
	return strings.Join(words, ", ")
}
