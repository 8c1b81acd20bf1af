package enroll

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/nats-io/nkeys"
)

// askWithin is how long an issuer may take to answer.
const askWithin = 20 * time.Second

// Trust says whom a client trusts to be the issuer. With none of both it is who the
// system trusts.
type Trust struct {
	CAFile string // PEM
	CAHash string // SHA-256 of the CA's certificate, hex
}

// Client asks an issuer.
type Client struct {
	issuer string
	http   *http.Client
}

// NewClient makes a client of the issuer at a URL.
func NewClient(issuer string, trust Trust) (*Client, error) {
	if err := CheckIssuer(issuer); err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	switch {
	case trust.CAFile != "":
		pem, err := os.ReadFile(trust.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read CA: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read CA %s: there is no certificate in it", trust.CAFile)
		}
	case trust.CAHash != "":
		// The server sends the CA's certificate, and the hash says that it is the
		// one; then everything is verified as ever.
		config.InsecureSkipVerify = true
		config.VerifyConnection = func(s tls.ConnectionState) error { return verifyByHash(s, trust.CAHash) }
	}
	return &Client{issuer, &http.Client{Timeout: askWithin, Transport: &http.Transport{TLSClientConfig: config, Proxy: http.ProxyFromEnvironment},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// verifyByHash verifies a connection by the CA whose hash is known.
func verifyByHash(s tls.ConnectionState, hash string) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	found := false
	for _, c := range s.PeerCertificates[1:] {
		if sum := sha256.Sum256(c.Raw); c.IsCA && hex.EncodeToString(sum[:]) == hash {
			roots.AddCert(c)
			found = true
			continue
		}
		between.AddCert(c)
	}
	if !found {
		return errors.New("the server doesn't show the CA that the token names: is it another server, or was its CA made anew since?")
	}
	_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: s.ServerName, Roots: roots, Intermediates: between})
	return err
}

// RefusedError is an issuer's no.
type RefusedError struct {
	Status int // of HTTP; see [StatusRevoked]
	Reason string
}

func (e *RefusedError) Error() string { return "the issuer refuses: " + e.Reason }

// Enroll asks for first credentials. An answer that is waiting may be asked for
// again with the same key.
func (c *Client) Enroll(ctx context.Context, r Request, key nkeys.KeyPair) (Answer, error) {
	a, err := c.ask(ctx, PathEnroll, r, key)
	if err != nil {
		return Answer{}, fmt.Errorf("enroll at %s: %w", c.issuer, err)
	}
	return a, nil
}

// Renew asks for next credentials: the key signs a nonce of the issuer's.
func (c *Client) Renew(ctx context.Context, r Renewal, key nkeys.KeyPair) (Answer, error) {
	nonce, err := c.ask(ctx, PathNonce, struct{}{}, nil)
	if err != nil {
		return Answer{}, fmt.Errorf("renew credentials at %s: %w", c.issuer, err)
	}
	r.Nonce = nonce.Nonce
	a, err := c.ask(ctx, PathRenew, r, key)
	if err == nil && a.JWT == "" {
		err = errors.New("the answer holds no credentials")
	}
	if err != nil {
		return Answer{}, fmt.Errorf("renew credentials at %s: %w", c.issuer, err)
	}
	return a, nil
}

// Clock is the issuer's, to the second.
func (c *Client) Clock(ctx context.Context) (time.Time, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, c.issuer, nil)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask %s for the time: %w", c.issuer, err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask %s for the time: %w", c.issuer, err)
	}
	response.Body.Close()
	// Every answer has it, whatever else it says.
	at, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return time.Time{}, fmt.Errorf("ask %s for the time: %w", c.issuer, err)
	}
	return at, nil
}

func (c *Client) ask(ctx context.Context, path string, body any, key nkeys.KeyPair) (Answer, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return Answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.issuer+path, bytes.NewReader(data))
	if err != nil {
		return Answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	if key != nil {
		signature, err := key.Sign(data)
		if err != nil {
			return Answer{}, fmt.Errorf("sign: %w", err)
		}
		request.Header.Set(HeaderSignature, base64.RawURLEncoding.EncodeToString(signature))
	}
	response, err := c.http.Do(request)
	if err != nil {
		if asked, is := errors.AsType[*url.Error](err); is {
			err = asked.Err // whoever calls says where was asked
		}
		return Answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, MaxBody))
	if err != nil {
		return Answer{}, fmt.Errorf("read the answer: %w", err)
	}
	var a Answer
	if err := json.Unmarshal(text, &a); err != nil {
		return Answer{}, fmt.Errorf("it answers %s, and nothing that an issuer says: is there one?", response.Status)
	}
	if response.StatusCode/100 != 2 {
		return Answer{}, &RefusedError{response.StatusCode, a.Error}
	}
	return a, nil
}
