package report

import "github.com/dataverket/avstem/reconcile"

// The SGR sequences that are used (ECMA-48 8.3.117). Nothing else of what a
// terminal can do is.
const (
	sgrReset  = "\x1b[0m"
	sgrBold   = "\x1b[1m"
	sgrFaint  = "\x1b[2m"
	sgrRed    = "\x1b[31m"
	sgrGreen  = "\x1b[32m"
	sgrYellow = "\x1b[33m"
	sgrCyan   = "\x1b[36m"
	sgrAlarm  = "\x1b[1;31m"
)

// painter colours text, or leaves it as it is.
type painter bool

func (p painter) paint(sgr, s string) string {
	if !p || sgr == "" || s == "" {
		return s
	}
	return sgr + s + sgrReset
}

// severitySGR is the colour that a severity asks for.
func severitySGR(severity reconcile.Severity) string {
	switch severity {
	case reconcile.Critical:
		return sgrAlarm
	case reconcile.High:
		return sgrRed
	case reconcile.Medium:
		return sgrYellow
	case reconcile.Low:
		return sgrCyan
	}
	return sgrFaint
}
