// Package collectorstest is the conformance suite of the seam: what every
// collector must do, whatever its source. A package with a collector calls
// [Run] in its tests, over a source that is really there or a fixture of one.
//
// It exists so that a seventh source is one package and no surprise: what the
// agent and the reconciler rely on is held here once. It knows nothing of any
// source. Run uses the process's goroutine and descriptor counts, so a test
// that calls it must not be parallel.
package collectorstest

import (
	"testing"
	"time"

	"github.com/dataverket/avstem/collectors"
)

// Make returns a new collector over a source that does not change while the
// test runs.
type Make func(t *testing.T) collectors.Collector

// Option adds a source in another state to the suite.
type Option func(*suite)

// Absent adds a collector whose source isn't on the host.
func Absent(make Make) Option { return func(s *suite) { s.absent = make } }

// Down adds a collector whose source is there and refuses or breaks off.
func Down(make Make) Option { return func(s *suite) { s.down = make } }

// Hanging adds a collector whose source never answers.
func Hanging(make Make) Option { return func(s *suite) { s.hanging = make } }

// Run holds a collector to the suite.
func Run(t *testing.T, make Make, options ...Option) {
	t.Helper()
	s := newSuite(make, options...)
	for _, rule := range s.rules() {
		t.Run(rule.name, func(t *testing.T) {
			for _, violation := range rule.check(t) {
				t.Error(violation)
			}
		})
	}
}

type suite struct {
	make, absent, down, hanging Make

	// patience is how long something may take that takes no time in a sound
	// collector. It is only waited out for one that is not.
	patience time.Duration
}

// rule is one demand. Its check returns what breaks it, so that the suite's own
// tests can see it broken.
type rule struct {
	name  string
	check func(t *testing.T) []string
}

func newSuite(make Make, options ...Option) *suite {
	s := &suite{make: make, patience: 10 * time.Second}
	for _, set := range options {
		set(s)
	}
	return s
}

func (s *suite) rules() []rule {
	rules := []rule{
		{"source has a name", s.checkSource},
		{"capabilities are a table", s.checkCapabilities},
		{"observation is sound", s.checkObservation},
		{"what is reported is declared", s.checkDeclared},
		{"same state gives same digest", s.checkIdempotent},
		{"cancelled pass ends", s.checkCancelled},
		{"pass after a broken one is whole", s.checkRecovery},
		{"passes side by side don't meet", s.checkSideBySide},
		{"passes leave nothing behind", s.checkLeaks},
		{"watch begins, ends and leaves nothing behind", s.checkWatch},
	}
	if s.absent != nil {
		rules = append(rules, rule{"absent source is absent", s.checkAbsent})
	}
	if s.down != nil {
		rules = append(rules, rule{"source that is down is not complete", s.checkDown})
	}
	if s.hanging != nil {
		rules = append(rules, rule{"hanging source is given up", s.checkHanging})
	}
	return rules
}
