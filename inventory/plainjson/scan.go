package plainjson

import (
	"bytes"
	"encoding/json"
)

// scan is how far a text has been read.
type scan struct {
	text     []byte
	at       int
	depth    int
	elements int
	limits   Limits
	words    words
}

// peek gives the byte that is next, and 0, which begins nothing, at the end.
func (s *scan) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

// next takes a byte if it is what comes.
func (s *scan) next(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.at++
	return true
}

// open begins an object or a list, which close ends.
func (s *scan) open(c byte) bool {
	s.depth++
	s.elements++
	return s.next(c) && s.depth <= s.limits.Depth && s.elements <= s.limits.Elements
}

func (s *scan) close(c byte) bool {
	s.depth--
	return s.next(c)
}

// quoted takes a string, and gives what stands between its quotes. Whether that is
// plain, which is ASCII without escapes, or is to be unquoted, is the second answer.
func (s *scan) quoted() (inside []byte, plain, ok bool) {
	if !s.next('"') {
		return nil, false, false
	}
	text, begin := s.text, s.at
	plain = true
	for i := begin; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			s.at = i + 1
			return text[begin:i], plain, true
		case c == '\\':
			i++
			plain = false
		case c < ' ':
			return nil, false, false
		case c >= 0x80:
			plain = false
		}
	}
	return nil, false, false
}

// unquote reads what stood between quotes and isn't plain.
func unquote(inside []byte) (text string, ok bool) {
	quoted := append(append([]byte{'"'}, inside...), '"')
	return text, json.Unmarshal(quoted, &text) == nil
}

// name takes the name of an object's member and its colon.
func (s *scan) name() ([]byte, bool) {
	name, plain, ok := s.quoted()
	return name, ok && plain && s.next(':')
}

// whole takes a whole number.
func (s *scan) whole() ([]byte, bool) {
	begin := s.at
	s.next('-')
	if !s.digits() {
		return nil, false
	}
	number := s.text[begin:s.at]
	switch c := s.peek(); {
	case c == '.', c == 'e', c == 'E':
		return nil, false
	}
	return number, true
}

// digits takes the digits of a whole number, which begins with 0 only if it is that.
func (s *scan) digits() bool {
	begin := s.at
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.at++
	}
	return s.at == begin+1 || s.at > begin+1 && s.text[begin] != '0'
}

// word takes a bare word: true, false.
func (s *scan) word(w string) bool {
	if len(s.text)-s.at < len(w) || string(s.text[s.at:s.at+len(w)]) != w {
		return false
	}
	s.at += len(w)
	return true
}

// scalar takes a string, a whole number, true or false, and gives its text.
func (s *scan) scalar() ([]byte, bool) {
	begin := s.at
	switch s.peek() {
	case '"':
		inside, plain, ok := s.quoted()
		if !ok || !plain && !json.Valid(s.text[begin:s.at]) {
			return nil, false
		}
		return s.text[begin : begin+len(inside)+2], true
	case 't':
		return s.text[begin:min(begin+4, len(s.text))], s.word("true")
	case 'f':
		return s.text[begin:min(begin+5, len(s.text))], s.word("false")
	}
	return s.whole()
}

// skip takes any value that it knows for well-formed.
func (s *scan) skip() bool {
	switch s.peek() {
	case '{':
		return s.members(func([]byte) bool { return s.skip() })
	case '[':
		return s.list(s.skip)
	}
	if s.word("null") || s.number() {
		return true
	}
	_, ok := s.scalar()
	return ok
}

// number takes a number, whole or not.
func (s *scan) number() bool {
	end := s.at
	for end < len(s.text) && bytes.IndexByte([]byte("+-.0123456789eE"), s.text[end]) >= 0 {
		end++
	}
	if !json.Valid(s.text[s.at:end]) {
		return false
	}
	s.at = end
	return true
}

// members takes an object; member takes the value of each.
func (s *scan) members(member func(name []byte) bool) bool {
	if !s.open('{') {
		return false
	}
	if s.peek() == '}' {
		return s.close('}')
	}
	for {
		name, ok := s.name()
		if !ok || !member(name) {
			return false
		}
		if !s.next(',') {
			return s.close('}')
		}
	}
}

// list takes a list; element takes each of its values.
func (s *scan) list(element func() bool) bool {
	if !s.open('[') {
		return false
	}
	if s.peek() == ']' {
		return s.close(']')
	}
	for {
		if !element() {
			return false
		}
		if !s.next(',') {
			return s.close(']')
		}
		if s.elements++; s.elements > s.limits.Elements {
			return false
		}
	}
}
