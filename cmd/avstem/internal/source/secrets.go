package source

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
)

// maxTokens bounds a file of tokens.
const maxTokens = 64 << 10

// ReadTokens reads bearer tokens, one a line. Empty lines and those that begin
// with # are none.
func ReadTokens(name string) ([]string, error) {
	text, err := os.ReadFile(name)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read token: %w", err)
	case len(text) > maxTokens:
		return nil, fmt.Errorf("read token: %s is larger than %d bytes: is it the right file?", name, maxTokens)
	}
	tokens, err := parseTokens(string(text))
	if err != nil {
		return nil, fmt.Errorf("read token: %s %w", name, err)
	}
	return tokens, nil
}

func parseTokens(text string) ([]string, error) {
	var tokens []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.ContainsFunc(line, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, fmt.Errorf("holds a line that can't be a token: want letters, digits and signs without spaces")
		}
		tokens = append(tokens, line)
	}
	if len(tokens) == 0 {
		return nil, fmt.Errorf("holds none: write one on a line of its own")
	}
	return tokens, nil
}

// ReadCAs reads certificates in PEM.
func ReadCAs(name string) (*x509.CertPool, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read CAs: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read CAs: %s holds no certificate in PEM", name)
	}
	return pool, nil
}

// ReadKeyPair reads a certificate and its key, both in PEM.
func ReadKeyPair(cert, key string) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("read the certificate in %s with the key in %s: %w", cert, key, err)
	}
	return &pair, nil
}
