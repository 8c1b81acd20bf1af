package bus

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/google/uuid"
)

// DefaultSite is the site of who names none.
const DefaultSite = "default"

const (
	observedPrefix  = "avstem.v1.observed"
	heartbeatPrefix = "avstem.v1.heartbeat"
	findingPrefix   = "avstem.v1.finding"
	driftPrefix     = "avstem.v1.drift"
	reconcilePrefix = "avstem.v1.reconcile"
	agentPrefix     = "avstem.v1.agent"
	intendedPrefix  = "avstem.v1.intended"
	// fencePrefix is where marks keep a former reconciler from writing ([Fence]).
	fencePrefix = "avstem.v1.fence"
)

// A name becomes one token of a subject. Anything laxer lets a host called "*"
// speak for its neighbours.
var (
	validName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	validKind = regexp.MustCompile(`^[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63}){0,3}$`)
)

// CheckName refuses what can't be one token of a subject: sites, sources and
// the IDs of findings are such names.
func CheckName(what, name string) error {
	if !validName.MatchString(name) {
		return fmt.Errorf("%s %q is not a name: want 1 to 63 of a-z, 0-9 and -, not beginning with -", what, name)
	}
	return nil
}

// Key is what an observation is about: it replaces the last one of its key.
type Key struct {
	Site   string
	Host   uuid.UUID
	Source string
}

// Check refuses a key that has no subject.
func (k Key) Check() error {
	if err := checkHost(k.Site, k.Host); err != nil {
		return err
	}
	return CheckName("source", k.Source)
}

func checkHost(site string, host uuid.UUID) error {
	if err := CheckName("site", site); err != nil {
		return err
	}
	if host == uuid.Nil {
		return fmt.Errorf("host of site %q has no ID", site)
	}
	return nil
}

// ObservedSubject is where the observations of a key are published.
func ObservedSubject(k Key) (string, error) {
	if err := k.Check(); err != nil {
		return "", err
	}
	return strings.Join([]string{observedPrefix, k.Site, k.Host.String(), k.Source}, "."), nil
}

// ParseObservedSubject is the inverse of [ObservedSubject]. It takes only what
// that one gives.
func ParseObservedSubject(subject string) (Key, error) {
	tokens, err := split(subject, observedPrefix, 3)
	if err != nil {
		return Key{}, err
	}
	host, err := parseHost(subject, tokens[1])
	if err != nil {
		return Key{}, err
	}
	k := Key{Site: tokens[0], Host: host, Source: tokens[2]}
	return k, k.Check()
}

// heartbeatSubject is where a host's agent beats.
func heartbeatSubject(site string, host uuid.UUID) (string, error) {
	if err := checkHost(site, host); err != nil {
		return "", err
	}
	return heartbeatPrefix + "." + site + "." + host.String(), nil
}

// resyncSubject is where a host's agent is asked to publish again.
func resyncSubject(site string, host uuid.UUID) (string, error) {
	if err := checkHost(site, host); err != nil {
		return "", err
	}
	return strings.Join([]string{agentPrefix, site, host.String(), "resync"}, "."), nil
}

func parseHeartbeatSubject(subject string) (site string, host uuid.UUID, err error) {
	tokens, err := split(subject, heartbeatPrefix, 2)
	if err != nil {
		return "", uuid.Nil, err
	}
	host, err = parseHost(subject, tokens[1])
	return tokens[0], host, err
}

// FindingSubject is where the last state of a finding is kept.
func FindingSubject(site, id string) (string, error) {
	if err := CheckName("site", site); err != nil {
		return "", err
	}
	if err := CheckName("finding", id); err != nil {
		return "", err
	}
	return findingPrefix + "." + site + "." + id, nil
}

// driftSubject is where an event about a finding is published. The dot in a
// kind ("nic.vlan") makes it two tokens, so that avstem.v1.drift.*.*.nic.> has
// everything about NICs.
func driftSubject(site string, action DriftAction, kind string) (string, error) {
	if err := CheckName("site", site); err != nil {
		return "", err
	}
	switch action {
	case DriftOpened, DriftChanged, DriftResolved:
	default:
		return "", fmt.Errorf("drift event %q is not opened, changed or resolved", action)
	}
	if !validKind.MatchString(kind) {
		return "", fmt.Errorf("kind %q of a finding is not one to four names with dots between", kind)
	}
	return strings.Join([]string{driftPrefix, site, string(action), kind}, "."), nil
}

// ExplainSubject is where a site's reconciler answers what it knows of a thing.
func ExplainSubject(site string) (string, error) {
	if err := CheckName("site", site); err != nil {
		return "", err
	}
	return reconcilePrefix + "." + site + ".explain", nil
}

func split(subject, prefix string, want int) ([]string, error) {
	rest, found := strings.CutPrefix(subject, prefix+".")
	tokens := strings.Split(rest, ".")
	if !found || len(tokens) != want {
		return nil, fmt.Errorf("subject %q is not %s and %d names", subject, prefix, want)
	}
	return tokens, nil
}

// parseHost takes the one spelling of a UUID that we write, so that no two
// subjects are one host's.
func parseHost(subject, token string) (uuid.UUID, error) {
	host, err := uuid.Parse(token)
	if err != nil || host.String() != token {
		return uuid.Nil, fmt.Errorf("subject %q has %q where a host ID belongs", subject, token)
	}
	return host, nil
}
