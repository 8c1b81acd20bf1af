package issuer

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/bus/auth"
	"github.com/dataverket/avstem/enroll"
)

func TestHostWithTheRightHardwareIsLetInOnce(t *testing.T) {
	r := newRig(t)
	token := r.token(Terms{Name: "hv-01", Hardware: "abc123"})
	m := r.machine("ABC123")
	a := m.in(token)
	if a.Site != "osl1" || a.Server != r.dir.Server() || !strings.Contains(a.CA, "CERTIFICATE") {
		t.Errorf("the answer is %+v", a)
	}
	if left := time.Until(a.Expires); left < Lives-time.Minute || left > Lives {
		t.Errorf("it ends at %s", a.Expires)
	}
	m.in(token) // its answer was lost
	h, err := r.dir.Host(m.id)
	if err != nil || h.Name != "hv-01" || h.Key != m.public() || h.Evidence.Serial != "ABC123" || h.By != "enrolment" {
		t.Errorf("it is listed as %+v, %v", h, err)
	}
	if told := r.hasTold(); len(told) > 0 {
		t.Errorf("told is %+v", told)
	}
	// What is kept is no code.
	err = filepath.WalkDir(r.dir.Path(), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(token.Code)) {
			t.Errorf("%s has the code", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCodeThatIsUsedTwiceIsRefusedAndTold(t *testing.T) {
	r := newRig(t)
	token := r.token(Terms{Name: "hv-01", Person: true}) // the other knows no more of it than this one
	first, second := r.machine("A"), r.machine("B")
	if a, err := first.enroll(token); err != nil || a.Waiting == "" {
		t.Fatalf("the first is told %+v, %v", a, err)
	}
	_, err := second.enroll(token)
	r.refused(err, "the code was used before, by host "+first.id.String(), true)
	// The same host with another key, and the same key on other hardware.
	stolen := *first
	stolen.key = second.key
	_, err = stolen.enroll(token)
	r.refused(err, "used before", true)
	moved := *first
	moved.seen = second.seen
	_, err = moved.enroll(token)
	r.refused(err, "on other hardware", true)
	list, err := r.issuer.Requests()
	if err != nil || len(list) != 3 {
		t.Errorf("the list is %+v, %v", list, err)
	}
}

// Of many that come with one code at one time, one is let in.
func TestRaceForOneCode(t *testing.T) {
	r := newRig(t)
	token := r.token(Terms{Hardware: "same"})
	var in sync.Map
	var all sync.WaitGroup
	for range 12 {
		m := r.machine("SAME")
		all.Go(func() {
			if a, err := m.enroll(token); err == nil && a.JWT != "" {
				in.Store(m.id, true)
			}
		})
	}
	all.Wait()
	n := 0
	in.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d were let in", n)
	}
}

func TestCodeThatIsLateIsRefusedAndTold(t *testing.T) {
	r := newRig(t)
	token := r.token(Terms{Hardware: "A", TTL: time.Hour})
	r.pass(time.Hour + time.Second)
	_, err := r.machine("A").enroll(token)
	r.refused(err, "the code is too old", true)
}

func TestCodeOnOtherHardwareIsRefusedAndTold(t *testing.T) {
	r := newRig(t)
	m := r.machine("B")
	_, err := m.enroll(r.token(Terms{Hardware: "A"}))
	r.refused(err, "other hardware", true)
	other := uuid.New()
	_, err = m.enroll(r.token(Terms{Host: other}))
	r.refused(err, "the code is for host "+other.String(), true)
}

func TestStrangerIsRefused(t *testing.T) {
	r := newRig(t)
	token := r.token(Terms{Hardware: "A"})
	guess := token
	guess.Code = "AAAAAAAAAAAAAAAAAAAAAA"
	_, err := r.machine("A").enroll(guess)
	r.refused(err, "no such code", false)

	wrong := token
	wrong.CAHash = strings.Repeat("0", 64)
	if _, err := r.machine("A").enroll(wrong); err == nil || !strings.Contains(err.Error(), "doesn't show the CA that the token names") {
		t.Errorf("another CA: %v", err)
	}
	elsewhere := token
	elsewhere.Issuer = strings.Replace(token.Issuer, "127.0.0.1", "localhost", 1)
	if _, err := r.machine("A").enroll(elsewhere); err == nil || !strings.Contains(err.Error(), "localhost") {
		t.Errorf("another name: %v", err)
	}
	system := token
	system.CAHash = ""
	if _, err := r.machine("A").enroll(system); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a CA that nobody knows: %v", err)
	}
}

// Who has a public key and a code, but not the key, gets nothing.
func TestRequestMustBeSignedByItsKey(t *testing.T) {
	r := newRig(t)
	token := r.token(Terms{Hardware: "A"})
	m, thief := r.machine("A"), r.machine("A")
	client, err := enroll.NewClient(token.Issuer, enroll.Trust{CAHash: token.CAHash})
	if err != nil {
		t.Fatal(err)
	}
	ask := enroll.Request{Code: token.Code, Key: m.public(), Host: m.id, Evidence: m.seen}
	_, err = client.Enroll(t.Context(), ask, thief.key)
	r.refused(err, "isn't signed by the key", false)
	ask.Key = "U" + strings.Repeat("A", 55)
	_, err = client.Enroll(t.Context(), ask, thief.key)
	r.refused(err, "isn't signed by the key", false)
	m.in(token) // nothing of it used the code up
}

// A second enrolment of one identity is never silent: it waits for a person, and is
// told; who is approved ends what the host had.
func TestSecondEnrolmentWaitsAndIsTold(t *testing.T) {
	for name, approve := range map[string]bool{"approved": true, "denied": false} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			first := r.machine("A")
			first.in(r.token(Terms{Hardware: "A"}))
			second := r.machine("A")
			second.id, second.seen = first.id, first.seen
			token := r.token(Terms{Hardware: "A"}) // whatever the token allows
			for range 2 {
				a, err := second.enroll(token)
				if err != nil || a.Waiting == "" {
					t.Fatalf("it is told %+v, %v", a, err)
				}
			}
			if told := r.hasTold(); len(told) != 1 || told[0].Host != first.id || !strings.Contains(told[0].Reason, "has valid credentials since") {
				t.Errorf("told is %+v", told)
			}
			if h, err := r.dir.Host(first.id); err != nil || h.Key != first.public() {
				t.Errorf("it was taken over: %+v, %v", h, err)
			}
			// The decision is made by another process.
			other := Open(r.dir)
			if !approve {
				if _, err := other.Deny(first.id.String()); err != nil {
					t.Fatal(err)
				}
				_, err := second.enroll(token)
				r.refused(err, "somebody has denied it", false)
				if _, err := first.renew(); err != nil {
					t.Errorf("the first is disturbed: %v", err)
				}
				return
			}
			pushed := 0
			r.issuer.Push = func(context.Context) error { pushed++; return nil }
			if _, err := other.Approve(first.id.String()); err != nil {
				t.Fatal(err)
			}
			second.in(token)
			if pushed != 1 {
				t.Errorf("the account was handed to servers %d times", pushed)
			}
			_, err := first.renew()
			r.refused(err, "another key by now", false)
		})
	}
}

func TestHardwareOfAnotherHostWaits(t *testing.T) {
	r := newRig(t)
	first := r.machine("A")
	first.in(r.token(Terms{Hardware: "A"}))
	again := r.machine("A")
	again.seen.SystemUUID = first.seen.SystemUUID // another ID, another machine ID
	if a, err := again.enroll(r.token(Terms{Hardware: "A"})); err != nil || a.Waiting == "" {
		t.Errorf("it is told %+v, %v", a, err)
	}
	if told := r.hasTold(); len(told) != 1 || !strings.Contains(told[0].Reason, "the hardware is that of host "+first.id.String()) {
		t.Errorf("told is %+v", told)
	}
}

func TestNonceHoldsForAMinuteAndIsOurs(t *testing.T) {
	r := newRig(t)
	nonce := r.issuer.nonce()
	if !r.issuer.ours(nonce) || r.issuer.ours(nonce+"A") || r.issuer.ours("") || Open(r.dir).ours(nonce) {
		t.Error("nonces are not told apart")
	}
	r.pass(nonceLives + 2*time.Second)
	if r.issuer.ours(nonce) {
		t.Error("an old nonce is taken")
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	r := newRig(t)
	for name, bad := range map[string]Terms{
		"another site": {Site: "trd1", TTL: time.Hour}, "no name": {Site: "osl1", Name: "*", TTL: time.Hour},
		"no time": {Site: "osl1"}, "too long": {Site: "osl1", TTL: 30 * 24 * time.Hour},
	} {
		if _, _, err := r.issuer.NewToken(r.url, bad); err == nil {
			t.Errorf("%s: it was made", name)
		}
	}
	if _, _, err := r.issuer.NewToken("http://127.0.0.1:1", Terms{Site: "osl1", TTL: time.Hour}); err == nil {
		t.Error("an issuer in the clear was taken")
	}
}

// What anybody may send does nothing but be refused.
func FuzzHandler(f *testing.F) {
	dir, _, err := auth.Init(filepath.Join(f.TempDir(), "auth"),
		auth.Options{Sites: []string{"osl1"}, Sources: []string{"network"}, Names: []string{"127.0.0.1"}})
	if err != nil {
		f.Fatal(err)
	}
	handler := Open(dir).Handler()
	f.Add(enroll.PathEnroll, []byte(`{"code":"x","key":"U","host":"6f1c0000-0000-4000-8000-00000000000a"}`), "AAAA")
	f.Add(enroll.PathRenew, []byte(`{"nonce":"x"}`), "")
	f.Add("/", []byte{0xff}, "\x00")
	f.Fuzz(func(t *testing.T, path string, body []byte, signature string) {
		r, err := http.NewRequest(http.MethodPost, "https://127.0.0.1"+enroll.PathEnroll, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Path = path
		r.Header.Set(enroll.HeaderSignature, signature)
		w := &recorder{header: http.Header{}}
		handler.ServeHTTP(w, r)
		if w.status/100 == 2 && path != enroll.PathNonce {
			t.Errorf("%s is answered by %d %s", path, w.status, w.body.String())
		}
	})
}

type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
