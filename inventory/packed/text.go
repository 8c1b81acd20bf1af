package packed

import "unsafe"

// word is a string. What it begins with as the last one did isn't written, and
// hexadecimal digits are by half a byte each.
type word struct{}

func (word) of(v unsafe.Pointer) string {
	if v == nil {
		return ""
	}
	return *(*string)(v)
}

func (c word) put(w *writer, v, last unsafe.Pointer) { w.text(*(*string)(v), c.of(last)) }
func (c word) get(r *reader, v, last unsafe.Pointer) { *(*string)(v) = r.text(c.of(last)) }
func (word) same(a, b unsafe.Pointer) bool           { return *(*string)(a) == *(*string)(b) }

// How a text goes on where the last one ended to be the same. It has so many bytes or
// digits, or is a whole one with the digits of a pattern.
const (
	asBytes = iota
	asDigits
	asPattern
	forms
)

// patterns are those of a UUID and of a MAC. x is a digit.
var patterns = [...]string{"xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", "xx:xx:xx:xx:xx:xx"}

func (w *writer) text(s, last string) {
	for i, pattern := range patterns {
		if isLike(s, pattern) {
			w.number(uint64(i)*forms + asPattern)
			w.digits(s)
			return
		}
	}
	same := 0
	for same < min(len(s), len(last)) && s[same] == last[same] {
		same++
	}
	rest := s[same:]
	form := uint64(asBytes)
	if areDigits(rest) {
		form = asDigits
	}
	w.number(uint64(len(rest))*forms + form)
	w.number(uint64(same))
	if form == asDigits {
		w.digits(rest)
	} else {
		w.out = append(w.out, rest...)
	}
}

// text gives a string of its own memory.
func (r *reader) text(last string) string {
	var room [128]byte
	s := room[:0]
	head := r.number()
	n := int(head / forms)
	if head%forms == asPattern {
		digits := 0
		for _, c := range []byte(patterns[n]) {
			if c == 'x' {
				c = r.digit(digits)
				digits++
			}
			s = append(s, c)
		}
		r.at += (digits + 1) / 2
		return string(s)
	}
	s = append(s, last[:r.number()]...)
	if head%forms == asBytes {
		return string(append(s, r.take(n)...))
	}
	for i := range n {
		s = append(s, r.digit(i))
	}
	r.at += (n + 1) / 2
	return string(s)
}

const hexadecimal = "0123456789abcdef"

func isDigit(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' }

func areDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

func isLike(s, pattern string) bool {
	if len(s) != len(pattern) {
		return false
	}
	for i := range len(s) {
		if pattern[i] == 'x' && !isDigit(s[i]) || pattern[i] != 'x' && s[i] != pattern[i] {
			return false
		}
	}
	return true
}

// digits writes those of a text, and not what is between them.
func (w *writer) digits(s string) {
	n := 0
	for i := range len(s) {
		d := s[i] - '0'
		if s[i] >= 'a' {
			d = s[i] - 'a' + 10
		}
		switch {
		case !isDigit(s[i]):
			continue
		case n%2 == 0:
			w.out = append(w.out, d<<4)
		default:
			w.out[len(w.out)-1] |= d
		}
		n++
	}
}

// digit is the one of a number from here.
func (r *reader) digit(n int) byte {
	return hexadecimal[r.packed[r.at+n/2]>>(4*(1-n%2))&0xf]
}
