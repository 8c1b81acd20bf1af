package bus

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

func TestNamesThatWouldBeMoreThanOneTokenAreRefused(t *testing.T) {
	for _, name := range []string{"", "*", ">", "a.b", "A", "-a", "a b", "a\n", "ø", "a*", "{{name()}}", strings.Repeat("a", 64)} {
		if CheckName("site", name) == nil {
			t.Errorf("name %q was taken", name)
		}
		if s, err := ObservedSubject(Key{Site: name, Host: hostA, Source: "network"}); err == nil {
			t.Errorf("site %q became subject %q", name, s)
		}
		if s, err := ObservedSubject(Key{Site: "osl1", Host: hostA, Source: name}); err == nil {
			t.Errorf("source %q became subject %q", name, s)
		}
		if s, err := FindingSubject("osl1", name); err == nil {
			t.Errorf("finding %q became subject %q", name, s)
		}
		if s, err := ExplainSubject(name); err == nil {
			t.Errorf("site %q became subject %q", name, s)
		}
		if s, err := heartbeatSubject(name, hostA); err == nil {
			t.Errorf("site %q became subject %q", name, s)
		}
	}
	if _, err := ObservedSubject(Key{Site: "osl1", Host: uuid.Nil, Source: "network"}); err == nil {
		t.Error("a host without ID has a subject")
	}
}

func TestSubjectsAsTheyAreSubscribedTo(t *testing.T) {
	for want, get := range map[string]func() (string, error){
		"avstem.v1.observed.osl1." + hostA.String() + ".runtime-libvirt": func() (string, error) {
			return ObservedSubject(Key{"osl1", hostA, "runtime-libvirt"})
		},
		"avstem.v1.heartbeat.osl1." + hostA.String(): func() (string, error) { return heartbeatSubject("osl1", hostA) },
		"avstem.v1.finding.osl1.f-3k9x":              func() (string, error) { return FindingSubject("osl1", "f-3k9x") },
		"avstem.v1.drift.osl1.opened.nic.vlan":       func() (string, error) { return driftSubject("osl1", DriftOpened, "nic.vlan") },
		"avstem.v1.reconcile.osl1.explain":           func() (string, error) { return ExplainSubject("osl1") },
	} {
		if got, err := get(); err != nil || got != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
	for _, kind := range []string{"", "nic.*", "nic..vlan", ".nic", "a.b.c.d.e", "nic vlan"} {
		if s, err := driftSubject("osl1", DriftOpened, kind); err == nil {
			t.Errorf("kind %q became subject %q", kind, s)
		}
	}
	if s, err := driftSubject("osl1", "closed", "nic.vlan"); err == nil {
		t.Errorf("an unknown event became subject %q", s)
	}
}

func TestObservedSubjectIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := Key{
			Site:   rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,62}`).Draw(t, "site"),
			Host:   uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "host")),
			Source: rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,62}`).Draw(t, "source"),
		}
		if k.Host == uuid.Nil {
			k.Host = hostA
		}
		subject, err := ObservedSubject(k)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ParseObservedSubject(subject); err != nil || back != k {
			t.Fatalf("%s is read as %v, %v; want %v", subject, back, err, k)
		}
	})
}

func FuzzParseObservedSubject(f *testing.F) {
	f.Add("avstem.v1.observed.osl1." + hostA.String() + ".network")
	f.Add("avstem.v1.observed.osl1." + strings.ToUpper(hostA.String()) + ".network")
	f.Add("avstem.v1.observed.osl1.urn:uuid:" + hostA.String() + ".network")
	f.Add("avstem.v1.observed.*.>")
	f.Fuzz(func(t *testing.T, subject string) {
		k, err := ParseObservedSubject(subject)
		if err != nil {
			return
		}
		if back, err := ObservedSubject(k); err != nil || back != subject {
			t.Fatalf("%q is taken, and is written %q, %v", subject, back, err)
		}
	})
}
