package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
)

// scrubbed stands where a credential stood.
const scrubbed = "(scrubbed)"

var (
	// userinfo is what stands before the host of a URL: user:password@, or a token@.
	userinfo = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^/\s@"'<>]+@`)
	// secret is a word for one with its value: key=…, "password": "…", passwd='…', <password>…
	secret = regexp.MustCompile(`(?i)((?:^|[^a-z0-9])(?:pass(?:wor|phrase|w)?d?|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|auth[_-]?key|key|credentials?|cookie)["']?\s*[=:>]\s*["']?)([^\s"'&,;<>:/]{3,}[^\s"'&,;<>]*)`)
	// bearer is an HTTP header's.
	bearer = regexp.MustCompile(`(?i)\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{8,}`)
	// pem is a private key as files have it, and seed one of NATS (nkeys).
	pem  = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`)
	seed = regexp.MustCompile(`\bS[ACNOUX][A-Z2-7]{56}\b`)
	jwt  = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`)
)

// scrubText takes credentials out of a text.
func scrubText(s string) string {
	s = pem.ReplaceAllString(s, scrubbed)
	s = seed.ReplaceAllString(s, scrubbed)
	s = jwt.ReplaceAllString(s, scrubbed)
	s = userinfo.ReplaceAllString(s, "${1}"+scrubbed+"@")
	s = bearer.ReplaceAllString(s, "${1}${2}"+scrubbed)
	return secret.ReplaceAllString(s, "${1}"+scrubbed)
}

// scrub takes credentials out of every text of a JSON value, and counts the texts
// that had any.
func scrub(text []byte) (clean []byte, n int, err error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return nil, 0, fmt.Errorf("scrub: %w", err)
	}
	value = scrubValue(value, &n)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(value); err != nil {
		return nil, 0, fmt.Errorf("scrub: %w", err)
	}
	return b.Bytes(), n, nil
}

func scrubValue(value any, n *int) any {
	switch value := value.(type) {
	case string:
		clean := scrubText(value)
		if clean != value {
			*n++
		}
		return clean
	case []any:
		for i := range value {
			value[i] = scrubValue(value[i], n)
		}
		return value
	case map[string]any:
		for name, inner := range value {
			value[name] = scrubValue(inner, n)
		}
		return value
	}
	return value
}
