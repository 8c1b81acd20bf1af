package bundle

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/history"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/files"
)

// fleet is the core's input that the commands' tests have too.
func fleet(tb testing.TB) *reconcile.Input {
	tb.Helper()
	dir := filepath.Join("..", "cmd", "avstem", "testdata", "fleet")
	source, err := files.Open(filepath.Join(dir, "inventory"))
	if err != nil {
		tb.Fatal(err)
	}
	in := &reconcile.Input{Heard: map[uuid.UUID]time.Time{}, Policy: reconcile.DefaultPolicy(), Now: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)}
	if in.Intended, err = source.Read(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	file, err := os.Open(filepath.Join(dir, "hv-osl1-01.json"))
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	documents, err := inventory.DecodeObservations(file, 1<<20)
	if err != nil {
		tb.Fatal(err)
	}
	for _, o := range documents {
		in.Observed = append(in.Observed, reconcile.Document{Observation: o, Received: in.Now})
		in.Heard[o.Host] = in.Now
	}
	return in
}

// made is the bundle of one thing, with the findings that the core gives live.
func made(tb testing.TB, in *reconcile.Input, query string) *Bundle {
	tb.Helper()
	result := reconcile.Reconcile(*in)
	for i := range result.Findings {
		result.Findings[i].FirstSeen = in.Now.Add(-time.Hour)
	}
	e, err := reconcile.Explain(result, result.Findings, in.Now, query)
	if err != nil {
		tb.Fatal(err)
	}
	thing, is := history.ThingOf(e)
	if !is {
		tb.Fatalf("%s is nothing that has a bundle", query)
	}
	narrow, left := Narrow(in, &thing, e)
	b := &Bundle{Findings: e.Findings, Explanation: e, Manifest: Manifest{Made: in.Now, By: "test", Site: "osl1", Query: query, Subject: Subject{Thing: thing}, LeftOut: left}}
	b.Set(narrow)
	if err := b.Seal(); err != nil {
		tb.Fatal(err)
	}
	return b
}

func written(tb testing.TB, b *Bundle) []byte {
	tb.Helper()
	var out bytes.Buffer
	if err := Write(&out, b); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func TestBundleGivesTheFindingsThatThereWere(t *testing.T) {
	in := fleet(t)
	for _, query := range []string{"web-01", "web-02", "web-03", "test-of-per", "hv-osl1-01"} {
		t.Run(query, func(t *testing.T) {
			b := made(t, in, query)
			if !b.Manifest.Reproduces {
				t.Errorf("it doesn't: %s", strings.Join(b.Manifest.Differs, "\n"))
			}
			back, err := Read(written(t, b))
			if err != nil {
				t.Fatal(err)
			}
			_, got := back.Judge()
			asJSON := func(findings []reconcile.Finding) string {
				text, err := json.MarshalIndent(findings, "", " ")
				if err != nil {
					t.Fatal(err)
				}
				return string(text)
			}
			if len(b.Findings) == 0 {
				t.Error("there is no finding to compare")
			}
			if diff := cmp.Diff(asJSON(b.Findings), asJSON(got)); diff != "" {
				t.Errorf("findings (-live +bundle):\n%s", diff)
			}
			if diff := cmp.Diff(b.Manifest, back.Manifest, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("manifest (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBundleSaysWhereItGivesOtherFindings(t *testing.T) {
	in := fleet(t)
	b := made(t, in, "web-01")
	b.Findings[0].Message = "something else"
	b.Findings = append(b.Findings, reconcile.Finding{ID: "f-1", Kind: "vm.state", Verdict: reconcile.Confirmed, Message: "gone"},
		reconcile.Finding{ID: "f-2", Kind: "vm.state", Verdict: reconcile.Undecided, Message: "held"},
		reconcile.Finding{ID: "f-3", Kind: "vm.state", State: reconcile.Resolved, Message: "was"})
	differs := strings.Join(b.check(), "\n")
	for _, want := range []string{"f-1 vm.state isn't found: gone", "is found otherwise", "the reconciler had: something else"} {
		if !strings.Contains(differs, want) {
			t.Errorf("it doesn't say %q:\n%s", want, differs)
		}
	}
	if strings.Contains(differs, "f-2") || strings.Contains(differs, "f-3") {
		t.Errorf("what the reconciler only remembered can't be found:\n%s", differs)
	}
	if _, findings := b.Judge(); len(findings) < 2 {
		t.Error("what it remembered is not shown")
	}
}

func TestNarrowLeavesOutOtherTenants(t *testing.T) {
	in := fleet(t)
	text := string(written(t, made(t, in, "web-01")))
	b, err := Read([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	all, err := json.Marshal([]any{b.Observed, b.Intended, b.Rest, b.Findings, b.Explanation})
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{"test-of-per", "web-02", "52:54:00:aa:00:02", "shop-01"} {
		if strings.Contains(string(all), other) {
			t.Errorf("%s is in the bundle of web-01", other)
		}
	}
	if left := strings.Join(b.Manifest.LeftOut, "\n"); !strings.Contains(left, "2 sightings of other VMs") || !strings.Contains(left, "records of VMs") {
		t.Errorf("left out: %s", left)
	}
	// Of a host everything on it counts.
	if host := made(t, in, "hv-osl1-01"); len(host.Observed[3].VMs) != 3 {
		t.Errorf("VMs of the host: %d", len(host.Observed[3].VMs))
	}
}

func TestSealTakesCredentialsOut(t *testing.T) {
	in := fleet(t)
	o := in.Observed[3].Observation
	o.Runtime.Endpoint = "qemu+tls://admin:hunter22@hv-osl1-01/system"
	o.Problems = append(o.Problems, inventory.Problem{Call: "read", Why: inventory.WhyBroken, Error: `<graphics passwd='hunter22' port='1'/> token=hunter22 Authorization: Bearer hunter22hunter22`})
	if err := o.Seal(); err != nil {
		t.Fatal(err)
	}
	in.Intended.Source = "https://reader:hunter22@sentral.example.net/v1"
	b := made(t, in, "hv-osl1-01")
	for name, text := range unzipped(t, written(t, b)) {
		if strings.Contains(text, "hunter22") {
			t.Errorf("%s holds a credential", name)
		}
	}
	if !b.Manifest.Reproduces {
		t.Errorf("scrubbed it gives other findings: %s", b.Manifest.Differs)
	}
	if left := strings.Join(b.Manifest.LeftOut, " "); !strings.Contains(left, "what looked like a credential; texts") {
		t.Errorf("left out: %s", left)
	}
	for _, o := range b.Observed {
		if err := o.VerifyDigest(); err != nil {
			t.Error(err)
		}
	}
}

func TestScrubText(t *testing.T) {
	for text, want := range map[string]string{
		"nats://user:pw123@nats:4222":                                             "nats://(scrubbed)@nats:4222",
		"tls://t0ken@nats:4222 refuses":                                           "tls://(scrubbed)@nats:4222 refuses",
		"https://nats:4222/x@y":                                                   "https://nats:4222/x@y",
		`rbd:pool/img:id=admin:key=AQBabc==:mon_host=10.0.0.1`:                    `rbd:pool/img:id=admin:key=(scrubbed)`,
		`<graphics type='vnc' passwd='secret1'/>`:                                 `<graphics type='vnc' passwd='(scrubbed)'/>`,
		`{"password": "abc def", "x": 1}`:                                         `{"password": "(scrubbed) def", "x": 1}`,
		"PASSWORD=abcdef next":                                                    "PASSWORD=(scrubbed) next",
		"Authorization: Bearer abcdefgh12345678":                                  "Authorization: Bearer (scrubbed)",
		"SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY":              "(scrubbed)",
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-_1":                         "(scrubbed)",
		"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nx": "(scrubbed)\nx",
		"web-01 is on VLAN 120 (network web-test), Sentral says 110":              "web-01 is on VLAN 120 (network web-test), Sentral says 110",
		"tap vnet2 → OVS port vnet2, tag 120":                                     "tap vnet2 → OVS port vnet2, tag 120",
		"token: see the file":                                                     "token: (scrubbed) the file",
	} {
		if got := scrubText(text); got != want {
			t.Errorf("%q\n became %q\n    want %q", text, got, want)
		}
	}
}

func unzipped(t *testing.T, data []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		if _, err := text.ReadFrom(r); err != nil {
			t.Fatal(err)
		}
		all[f.Name] = text.String()
	}
	return all
}

// zipped is a zip file with these files; one with a name of "a|b" is there twice.
func zipped(tb testing.TB, content map[string]string) []byte {
	tb.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for name, text := range content {
		for part := range strings.SplitSeq(name, "|") {
			w, err := z.Create(part)
			if err == nil {
				_, err = w.Write([]byte(text))
			}
			if err != nil {
				tb.Fatal(err)
			}
		}
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func TestReadRefuses(t *testing.T) {
	good := written(t, made(t, fleet(t), "web-01"))
	with := func(change func(map[string]string)) []byte {
		all := unzipped(t, good)
		change(all)
		return zipped(t, all)
	}
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":            {nil, "it is no bundle, or was cut short"},
		"a text":             {[]byte("hello"), "it is no bundle"},
		"cut short":          {good[:len(good)-100], "it is no bundle, or was cut short"},
		"its half":           {good[:len(good)/2], "it is no bundle, or was cut short"},
		"a path upwards":     {with(func(m map[string]string) { m["../../etc/passwd"] = "x" }), `it holds "../../etc/passwd", which no bundle does`},
		"an absolute path":   {with(func(m map[string]string) { m["/etc/passwd"] = "x" }), "which no bundle does"},
		"a file twice":       {with(func(m map[string]string) { m["rest.json|rest.json"] = m["rest.json"]; delete(m, "rest.json") }), "it holds rest.json twice"},
		"no manifest":        {with(func(m map[string]string) { delete(m, manifestName) }), "manifest.json is missing"},
		"a file missing":     {with(func(m map[string]string) { delete(m, observedName) }), "observed.json is missing"},
		"a file changed":     {with(func(m map[string]string) { m[findingsName] = "[]" }), "findings.json: it isn't what the manifest says"},
		"a file not listed":  {with(func(m map[string]string) { m[manifestName] = `{"schema":"avstem.bundle/v1"}` }), "the manifest doesn't list it"},
		"a newer schema":     {with(func(m map[string]string) { m[manifestName] = `{"schema":"avstem.bundle/v2","files":"?"}` }), "is newer than this avstem understands"},
		"another schema":     {with(func(m map[string]string) { m[manifestName] = `{"schema":"avstem.observation/v1"}` }), "is not avstem.bundle/v1"},
		"a manifest of text": {with(func(m map[string]string) { m[manifestName] = "hello" }), "manifest.json: invalid character"},
		"a large manifest":   {with(func(m map[string]string) { m[manifestName] = strings.Repeat(" ", maxSchema+1) }), "holds more than 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := Read(tt.data)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "read bundle: ") {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if b != nil {
				t.Error("it gives a bundle all the same")
			}
		})
	}
}

// A small file that claims to hold far more is given up at the limit.
func TestReadStopsAtABomb(t *testing.T) {
	all := unzipped(t, written(t, made(t, fleet(t), "web-01")))
	all[explainName] = strings.Repeat(" ", 130<<20)
	data := zipped(t, all)
	if len(data) > 2<<20 {
		t.Fatalf("the bomb has %d bytes", len(data))
	}
	if _, err := Read(data); err == nil || !strings.Contains(err.Error(), "which no bundle does") {
		t.Errorf("%v", err)
	}
}

// What is read can be judged, written and read again.
func FuzzRead(f *testing.F) {
	good := written(f, made(f, fleet(f), "web-01"))
	f.Add(good)
	f.Add(good[:len(good)-50])
	f.Add(zipped(f, map[string]string{manifestName: `{"schema":"avstem.bundle/v1"}`}))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := Read(data)
		if err != nil {
			return
		}
		b.Judge()
		var out bytes.Buffer
		if err := Write(&out, b); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(out.Bytes()); err != nil {
			t.Fatalf("read again: %v", err)
		}
	})
}

// The parts, as a file with good digests has them: what gets past the manifest.
func FuzzParts(f *testing.F) {
	for name, text := range unpacked(f) {
		f.Add(name, []byte(text))
	}
	f.Fuzz(func(t *testing.T, name string, text []byte) {
		b := &Bundle{Intended: &sentral.Inventory{}, Explanation: &reconcile.Explanation{}}
		for _, p := range b.parts() {
			if p.name != name {
				continue
			}
			if err := b.decode(p, text); err != nil {
				return
			}
		}
		if _, _, err := scrub(text); err != nil && json.Valid(text) {
			t.Errorf("scrub: %v", err)
		}
		b.Judge()
	})
}

func unpacked(f *testing.F) map[string]string {
	b := made(f, fleet(f), "web-01")
	all := map[string]string{}
	for _, p := range b.parts() {
		text, err := json.Marshal(p.value)
		if err != nil {
			f.Fatal(err)
		}
		all[p.name] = string(text)
	}
	return all
}
