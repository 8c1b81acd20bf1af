package manpage

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func TestFilePageHasEveryKeyWithItsWords(t *testing.T) {
	keys := pflag.NewFlagSet("keys", pflag.ContinueOnError)
	keys.SortFlags = false
	keys.String("state-dir", "", "`DIR` of what is kept")
	keys.StringArray("socket", nil, "a `SOCKET`")
	keys.Bool("with-nats", false, "run NATS, too")
	keys.Duration("interval", 30*time.Second, "`DURATION` between two")
	page := filePage(File{Name: "a.yaml", Path: "/etc/a.yaml", Of: "a", Head: "head", Long: "long", Keys: keys, Reload: []string{"interval"}},
		func(key string) string { return "A_" + strings.ToUpper(key) }, "1.0", time.Unix(0, 0).UTC())
	for _, want := range []string{
		".TH A.YAML 5 1970-01-01 \"avstem 1.0\" avstem\n",
		".TP\n\\fBstate\\-dir\\fR: \\fIDIR\\fR\nDIR of what is kept. Variable: A_STATE\\-DIR.\n",
		".TP\n\\fBsocket\\fR: \\fI[SOCKET, ...]\\fR\nA SOCKET. Variable: A_SOCKET.\n",
		".TP\n\\fBwith\\-nats\\fR: \\fItrue or false\\fR\nRun NATS, too. Variable: A_WITH\\-NATS.\n",
		".TP\n\\fBinterval\\fR: \\fIDURATION\\fR\nDURATION between two. The default is 30s. Taken on a reload. Variable: A_INTERVAL.\n",
		".BR a (1),\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in:\n%s", want, page)
		}
	}
}

func TestFooterHoldsTheVersion(t *testing.T) {
	for version, want := range map[string]string{
		"1.2.3": "1.2.3", "1.2.3+4.gabcdef0": "1.2.3+4.gabcdef0",
		"0.0.0+git20261128093000.abcdef0":       "0.0.0+git20261128093000",
		"0.0.0+git20261128093000.abcdef0+dirty": "0.0.0+git20261128093000",
	} {
		if got := short(version); got != want || len(got) > footer {
			t.Errorf("short(%q) = %q, want %q", version, got, want)
		}
	}
}
