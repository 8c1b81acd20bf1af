package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// checkSilence makes one finding of many hosts of a site, or of one platform in
// it, that are silent at once: what cut them off is one thing, and each of them is
// shown under it.
func (p *pass) checkSilence(hosts []*hostPair) {
	type scope struct{ site, platform string }
	of, silent := map[scope]int{}, map[scope][]*hostPair{}
	for _, hp := range hosts {
		if hp.Observed == nil || !hp.awaited() {
			continue
		}
		for _, s := range []scope{{hp.site(), ""}, {hp.site(), hp.Intended.Platform}} {
			of[s]++
			if hp.Observed.Stale {
				silent[s] = append(silent[s], hp)
			}
			if hp.Intended.Platform == "" {
				break
			}
		}
	}
	var scopes []scope
	for s, lost := range silent {
		if p.in.Policy.Mass.isMass(len(lost), of[s], p.in.Policy.Mass.Hosts) {
			scopes = append(scopes, s)
		}
	}
	// A whole site first: what is said of it need not be said of its platforms.
	slices.SortFunc(scopes, func(a, b scope) int { return cmp.Or(cmp.Compare(a.site, b.site), cmp.Compare(a.platform, b.platform)) })
	cutOff := ""
	for _, s := range scopes {
		if s.platform == "" {
			cutOff = s.site
		} else if s.site == cutOff {
			continue
		}
		p.silence(s.site, s.platform, silent[s], of[s])
	}
}

func (p *pass) silence(site, platform string, silent []*hostPair, of int) {
	subject, what := scopeSubject(site, platform)
	names := make([]string, len(silent))
	for i, hp := range silent {
		names[i] = hp.key()
	}
	slices.Sort(names)
	id := p.find(Finding{
		// How many they are changes while it goes on, and is in neither the field
		// nor the message.
		Kind: ObserveSilence, Subject: subject, Field: "hosts", Intended: "speaking", Observed: "silent",
		Message:  fmt.Sprintf("many hosts of %s are silent at once (%s or more); nothing is concluded about their VMs", what, percent(p.in.Policy.Mass.Share)),
		Evidence: []string{fmt.Sprintf("%d of %d hosts that spoke before: %s", len(silent), of, listed(names, "and"))},
		Resolutions: bothWays("see what they have in common: the network between them and NATS, its servers, their credentials, an upgrade of avstem-agent", "person",
			"set their state to maintenance, if they are being worked on"),
	})
	for _, hp := range silent {
		p.blame(hp.Blind, id)
	}
}

// scopeSubject is a site, or a platform in it, as a finding's subject and in words.
func scopeSubject(site, platform string) (subject Subject, what string) {
	if platform == "" {
		return Subject{Type: "site", ID: site, Name: site, Site: site}, "site " + site
	}
	return Subject{Type: "platform", ID: site + "/" + platform, Name: platform, Site: site, Platform: platform}, platform + " in site " + site
}

func percent(share float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", 100*share), ".0") + " %"
}
