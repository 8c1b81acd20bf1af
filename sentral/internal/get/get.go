// Package get is what the sources over HTTP have in common: a client that waits
// for nobody without end, goes nowhere that nobody has named, and says in words
// what went wrong and what to do.
//
// It knows nothing of what is asked for. A client may be used from several
// goroutines.
package get

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Base reads the address of an API. Other than to loopback, plain HTTP is
// refused unless plaintext allows it.
func Base(text string, plaintext bool) (*url.URL, error) {
	base, err := url.Parse(strings.TrimRight(text, "/"))
	switch {
	case err != nil:
		return nil, err
	case base.Scheme != "https" && base.Scheme != "http" || base.Host == "":
		return nil, fmt.Errorf("%q is no address of an API: want https://HOST", text)
	case base.User != nil:
		return nil, fmt.Errorf("%s holds a password: put a token into a file instead, where no list of processes shows it", base.Redacted())
	case base.Scheme == "http" && !plaintext && !isLoopback(base.Hostname()):
		return nil, fmt.Errorf("%s is plain HTTP to another machine, where anybody on the way can read the token and write the inventory: use https", base)
	}
	return base, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// NewClient makes a client that waits for a connection and for the beginning of
// an answer; the rest is for contexts. It follows no redirect: that would take
// the token to where nobody has said that it may go.
func NewClient(config *tls.Config, dial, answer time.Duration) *http.Client {
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dial}).DialContext,
		TLSClientConfig:       config,
		TLSHandshakeTimeout:   dial,
		ResponseHeaderTimeout: answer,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConns:          2,
		ForceAttemptHTTP2:     true,
	}
	refuse := func(r *http.Request, _ []*http.Request) error {
		return fmt.Errorf("it sends on to %s: name that address, if it is the right one", r.URL.Redacted())
	}
	return &http.Client{Transport: transport, CheckRedirect: refuse}
}
