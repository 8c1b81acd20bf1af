package issuer

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nkeys"

	"github.com/dataverket/avstem/enroll"
)

const (
	// atOnce is how many requests are looked at at one time; more are told to come again.
	atOnce = 16
	// nonceLives is how long a nonce may be signed.
	nonceLives = time.Minute
)

// Handler answers hosts. It is to be served over TLS.
func (i *Issuer) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+enroll.PathEnroll, func(w http.ResponseWriter, r *http.Request) {
		var ask enroll.Request
		answer(i, w, r, &ask, func() (string, uuid.UUID) { return ask.Key, ask.Host }, func(ctx context.Context) (enroll.Answer, error) {
			from, _, _ := net.SplitHostPort(r.RemoteAddr)
			return i.enroll(ctx, ask, from)
		})
	})
	mux.HandleFunc("POST "+enroll.PathNonce, func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, enroll.Answer{Nonce: i.nonce()})
	})
	mux.HandleFunc("POST "+enroll.PathRenew, func(w http.ResponseWriter, r *http.Request) {
		var ask enroll.Renewal
		answer(i, w, r, &ask, func() (string, uuid.UUID) { return ask.Key, ask.Host }, func(ctx context.Context) (enroll.Answer, error) {
			if !i.ours(ask.Nonce) {
				return enroll.Answer{}, &no{http.StatusConflict, "the nonce is too old, or of another start of the issuer: ask for another", false}
			}
			return i.renew(ctx, ask)
		})
	})
	slots := make(chan struct{}, atOnce)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			mux.ServeHTTP(w, r)
		default:
			w.Header().Set("Retry-After", "5")
			reply(w, http.StatusServiceUnavailable, enroll.Answer{Error: "too many ask at one time: come again"})
		}
	})
}

// answer reads a request, sees that it was signed by the key that is in it, and
// writes what is decided about it.
func answer(i *Issuer, w http.ResponseWriter, r *http.Request, ask any, who func() (string, uuid.UUID), decide func(context.Context) (enroll.Answer, error)) {
	var body bytes.Buffer
	if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, enroll.MaxBody)); err != nil {
		reply(w, http.StatusRequestEntityTooLarge, enroll.Answer{Error: "the request can't be read, or is too large"})
		return
	}
	if err := json.Unmarshal(body.Bytes(), ask); err != nil {
		reply(w, http.StatusBadRequest, enroll.Answer{Error: "the request is no JSON of an agent's"})
		return
	}
	key, host := who()
	if !signed(body.Bytes(), key, r.Header.Get(enroll.HeaderSignature)) {
		reply(w, http.StatusBadRequest, enroll.Answer{Error: "the request isn't signed by the key that is in it"})
		return
	}
	if host == uuid.Nil {
		reply(w, http.StatusBadRequest, enroll.Answer{Error: "the request names no host"})
		return
	}
	a, err := decide(r.Context())
	refused, isRefused := errors.AsType[*no](err)
	switch {
	case isRefused:
		reply(w, refused.status, enroll.Answer{Error: refused.reason})
	case err != nil:
		i.Log.Error("an enrolment can't be decided", "host", host, "err", err)
		reply(w, http.StatusInternalServerError, enroll.Answer{Error: "the issuer can't decide now: see its log"})
	case a.Waiting != "":
		reply(w, http.StatusAccepted, a)
	default:
		reply(w, http.StatusOK, a)
	}
}

func reply(w http.ResponseWriter, status int, a enroll.Answer) {
	data, err := json.Marshal(a)
	if err != nil { // strings and times
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(data) // who hangs up asks again
}

func signed(body []byte, key, signature string) bool {
	if !nkeys.IsValidPublicUserKey(key) {
		return false
	}
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		return false
	}
	public, err := nkeys.FromPublicKey(key)
	return err == nil && public.Verify(body, raw) == nil
}

// nonce is a time and chance, with our mark on it, so that none has to be remembered.
func (i *Issuer) nonce() string {
	text := make([]byte, 16, 16+sha256.Size)
	_, _ = rand.Read(text) // never fails (crypto/rand)
	binary.BigEndian.PutUint64(text, uint64(i.now().Unix()))
	return base64.RawURLEncoding.EncodeToString(append(text, i.mark(text)...))
}

func (i *Issuer) mark(text []byte) []byte {
	h := hmac.New(sha256.New, i.secret)
	h.Write(text)
	return h.Sum(nil)
}

// ours says whether a nonce is of this issuer, and new.
func (i *Issuer) ours(nonce string) bool {
	raw, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(raw) != 16+sha256.Size || !hmac.Equal(raw[16:], i.mark(raw[:16])) {
		return false
	}
	age := i.now().Sub(time.Unix(int64(binary.BigEndian.Uint64(raw)), 0))
	return age >= -time.Second && age <= nonceLives
}
