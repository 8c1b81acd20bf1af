package report

import "testing"

// A zero in the smaller unit may go, but not the zero of a ten.
func TestLong(t *testing.T) {
	for seconds, want := range map[float64]string{
		0: "0s", 59: "59s", 60: "1m", 62: "1m2s", 80: "1m20s", 600: "10m", 610: "10m10s",
		3600: "1h", 4800: "1h20m", 36000: "10h", 36600: "10h10m", 2 * 86400: "2d", 2*86400 + 36000: "2d10h", 10*86400 + 20*3600: "10d20h",
	} {
		if got := long(seconds); got != want {
			t.Errorf("%v seconds are %q, want %q", seconds, got, want)
		}
	}
}
