package get

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"unicode"
)

// maxFailure bounds what is read of an answer that is none.
const maxFailure = 16 << 10

// Explain says what stands behind an error of net/http, and what to do.
func Explain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // the address is said already
	}
	if broken, ok := errors.AsType[*net.OpError](err); ok && broken.Source != nil {
		bare := *broken // our port is another one each time, which would make each time news
		bare.Source = nil
		before, _, _ := strings.Cut(err.Error(), broken.Error())
		err = fmt.Errorf("%s%w", before, &bare)
	}
	if expired, ok := errors.AsType[x509.CertificateInvalidError](err); ok && expired.Reason == x509.Expired {
		return fmt.Errorf("the server's certificate is not valid now (%s to %s): renew it, or set this machine's clock", expired.Cert.NotBefore.Format("2006-01-02 15:04"), expired.Cert.NotAfter.Format("2006-01-02 15:04 MST"))
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Errorf("%w: name the CA that signed it", err)
	}
	if strings.Contains(err.Error(), "remote error: tls: ") { // crypto/tls has no type for it
		return fmt.Errorf("the server ends the handshake: %w: does it want another client certificate, or is that expired?", err)
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || strings.Contains(err.Error(), "HTTP response to HTTPS client") {
		return fmt.Errorf("the server doesn't speak TLS: is it http:// that is meant, or another port?")
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: is the server running, and is the port right?", err)
	case strings.Contains(err.Error(), "timeout awaiting response headers"):
		return fmt.Errorf("no answer began in time: is the server overloaded?")
	}
	return err
}

// Refusal makes an error of an answer that has another status than it should.
// What is the API that was asked, and path what was asked of it, for people.
func Refusal(response *http.Response, what, path string) error {
	says := response.Status
	var f struct{ Detail string }
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxFailure)) // the status says enough
	if json.Unmarshal(body, &f) == nil && f.Detail != "" {
		says += ": " + Printable(f.Detail)
	}
	switch response.StatusCode {
	case http.StatusUnauthorized:
		return fmt.Errorf("%s (give a token that the server knows)", says)
	case http.StatusForbidden:
		return fmt.Errorf("%s (the token is known, and may not read the inventory)", says)
	case http.StatusNotFound:
		return fmt.Errorf("%s (is this the address of %s? It is asked for %s below it)", says, what, path)
	}
	return errors.New(says)
}

// Printable keeps another's words from acting on a terminal, and short.
func Printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	return Cut(s, 300)
}

// Cut shortens what nobody would read to the end, to n characters.
func Cut(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n]) + "…"
	}
	return s
}
