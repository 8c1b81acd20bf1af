package network

import (
	"encoding/json"
	"fmt"
)

// The notation of OVSDB's values, RFC 7047 section 5.1. A set of exactly one
// element may be written as that element alone, and an optional value is a set
// of at most one.

// tagged reads ["TAG", CONTENT], and says false for anything else.
func tagged(raw json.RawMessage) (tag string, content json.RawMessage, ok bool) {
	var pair []json.RawMessage
	if len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &pair) != nil || len(pair) != 2 {
		return "", nil, false
	}
	if json.Unmarshal(pair[0], &tag) != nil {
		return "", nil, false
	}
	return tag, pair[1], true
}

// ovsdbSet reads a set whose elements atom reads.
func ovsdbSet[T any](raw json.RawMessage, atom func(json.RawMessage) (T, error)) ([]T, error) {
	elements := []json.RawMessage{raw}
	if tag, content, ok := tagged(raw); ok && tag == "set" {
		if err := json.Unmarshal(content, &elements); err != nil {
			return nil, fmt.Errorf("decode set: %w", err)
		}
	}
	var values []T
	for _, element := range elements {
		value, err := atom(element)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}

// ovsdbOptional reads a set of at most one element; nil where it is empty.
func ovsdbOptional[T any](raw json.RawMessage, atom func(json.RawMessage) (T, error)) (*T, error) {
	values, err := ovsdbSet(raw, atom)
	switch {
	case err != nil:
		return nil, err
	case len(values) == 0:
		return nil, nil
	case len(values) > 1:
		return nil, fmt.Errorf("decode optional value: it has %d elements", len(values))
	}
	return &values[0], nil
}

// ovsdbMap reads a map from strings to strings.
func ovsdbMap(raw json.RawMessage) (map[string]string, error) {
	tag, content, ok := tagged(raw)
	if !ok || tag != "map" {
		return nil, fmt.Errorf("decode map: %.40q is none", raw)
	}
	var pairs [][]json.RawMessage
	if err := json.Unmarshal(content, &pairs); err != nil {
		return nil, fmt.Errorf("decode map: %w", err)
	}
	if len(pairs) == 0 {
		return nil, nil
	}
	values := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		if len(pair) != 2 {
			return nil, fmt.Errorf("decode map: a pair has %d elements", len(pair))
		}
		key, err := ovsdbString(pair[0])
		if err != nil {
			return nil, err
		}
		if values[key], err = ovsdbString(pair[1]); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// ovsdbUUID reads a reference to a row.
func ovsdbUUID(raw json.RawMessage) (string, error) {
	tag, content, ok := tagged(raw)
	if !ok || tag != "uuid" {
		return "", fmt.Errorf("decode UUID: %.40q is none", raw)
	}
	return ovsdbString(content)
}

func ovsdbString(raw json.RawMessage) (s string, err error) {
	if len(raw) == 0 || raw[0] != '"' { // json.Unmarshal reads null as ""
		return "", fmt.Errorf("decode string: %.40q is none", raw)
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", fmt.Errorf("decode string: %w", err)
	}
	return s, nil
}

func ovsdbInteger(raw json.RawMessage) (n int64, err error) {
	if isNull(raw) {
		return 0, fmt.Errorf("decode integer: %.40q is none", raw)
	}
	if err := json.Unmarshal(raw, &n); err != nil {
		return 0, fmt.Errorf("decode integer: %w", err)
	}
	return n, nil
}
