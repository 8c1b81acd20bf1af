package capture

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"regexp"
	"slices"
	"strings"
)

// scrubber puts made-up values in the place of those that tell which host this
// is: the same one for the same value wherever it stands, file names too, so that
// what belongs together still does. The key is of one capture and kept nowhere.
type scrubber struct {
	key     []byte
	secrets map[string]string
}

func newScrubber() *scrubber {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return &scrubber{key, map[string]string{}}
}

var (
	macForm  = regexp.MustCompile(`\b[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}\b`)
	uuidForm = regexp.MustCompile(`\b[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}\b`)
	hexID    = regexp.MustCompile(`\b(0x)?[0-9a-f]{16,40}\b`) // WWNs
	lvmID    = regexp.MustCompile(`\bLVM-[A-Za-z0-9]{32,64}`)
)

// learn makes a value secret, unless it is a placeholder. Of a WWN's several words
// (t10) the last one is the serial.
func (s *scrubber) learn(value string) {
	words := strings.Fields(value)
	if len(words) == 0 {
		return
	}
	value = words[len(words)-1]
	for _, form := range []string{"naa.", "eui.", "uuid.", "nvme."} {
		value = strings.TrimPrefix(value, form)
	}
	if len(value) < 4 || s.secrets[value] != "" || strings.Trim(value, "0fFxX-.") == "" {
		return
	}
	s.secrets[value] = s.like(value)
}

// like makes a value up of the same form: digits for digits, letters for letters,
// and hexadecimal ones where it has no other.
func (s *scrubber) like(value string) string {
	if digits, found := strings.CutPrefix(value, "0x"); found {
		return "0x" + s.like(digits)
	}
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(strings.ToLower(value)))
	sum := mac.Sum(nil)
	out := []byte(value)
	letters := byte(26)
	if strings.Trim(strings.ToLower(value), "0123456789abcdef-:.") == "" {
		letters = 6
	}
	for i, c := range out {
		n := sum[i%len(sum)] + byte(i/len(sum))
		switch {
		case c >= '0' && c <= '9':
			out[i] = '0' + n%10
		case c >= 'a' && c <= 'z':
			out[i] = 'a' + n%letters
		case c >= 'A' && c <= 'Z':
			out[i] = 'A' + n%letters
		}
	}
	return string(out)
}

// scrub replaces secrets first, the longest first, then whatever has the form of
// an identifier. The maker's half of a MAC stays, and what is no identifier.
func (s *scrubber) scrub(text string) string {
	words := make([]string, 0, len(s.secrets))
	for word := range s.secrets {
		words = append(words, word)
	}
	slices.SortFunc(words, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	pairs := make([]string, 0, 2*len(words))
	for _, word := range words {
		pairs = append(pairs, word, s.secrets[word])
	}
	text = strings.NewReplacer(pairs...).Replace(text)
	text = macForm.ReplaceAllStringFunc(text, func(m string) string {
		if strings.Trim(m, "0:") == "" || strings.Trim(strings.ToLower(m), "f:") == "" {
			return m
		}
		return m[:9] + s.like(m)[9:]
	})
	text = uuidForm.ReplaceAllStringFunc(text, s.like)
	text = lvmID.ReplaceAllStringFunc(text, func(id string) string { return id[:4] + s.like(id[4:]) })
	return hexID.ReplaceAllStringFunc(text, s.like)
}
