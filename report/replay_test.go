package report_test

import (
	"io"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/replay"
	"github.com/dataverket/avstem/report"
)

func TestReplay(t *testing.T) {
	c := read[replay.Comparison](t, "replay.json")
	for name, o := range map[string]report.Options{
		"replay-100.txt": {}, "replay-60.txt": {Width: 60}, "replay-color.txt": {Color: true},
	} {
		golden(t, name, written(t, func(w io.Writer) error { return report.Replay(w, &c, o) }))
	}
	golden(t, "replay.csv", written(t, func(w io.Writer) error { return report.ReplayCSV(w, &c) }))
	want, err := os.ReadFile("testdata/replay.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), written(t, func(w io.Writer) error { return report.ReplayJSON(w, &c) })); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
}

func TestReplayOfNothing(t *testing.T) {
	c := replay.Compare(nil, replay.Options{Policy: "b.yaml", Against: "a.yaml"})
	golden(t, "replay-nothing.txt", written(t, func(w io.Writer) error { return report.Replay(w, c, report.Options{}) }))
}
