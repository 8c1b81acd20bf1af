package bus

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
)

// keep writes numbered messages on a stream of the test's own.
func keep(t *testing.T, c *Conn, subjects ...string) (at []time.Time) {
	t.Helper()
	if _, err := c.js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "PAST", Subjects: []string{"past.>"}, AllowDirect: true, MaxMsgsPerSubject: 3}); err != nil {
		t.Fatal(err)
	}
	for i, subject := range subjects {
		ack, err := c.js.Publish(t.Context(), subject, fmt.Append(nil, i))
		if err != nil {
			t.Fatal(err)
		}
		kept, err := c.Message(t.Context(), "PAST", ack.Sequence)
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, kept.Time)
	}
	return at
}

func said(kept []Kept) (words []string) {
	for _, k := range kept {
		words = append(words, fmt.Sprintf("%d %s %s", k.Sequence, k.Subject, k.Data))
	}
	return words
}

func TestReadGivesWhatIsKeptInOrder(t *testing.T) {
	c := ready(t)
	at := keep(t, c, "past.a", "past.b", "past.a", "past.a", "past.c", "past.a")
	for name, tt := range map[string]struct {
		past Past
		want []string
	}{
		"one subject":                {Past{Subjects: []string{"past.b"}}, []string{"2 past.b 1"}},
		"the oldest had to give way": {Past{Subjects: []string{"past.a"}}, []string{"3 past.a 2", "4 past.a 3", "6 past.a 5"}},
		"all, in the stream's order": {Past{Subjects: []string{"past.*"}}, []string{"2 past.b 1", "3 past.a 2", "4 past.a 3", "5 past.c 4", "6 past.a 5"}},
		"since":                      {Past{Subjects: []string{"past.*"}, Since: at[4]}, []string{"5 past.c 4", "6 past.a 5"}},
		"nothing since":              {Past{Subjects: []string{"past.b"}, Since: at[5]}, nil},
		"headers alone":              {Past{Subjects: []string{"past.b"}, Headers: true}, []string{"2 past.b "}},
		"no such subject":            {Past{Subjects: []string{"past.z"}}, nil},
		"no subject":                 {Past{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []Kept
			tt.past.Stream = "PAST"
			if err := c.Read(t.Context(), tt.past, func(k Kept) error { got = append(got, k); return nil }); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, said(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, k := range got {
				if !k.Time.Equal(at[k.Sequence-1]) {
					t.Errorf("%d is of %s, want %s", k.Sequence, k.Time, at[k.Sequence-1])
				}
			}
		})
	}
	stream, err := c.js.Stream(t.Context(), "PAST")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := stream.Info(t.Context()); err != nil || info.State.Consumers != 0 {
		t.Errorf("consumers are left behind: %+v, %v", info, err)
	}
	enough := errors.New("enough")
	if err := c.Read(t.Context(), Past{Stream: "PAST", Subjects: []string{"past.*"}}, func(Kept) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("an error of the reader's own: %v", err)
	}
	if err := c.Read(t.Context(), Past{Stream: "NONE", Subjects: []string{"x"}}, func(Kept) error { return enough }); err != nil {
		t.Errorf("a stream that isn't there: %v", err)
	}
}

func TestLastUpToGivesEachSubjectAsItWas(t *testing.T) {
	c := ready(t)
	at := keep(t, c, "past.a", "past.b", "past.a", "past.c")
	ask := func(at time.Time, subjects ...string) []string {
		t.Helper()
		var got []Kept
		if err := c.LastUpTo(t.Context(), "PAST", subjects, at, func(k Kept) error { got = append(got, k); return nil }); err != nil {
			t.Fatal(err)
		}
		return said(got)
	}
	for i, want := range [][]string{
		{"1 past.a 0"}, {"1 past.a 0", "2 past.b 1"}, {"2 past.b 1", "3 past.a 2"}, {"2 past.b 1", "3 past.a 2", "4 past.c 3"},
	} {
		if diff := cmp.Diff(want, ask(at[i], "past.a", "past.b", "past.c")); diff != "" {
			t.Errorf("at message %d (-want +got):\n%s", i+1, diff)
		}
	}
	if got := ask(at[0].Add(-time.Second), "past.a"); got != nil {
		t.Errorf("before everything: %q", got)
	}
	if got := ask(at[3].Add(time.Hour), "past.*"); len(got) != 3 {
		t.Errorf("later: %q", got)
	}
	// More than one request takes, and than one answer gives.
	var many []string
	for i := range lastUpToAtOnce + 10 {
		many = append(many, fmt.Sprintf("past.many.%d", i))
	}
	at = keep(t, c, many...)
	if got := ask(at[len(at)-1], many...); len(got) != len(many) {
		t.Errorf("%d of %d subjects", len(got), len(many))
	}
}

func TestIntendedRecordsAreKeptAndCompared(t *testing.T) {
	c := ready(t)
	ensure(t, c)
	odd := "a record.with *> all kinds of signs"
	for _, id := range []string{"0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001", odd} {
		r := &IntendedRecord{Site: "osl1", Type: "vm", ID: id, Where: "vms.yaml:1:1", Version: "v1", Record: []byte(`{"id":"x"}`)}
		if err := c.KeepIntended(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		heads, err := c.IntendedHeads(t.Context(), "osl1")
		if err != nil {
			t.Fatal(err)
		}
		subject, err := IntendedSubject("osl1", "vm", id)
		if err != nil || strings.Count(subject, ".") != 5 {
			t.Fatalf("subject %q, %v", subject, err)
		}
		moved := &IntendedRecord{Where: "vms.yaml:9:1", Version: "v2", Record: []byte(`{"id":"x"}`)}
		changed := &IntendedRecord{Record: []byte(`{"id":"y"}`)}
		if head := heads[subject]; !head.Says(r) || !head.Says(moved) || head.Says(changed) || head.Says(&IntendedRecord{Gone: true}) || head.At.IsZero() {
			t.Errorf("head of %s: %+v", id, head)
		}
		filter, err := IntendedIn("osl1", "vm")
		if err != nil {
			t.Fatal(err)
		}
		var read []*IntendedRecord
		if err := c.Read(t.Context(), Past{Stream: StreamIntended, Subjects: []string{filter}}, func(k Kept) error {
			r, err := DecodeIntended(k)
			read = append(read, r)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, read[len(read)-1]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if err := c.ForgetIntended(t.Context(), subject); err != nil {
			t.Fatal(err)
		}
		if heads, err := c.IntendedHeads(t.Context(), "osl1"); err != nil || len(heads) != 0 {
			t.Errorf("forgotten: %v, %v", heads, err)
		}
	}
}

func TestDecodeIntendedRefuses(t *testing.T) {
	const subject = "avstem.v1.intended.osl1.vm.x"
	for name, tt := range map[string]struct{ subject, text, want string }{
		"no JSON":             {subject, "hello", "invalid character"},
		"another schema":      {subject, `{"schema":"avstem.intended/v2","site":"osl1","type":"vm","id":"x"}`, "upgrade avstem"},
		"another's record":    {subject, `{"schema":"avstem.intended/v1","site":"osl1","type":"vm","id":"y"}`, `claims to be vm "y"`},
		"another site's":      {subject, `{"schema":"avstem.intended/v1","site":"trd1","type":"vm","id":"x"}`, `of site "trd1"`},
		"no ID":               {subject, `{"schema":"avstem.intended/v1","site":"osl1","type":"vm"}`, `claims to be vm ""`},
		"a type with a dot":   {subject, `{"schema":"avstem.intended/v1","site":"osl1","type":"v.m","id":"x"}`, "claims to be"},
		"a site that is none": {subject, `{"schema":"avstem.intended/v1","site":"*","type":"vm","id":"x"}`, "claims to be"},
	} {
		if _, err := DecodeIntended(Kept{Subject: tt.subject, Data: []byte(tt.text)}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
