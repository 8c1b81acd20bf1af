package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestScore(t *testing.T) {
	const events = `{"Action":"start","Package":"github.com/dataverket/avstem/test/lab"}
{"Action":"run","Package":"github.com/dataverket/avstem/test/lab","Test":"TestLab"}
{"Action":"run","Package":"github.com/dataverket/avstem/test/lab","Test":"TestLab/a_rename_changes_nothing"}
{"Action":"pass","Package":"github.com/dataverket/avstem/test/lab","Test":"TestLab/a_rename_changes_nothing","Elapsed":1.25}
{"Action":"run","Package":"github.com/dataverket/avstem/test/lab","Test":"TestLab/a_copy_is_refused"}
{"Action":"output","Package":"github.com/dataverket/avstem/test/lab","Test":"TestLab/a_copy_is_refused","Output":"it ran\n"}
{"Action":"fail","Package":"github.com/dataverket/avstem/test/lab","Test":"TestLab/a_copy_is_refused","Elapsed":2}
{"Action":"output","Package":"github.com/dataverket/avstem/test/lab","Test":"TestLab","Output":"the console of hv1\n"}
{"Action":"fail","Package":"github.com/dataverket/avstem/test/lab","Test":"TestLab","Elapsed":3}
{"Action":"run","Package":"github.com/dataverket/avstem/test/lab","Test":"TestLabDiesWithItsStarter"}
{"Action":"skip","Package":"github.com/dataverket/avstem/test/lab","Test":"TestLabDiesWithItsStarter"}
{"Action":"fail","Package":"github.com/dataverket/avstem/test/lab","Elapsed":4}
{"Action":"start","Package":"github.com/dataverket/avstem/test/other"}
{"Action":"output","Package":"github.com/dataverket/avstem/test/other","Output":"panic: in TestMain\n"}
{"Action":"fail","Package":"github.com/dataverket/avstem/test/other","Elapsed":0.1}
`
	var out bytes.Buffer
	s := newScore(&out)
	if err := s.read(strings.NewReader(events)); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"", "test/lab",
		"proved Lab: a rename changes nothing 1.2 s",
		"FAILED Lab: a copy is refused 2.0 s", "it ran",
		"the console of hv1",
		"FAILED Lab Dies With Its Starter 0.0 s",
		"", "test/other",
		"FAILED the package's tests ran 0.1 s", "panic: in TestMain",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what it prints (-want +got):\n%s", diff)
	}
	if s.proved != 1 || s.failed != 3 {
		t.Errorf("%d proved and %d failed, want 1 and 3", s.proved, s.failed)
	}
	if err := newScore(&out).read(strings.NewReader("no JSON")); err == nil {
		t.Error("what isn't go test's is taken")
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"nothing"}, {"up", "twice"}, {"--what", "up"}, {"in"}} {
		if err := run(t.Context(), args, &bytes.Buffer{}); err != errUsage {
			t.Errorf("%q gives %v, want %v", args, err, errUsage)
		}
	}
	for _, args := range [][]string{{"--hosts", "0", "up"}, {"--hosts", "10", "up"}} {
		if err := run(t.Context(), args, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "1 to 9 hosts") {
			t.Errorf("%q gives %v", args, err)
		}
	}
	dir := t.TempDir() + "/lab"
	var out bytes.Buffer
	if err := run(t.Context(), []string{"--dir", dir, "down"}, &out); err != nil || !strings.Contains(out.String(), "nothing to remove") {
		t.Errorf("down of nothing: %v: %s", err, &out)
	}
	if err := run(t.Context(), []string{"--dir", dir, "in", "hv1"}, &out); err == nil || !strings.Contains(err.Error(), "no rig runs there") {
		t.Errorf("in nothing: %v", err)
	}
}
