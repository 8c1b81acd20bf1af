package doctor

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dataverket/avstem/bus"
)

func TestJudgements(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for name, test := range map[string]struct {
		got     Result
		verdict Verdict
		says    string // in what is found or to be typed
	}{
		"none yet":             {judgeMissing("c", "/a/d", "/a", nil), OK, ""},
		"none yet, above ours": {judgeMissing("c", "/a/d", "/a", syscall.EACCES), Warning, "install -d -o avstem-agent -m 700 /a/d"},
		"none yet, really":     {StateDirectory(filepath.Join(t.TempDir(), "a", "b"), "u", "m"), OK, ""},
		"a read-only one":      {judgeWrite("c", "t", "/d", "u", "m", syscall.EROFS), Broken, "mount the file system of /d for writing"},
		"a full one":           {judgeWrite("c", "t", "/d", "u", "m", fmt.Errorf("write: %w", syscall.ENOSPC)), Broken, "df -h /d"},
		"another's":            {judgeWrite("c", "t", "/d", "u", "m", &os.PathError{Op: "open", Path: "/d/x", Err: syscall.EACCES}), Broken, "as root"},
		"a broken disk":        {judgeWrite("c", "t", "/d", "u", "m", syscall.EIO), Broken, "ls -ld /d"},
		"room":                 {judgeRoom("c", "t", "/d", 1<<30), OK, "1024 MiB free"},
		"little room":          {judgeRoom("c", "t", "/d", 50<<20), Warning, "df -h /d"},
		"no room":              {judgeRoom("c", "t", "/d", 4096), Broken, "df -h /d"},
		"right clock":          {Clock("t", now.Add(time.Second), now, time.Millisecond), OK, "1s off"},
		"a slow answer":        {Clock("t", now.Add(4*time.Second), now, 3*time.Second), OK, "give or take 3s"},
		"clock off":            {Clock("t", now.Add(-10*time.Second), now, 0), Warning, "timedatectl"},
		"wrong clock":          {Clock("t", now.Add(48*time.Hour), now, 0), Broken, "48h0m0s off"},
		"a kept clock":         {judgeKept("c", "t", 0, 3*time.Millisecond, nil), OK, "at most 3ms"},
		"a clock that drifts":  {judgeKept("c", "t", timeError, 0, nil), Warning, "set-ntp"},
		"small messages":       {Payload(64 << 10), Warning, "max_payload"},
		"messages":             {Payload(1 << 20), OK, "1024 KiB"},
		"no such name":         {Connection("t", nil, &net.DNSError{Name: "nats.example.net"}), Broken, "getent hosts nats.example.net"},
		"nobody there":         {Connection("t", nil, fmt.Errorf("x: %w", nats.ErrNoServers)), Broken, "nc -zv"},
		"wrong credentials":    {Connection("t", nil, nats.ErrAuthorization), Broken, "creds: /etc/avstem/agent.creds"},
		"expired":              {Connection("t", nil, x509.CertificateInvalidError{Reason: x509.Expired}), Broken, "is this clock right"},
		"an unknown authority": {Connection("t", nil, x509.UnknownAuthorityError{}), Broken, "ca: /etc/avstem/ca.pem"},
		"forbidden":            {Connection("t", nil, &os.PathError{Op: "open", Path: "/c", Err: syscall.EACCES}), Broken, "chmod 600"},
		"no server":            {Connection("t", nil, &bus.NoServerError{Tried: []string{"x"}}), Broken, "server: tls://"},
		"something else":       {Connection("t", nil, errors.New("odd")), Broken, "config show"},
	} {
		if test.got.Verdict != test.verdict || !strings.Contains(test.got.Found+" "+test.got.Type, test.says) {
			t.Errorf("%s: %+v, want %s and %q", name, test.got, test.verdict, test.says)
		}
		if test.got.Verdict != OK && test.got.Type == "" {
			t.Errorf("%s: it doesn't say what to do", name)
		}
	}
}

func TestWhatIsWritten(t *testing.T) {
	results := []Result{Good("a", "try", "fine").Lasting(1500 * time.Microsecond), Bad("longer", "try", errors.New("bad\n\x1b[31m"), "harm", "help"), Skip("c", "try", "no need")}
	var b strings.Builder
	err := Write(&b, results, false, 0)
	if broken, ok := errors.AsType[*BrokenError](err); !ok || broken.Broken != 1 {
		t.Errorf("error is %v", err)
	}
	want := `ok       a       try: fine (2ms)
broken   longer  try: bad ?[31m
                 means: harm
                 type: help
skipped  c       try: no need

checked: 3; ok: 1, warning: 0, broken: 1, skipped: 1
`
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
	b.Reset()
	if err := Write(&b, results[:1], true, 0); err != nil || !strings.Contains(b.String(), `"verdict": "ok"`) {
		t.Errorf("%v: %s", err, b.String())
	}
}

func TestTextKeepsToTheTerminal(t *testing.T) {
	results := []Result{Weak("agents", "listen for heartbeats for 12s", "none is heard", "every host is stale, and nothing is concluded of any of them",
		"systemctl status avstem-agent and avstem-agent doctor on a host, which is not broken")}
	want := `warning  agents  listen for heartbeats for 12s: none is
                 heard
                 means: every host is stale, and nothing
                        is concluded of any of them
                 type: systemctl status avstem-agent and avstem-agent doctor on a host, which is not broken

checked: 1; ok: 0, warning: 1, broken: 0, skipped: 0
`
	if got := text(results, 56); got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}
