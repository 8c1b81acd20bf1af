package report

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
)

func TestPrintable(t *testing.T) {
	tests := []struct{ in, want string }{
		{"web-01 på ☃", "web-01 på ☃"},
		{"\x1b[2Jx", `\x1b[2Jx`},
		{"a\nb\tc", `a\nb\tc`},
		{"\u009b1m", `\u009b1m`},
		{"\u202etxt", `\u202etxt`},
		{"\xff", `\xff`},
		{"\x7f", `\x7f`},
		{"a\u00a0b", `a\u00a0b`},
	}
	for _, test := range tests {
		if got := printable(test.in); got != test.want {
			t.Errorf("printable(%q) = %q, want %q", test.in, got, test.want)
		}
	}
}

func TestDisplayWidth(t *testing.T) {
	for text, want := range map[string]int{"": 0, "web": 3, "名前": 4, "e\u0301": 1, "→": 1, "🖥": 2, "ﾊﾝ": 2, "Ａ": 2} {
		if got := displayWidth(text); got != want {
			t.Errorf("displayWidth(%q) = %d, want %d", text, got, want)
		}
	}
}

func TestShorten(t *testing.T) {
	tests := []struct {
		in    string
		width int
		want  string
	}{
		{"web-01", 6, "web-01"},
		{"build-runner-0042", 9, "buil…0042"},
		{"名前サーバー", 7, "名…ー"},
		{"web-01", 1, "…"},
		{"web-01", 0, ""},
	}
	for _, test := range tests {
		if got := shorten(test.in, test.width); got != test.want {
			t.Errorf("shorten(%q, %d) = %q, want %q", test.in, test.width, got, test.want)
		}
	}
}

func TestWrapCutsPathsBehindASlash(t *testing.T) {
	for _, test := range []struct {
		in   string
		want []string
	}{
		{"none → /var/lib/images/mail-01-data.qcow2 50 GiB", []string{"none →", "/var/lib/images/", "mail-01-data.qcow2", "50 GiB"}},
		{"/a/mail-01-data-of-2026.qcow2", []string{"/a/mail-01-data-of-2", "026.qcow2"}},
		{"0123456789012345678901/2", []string{"01234567890123456789", "01/2"}},
		{"名前サーバーの/名前サーバーのイメージ", []string{"名前サーバーの/", "名前サーバーのイメー", "ジ"}},
	} {
		if diff := cmp.Diff(test.want, wrap(test.in, 20)); diff != "" {
			t.Errorf("wrap(%q) (-want +got):\n%s", test.in, diff)
		}
	}
}

// A document that is old since nothing changed doesn't mean that nobody looked.
func TestSeenSaysWhetherItIsStillSo(t *testing.T) {
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		age   time.Duration
		fresh bool
		want  string
	}{
		{30 * time.Second, true, "running on hv1, by runtime-libvirt, 30s ago"},
		{4 * time.Minute, true, "running on hv1, by runtime-libvirt, 4m ago and nothing has changed since"},
		{4 * time.Minute, false, "running on hv1, by runtime-libvirt, 4m ago: too old to conclude anything from"},
	} {
		p := newPage(&Options{}, now)
		p.seen(&reconcile.ObservedVM{VM: inventory.VM{State: inventory.StateRunning}, Host: "hv1", Source: "runtime-libvirt", ObservedAt: now.Add(-test.age), Fresh: test.fresh})
		if !strings.Contains(p.String(), test.want+"\n") {
			t.Errorf("%s, fresh %v: %s", test.age, test.fresh, p.String())
		}
	}
}

func TestFoldProblems(t *testing.T) {
	problem := func(vm, why string) inventory.Problem {
		return inventory.Problem{Entity: "vm:" + vm, Field: "nic.link", Why: inventory.WhyAbsent, Call: "/proc/" + vm, Error: why}
	}
	problems := []inventory.Problem{problem("1", "a"), problem("2", "b"), problem("3", "a"), problem("4", "a"), problem("5", "b"), problem("6", "a")}
	var got []string
	for _, same := range foldProblems(problems) {
		got = append(got, problemNotes(same[0], len(same)-1)[0].text)
	}
	want := []string{"vm:1 nic.link (and 3 more) absent: /proc/1: a", "vm:2 nic.link absent: /proc/2: b", "vm:5 nic.link absent: /proc/5: b"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWrapBreaksFieldsWhereTheyHaveParts(t *testing.T) {
	for in, want := range map[string][]string{
		"backingFile[/srv/base.qcow2].digest": {"backingFile[/srv/base.qcow2]", ".digest"},
		"aaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbb": {"aaaaaaaaaaaaaaaaaaaa", ".bbbbbbbbbbbbbb"},
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbb": {"aaaaaaaaaaaaaaaaaaaaaaaaaaaa", ".bbbbbb"},
		"/aaaaaaaaaaaaaaaaaaaaaaaa/bbbbbbbbb": {"/aaaaaaaaaaaaaaaaaaaaaaaa/", "bbbbbbbbb"},
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaa"},
	} {
		if diff := cmp.Diff(want, wrap(in, 30)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", in, diff)
		}
	}
}

func TestShortenPath(t *testing.T) {
	for _, test := range []struct {
		in    string
		width int
		want  string
	}{
		{"acme/web/web-01", 15, "acme/web/web-01"},
		{"acme/platform/web-01", 19, "acme/…/web-01"},
		{"acme/platform/web-01", 13, "acme/…/web-01"},
		{"acme/platform/web-01", 12, "…/web-01"},
		{"acme/w/web-01", 12, "…/web-01"},
		{"acme/web/web-01", 11, "…/web-01"},
		{"acme/web/web-01", 6, "web-01"},
		{"acme/web/web-01", 5, "we…01"},
		{"db-01-restore", 12, "db-01-…store"},
	} {
		if got := shortenPath(test.in, test.width); got != test.want {
			t.Errorf("shortenPath(%q, %d) = %q, want %q", test.in, test.width, got, test.want)
		}
	}
}

func TestCutsFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, width := printable(rapid.String().Draw(t, "text")), rapid.IntRange(8, 60).Draw(t, "width")
		for name, got := range map[string]string{"shorten": shorten(text, width), "shortenPath": shortenPath(text, width), "clip": clip(text, width)} {
			if displayWidth(got) > width {
				t.Fatalf("%s gives %d columns for %d: %q", name, displayWidth(got), width, got)
			}
		}
		lines := wrap(text, width)
		for _, line := range lines {
			if displayWidth(line) > width {
				t.Fatalf("wrap gives %d columns for %d: %q", displayWidth(line), width, line)
			}
		}
		if got, want := squeeze(strings.Join(lines, "")), squeeze(text); got != want {
			t.Fatalf("wrap loses text: got %q, want %q", got, want)
		}
	})
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }

func TestAge(t *testing.T) {
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		-time.Hour: "0s", 59 * time.Second: "59s", time.Minute: "1m", 59*time.Minute + 59*time.Second: "59m",
		time.Hour: "1h", 47 * time.Hour: "47h", 48 * time.Hour: "2d", 400 * 24 * time.Hour: "400d",
	} {
		if got := age(now.Add(-d), now); got != want {
			t.Errorf("age of %s = %q, want %q", d, got, want)
		}
	}
	if got := age(time.Time{}, now) + age(now, time.Time{}); got != "" {
		t.Errorf("age of no time = %q, want none", got)
	}
}

func TestText(t *testing.T) {
	two := 2
	tests := []struct {
		value any
		leaf  string
		want  string
	}{
		{nil, "state", "none"},
		{"", "state", `""`},
		{"running\x1b", "state", `running\x1b`},
		{inventory.Bytes(4 << 30), "memory", "4 GiB"},
		{float64(4 << 30), "memory", "4 GiB"}, // as a reader of JSON has it
		{4294967296, "vcpus", "4294967296"},
		{&two, "vcpus", "2"},
		{true, "linkUp", "true"},
		{inventory.VLAN(110), "vlan", "110"},
		{[]string{"a", "b"}, "disks", "a, b"},
		{[]any{}, "vlans", "none"},
		{map[string]any{"id": "debian-12", "version": "20261101"}, "image", "debian-12 20261101"},
		{map[string]any{"size": 1 << 30, "name": "root"}, "disk", "name root, size 1 GiB"},
		{inventory.MAC{0x52, 0x54, 0, 0, 0, 1}, "mac", "52:54:00:00:00:01"},
		{func() {}, "x", "json: unsupported type: func()"},
	}
	for _, test := range tests {
		if got := text(test.value, test.leaf); got != test.want {
			t.Errorf("text(%v, %s) = %q, want %q", test.value, test.leaf, got, test.want)
		}
	}
}

// A difference must never look like none.
func TestSidesDiffer(t *testing.T) {
	a, b := sides(inventory.Bytes(960000000000), inventory.Bytes(960000000001), "size")
	if a != "960000000000 bytes" || b != "960000000001 bytes" {
		t.Errorf("got %s and %s", a, b)
	}
}

func TestSplitPath(t *testing.T) {
	for path, want := range map[string][3]string{
		"state":                        {"", "", "state"},
		"placement.tenant":             {"placement", "", "tenant"},
		"nics[52:54:00:aa:00:01].vlan": {"nics", "52:54:00:aa:00:01", "vlan"},
		"disks[/srv/a.b].size":         {"disks", "/srv/a.b", "size"},
		"disks[a]b].size":              {"disks", "a]b", "size"},
		"disks[web-01-root]":           {"disks", "web-01-root", ""},
		"storagePools[a].volumes[b/c]": {"storagePools", "a/b/c", ""},
		"]x[":                          {"", "", "]x["},
		"":                             {"", "", ""},
	} {
		list, entity, leaf := splitPath(path)
		if got := [3]string{list, entity, leaf}; got != want {
			t.Errorf("splitPath(%q) = %q, want %q", path, got, want)
		}
	}
}

func TestDisarm(t *testing.T) {
	for in, want := range map[string]string{
		"web-01": "web-01", "": "", "=1+1": "'=1+1", "+47": "'+47", "-1": "'-1", "@x": "'@x", "  =1": "'  =1", "＝1": "'＝1", `"=1`: `'"=1`, "a=b": "a=b",
	} {
		if got := disarm(in); got != want {
			t.Errorf("disarm(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestInMarkdown(t *testing.T) {
	for in, want := range map[string]string{
		"web-01":            "web-01",
		"a|b":               `a\|b`,
		"<b>*x*_y_`z`</b>":  "&lt;b&gt;\\*x\\*\\_y\\_\\`z\\`&lt;/b&gt;",
		"[x](y)":            `\[x\](y)`,
		"a\nb":              `a\\nb`,
		"https://x":         "https&#58;//x",
		"me@x.no":           "me&#64;x.no",
		"![](http://x/p)":   `\!\[\](http&#58;//x/p)`,
		"www.x.no":          "www&#46;x.no",
		`a\b`:               `a\\b`,
		"&lt;script&gt;":    "&amp;lt;script&amp;gt;",
		"| --- |\n| x | y|": `\| --- \|\\n\| x \| y\|`,
	} {
		if got := inMarkdown(in); got != want {
			t.Errorf("inMarkdown(%q) = %q, want %q", in, got, want)
		}
	}
}

// caused makes findings of a kind whose causes are named by index, -1 for none.
func caused(by ...int) []reconcile.Finding {
	findings := make([]reconcile.Finding, len(by))
	for i, cause := range by {
		findings[i] = reconcile.Finding{ID: "f-" + count(i), Kind: "vm.state", Severity: reconcile.Medium, State: reconcile.Open,
			Subject: reconcile.Subject{Type: "vm", ID: count(i)}, Field: "state", Intended: count(i), Observed: "x"}
		if cause >= 0 {
			findings[i].CausedBy = "f-" + count(cause)
		}
	}
	return findings
}

func TestFold(t *testing.T) {
	alike := func(n int) []reconcile.Finding {
		findings := caused(make([]int, n)...)
		for i := range findings {
			findings[i].Intended, findings[i].CausedBy = "running", ""
		}
		return findings
	}
	tests := []struct {
		name     string
		findings []reconcile.Finding
		want     [][2]int // of each row: findings that say the same, symptoms
	}{
		{"none", nil, nil},
		{"causes of nothing", caused(-1, -1), [][2]int{{1, 0}, {1, 0}}},
		{"a cause with symptoms", caused(-1, 0, 0), [][2]int{{1, 2}}},
		{"a chain", caused(-1, 0, 1, 2), [][2]int{{1, 3}}},
		{"a cause that comes later", caused(2, 2, -1), [][2]int{{1, 2}}},
		{"a cause that isn't in the list", caused(7), [][2]int{{1, 0}}},
		{"itself", caused(0), [][2]int{{1, 0}}},
		{"a circle", caused(1, 2, 0), [][2]int{{1, 2}}},
		{"a way into a circle", caused(1, 2, 1), [][2]int{{1, 2}}},
		{"three alike", alike(3), [][2]int{{1, 0}, {1, 0}, {1, 0}}},
		{"four alike", alike(4), [][2]int{{4, 0}}},
		{"four alike and one that follows", append(alike(4), caused(-1, -1, -1, -1, 2)[4]), [][2]int{{4, 1}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got [][2]int
			for _, r := range fold(test.findings) {
				got = append(got, [2]int{len(r.same), len(r.symptoms)})
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

// One subject with one difference four times is not four subjects.
func TestFoldCountsSubjects(t *testing.T) {
	findings := caused(-1, -1, -1, -1)
	for i := range findings {
		findings[i].Subject.ID, findings[i].Intended = "a", "x"
	}
	if got := len(fold(findings)); got != 4 {
		t.Errorf("got %d rows, want 4", got)
	}
}

// A critical symptom stands where its severity belongs, whatever its cause's is.
func TestFoldRanksByTheWorst(t *testing.T) {
	findings := caused(-1, -1, 1)
	findings[0].Severity, findings[2].Severity = reconcile.High, reconcile.Critical
	rows := fold(findings)
	if len(rows) != 2 || rows[0].same[0].ID != "f-1" || rows[0].rank != 0 {
		t.Errorf("got %+v, want the row of f-1 first", rows)
	}
}

// Every finding is in exactly one row, whatever causes what.
func TestFoldKeepsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		by := rapid.SliceOfN(rapid.IntRange(-1, 12), 0, 12).Draw(t, "causes")
		findings := caused(by...)
		for i := range findings {
			findings[i].Intended = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "intended")
		}
		seen := map[string]int{}
		for _, r := range fold(findings) {
			for _, f := range append(append([]*reconcile.Finding(nil), r.same...), r.symptoms...) {
				seen[f.ID]++
			}
		}
		for _, f := range findings {
			if seen[f.ID] != 1 {
				t.Fatalf("%s is in %d rows", f.ID, seen[f.ID])
			}
		}
		if len(seen) != len(findings) {
			t.Fatalf("%d findings in rows, want %d", len(seen), len(findings))
		}
	})
}

func TestSubjectNamesTellThingsApart(t *testing.T) {
	findings := caused(-1, -1)
	for i := range findings {
		findings[i].Subject.Name = "web-01"
	}
	names := newNamer(findings)
	if a, b := names.name(&findings[0].Subject), names.name(&findings[1].Subject); a != "web-01 0" || b != "web-01 1" {
		t.Errorf("got %q and %q", a, b)
	}
}
