package duration

import (
	"strconv"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	const wrong, long = " is not a length of time: want one such as 90s, 15m, 8h or 7d", " is longer than ten years"
	for text, want := range map[string]struct {
		d   time.Duration
		err string
	}{
		"90s": {d: 90 * time.Second}, "15m": {d: 15 * time.Minute}, "8h": {d: 8 * time.Hour}, "7d": {d: 7 * day},
		"1d12h": {d: 36 * time.Hour}, "1h30m": {d: 90 * time.Minute}, "250ms": {d: 250 * time.Millisecond}, "0": {}, "0d": {},
		"": {err: wrong}, "d": {err: wrong}, "zz": {err: wrong}, "5": {err: wrong}, "-5m": {err: wrong}, "-1d": {err: wrong}, "1d-5m": {err: wrong}, "7dd": {err: wrong},
		"65535d": {err: long}, "1000000h": {err: long},
	} {
		d, err := Parse(text)
		if (err == nil) != (want.err == "") || err != nil && err.Error() != strconv.Quote(text)+want.err || d != want.d {
			t.Errorf("%q is %s, %v; want %s, %q", text, d, err, want.d, want.err)
		}
	}
}

func TestTextIsWhatParseReads(t *testing.T) {
	for d, want := range map[time.Duration]string{
		15 * time.Minute: "15m", time.Hour: "1h", day: "24h", 7 * day: "7d", 36 * time.Hour: "36h", 90 * time.Minute: "1h30m",
		90 * time.Second: "1m30s", 100 * time.Millisecond: "100ms", 20 * time.Hour: "20h", 10 * time.Second: "10s", 0: "0s",
	} {
		got := Text(d)
		if back, err := Parse(got); got != want || err != nil || back != d {
			t.Errorf("%s is written %q and read as %s, %v; want %q", d, got, back, err, want)
		}
	}
}
