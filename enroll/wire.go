package enroll

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/agent/hostid"
)

// Where an issuer is asked, and the header that carries the signature over the
// request's body by the key that is in it.
const (
	PathEnroll      = "/v1/enroll"
	PathNonce       = "/v1/nonce"
	PathRenew       = "/v1/renew"
	HeaderSignature = "Avstem-Signature"
	// MaxBody is the largest request, in bytes.
	MaxBody = 64 << 10
	// StatusRevoked is that of a refusal of the key that signed the request, for good.
	StatusRevoked = http.StatusGone
)

// Request asks for a host's first credentials.
type Request struct {
	Code     string          `json:"code"`
	Key      string          `json:"key"` // public
	Host     uuid.UUID       `json:"host"`
	Hostname string          `json:"hostname,omitempty"` // for who decides
	Evidence hostid.Evidence `json:"evidence"`
}

// Renewal asks for a host's next credentials.
type Renewal struct {
	Nonce    string          `json:"nonce"` // as it was given
	Key      string          `json:"key"`
	Host     uuid.UUID       `json:"host"`
	Evidence hostid.Evidence `json:"evidence"`
}

// Answer is an issuer's. Of JWT, Waiting and Error it has one.
type Answer struct {
	JWT     string    `json:"jwt,omitempty"`
	Site    string    `json:"site,omitempty"`
	Server  string    `json:"server,omitempty"` // URL of NATS
	CA      string    `json:"ca,omitempty"`     // PEM, of who is to be trusted; "" for the system's
	Issued  time.Time `json:"issued,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	// Waiting is the request's ID, for a person to approve.
	Waiting string `json:"waiting,omitempty"`
	Error   string `json:"error,omitempty"`
	Nonce   string `json:"nonce,omitempty"`
}

// Token is what an operator hands to a host: where the issuer is, whom to trust for
// it, and the code.
type Token struct {
	Issuer string `json:"i"`           // URL, https
	CAHash string `json:"h,omitempty"` // SHA-256 of the CA's certificate, hex; "" for the system's CAs
	Code   string `json:"c"`
}

const tokenPrefix = "avstem1."

// String is the token as one word.
func (t Token) String() string {
	data, err := json.Marshal(t)
	if err != nil { // strings only
		panic(err)
	}
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(data)
}

// ParseToken reads a token.
func ParseToken(text string) (Token, error) {
	rest, ours := strings.CutPrefix(strings.TrimSpace(text), tokenPrefix)
	if !ours || len(rest) > 2048 {
		return Token{}, errors.New("read token: it is none of `avstem enroll token`: was it copied whole?")
	}
	data, err := base64.RawURLEncoding.DecodeString(rest)
	var t Token
	if err == nil {
		err = json.Unmarshal(data, &t)
	}
	if err != nil {
		return Token{}, errors.New("read token: it is damaged: was it copied whole?")
	}
	if err := CheckIssuer(t.Issuer); err != nil {
		return Token{}, fmt.Errorf("read token: %w", err)
	}
	if hash, err := hex.DecodeString(t.CAHash); err != nil || (len(hash) != 0 && len(hash) != 32) {
		return Token{}, errors.New("read token: it has no proper hash of a CA")
	}
	if t.Code == "" {
		return Token{}, errors.New("read token: it has no code")
	}
	return t, nil
}

// CheckIssuer refuses what is no HTTPS URL of a host.
func CheckIssuer(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" || u.User != nil {
		return fmt.Errorf("issuer %q is not https://HOST:PORT", text)
	}
	return nil
}
