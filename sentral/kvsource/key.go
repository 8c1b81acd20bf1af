package kvsource

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dataverket/avstem/sentral"
)

// markerKey is the key of the marker; it has no dot, as each record's has.
const markerKey = "load"

// Schema names the version of keys and marker. A reader refuses another.
const Schema = "avstem.sentral/v1"

// CheckBucket says whether a bucket may be called so.
func CheckBucket(name string) error {
	if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
		return fmt.Errorf("%q can't be a KV bucket's name: want letters, digits, - and _", name)
	}
	return nil
}

// kinds are the kinds of records by the first part of their keys, with the list
// of a document that each stands in and a blank of it.
var kinds = map[string]struct {
	list  string
	parts int // of the ID
	blank func(id []string) any
}{
	"site":          {"sites", 1, func(id []string) any { return &sentral.Site{ID: id[0]} }},
	"failureDomain": {"failureDomains", 1, func(id []string) any { return &sentral.FailureDomain{ID: id[0]} }},
	"project":       {"projects", 2, func(id []string) any { return &sentral.Project{Tenant: id[0], ID: id[1]} }},
	"image":         {"images", 2, func(id []string) any { return &sentral.Image{ID: id[0], Version: id[1]} }},
	"network":       {"networks", 1, func(id []string) any { return &sentral.Network{ID: id[0]} }},
	"host":          {"hosts", 1, func(id []string) any { return &sentral.Host{ID: id[0]} }},
	"vm":            {"vms", 1, func(id []string) any { return &sentral.VM{ID: id[0]} }},
}

// keyOf is a record's key: its kind and the parts of its ID, with dots between.
func keyOf(value any) string {
	switch v := value.(type) {
	case *sentral.Site:
		return key("site", v.ID)
	case *sentral.FailureDomain:
		return key("failureDomain", v.ID)
	case *sentral.Project:
		return key("project", v.Tenant, v.ID)
	case *sentral.Image:
		return key("image", v.ID, v.Version)
	case *sentral.Network:
		return key("network", v.ID)
	case *sentral.Host:
		return key("host", v.ID)
	case *sentral.VM:
		return key("vm", v.ID)
	}
	panic(fmt.Sprintf("kvsource: a record of type %T", value))
}

func key(kind string, id ...string) string {
	for _, part := range id {
		kind += "." + encode(part)
	}
	return kind
}

// encode writes a part of an ID so that it can stand in a key: what isn't a
// letter, a digit, - or _ becomes =XX, byte by byte.
func encode(part string) string {
	var b strings.Builder
	for i := range len(part) {
		c := part[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

// parseKey takes a record's key apart. Only the one way to write an ID is taken,
// so that no record has two keys.
func parseKey(text string) (kind string, id []string, err error) {
	parts := strings.Split(text, ".")
	k, known := kinds[parts[0]]
	if !known || len(parts) != k.parts+1 {
		return "", nil, fmt.Errorf("%q is no key of a record: want KIND.ID", text)
	}
	for _, part := range parts[1:] {
		decoded, err := decode(part)
		if err != nil || decoded == "" || encode(decoded) != part {
			return "", nil, fmt.Errorf("%q is no key of a record: %q is no ID as keys have it", text, part)
		}
		id = append(id, decoded)
	}
	return parts[0], id, nil
}

func decode(part string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(part); i++ {
		if part[i] != '=' {
			b.WriteByte(part[i])
			continue
		}
		if i+2 >= len(part) {
			return "", strconv.ErrSyntax
		}
		n, err := strconv.ParseUint(part[i+1:i+3], 16, 8)
		if err != nil {
			return "", err
		}
		b.WriteByte(byte(n))
		i += 2
	}
	return b.String(), nil
}

// marker is the value of the marker's key.
type marker struct {
	Schema string `json:"schema"`
	// State is loading or complete.
	State string `json:"state"`
	// Load names this load, By who makes it, and Began when it began.
	Load  string    `json:"load"`
	By    string    `json:"by,omitempty"`
	Began time.Time `json:"began,omitzero"`
	// Records counts the records at the end of the load.
	Records int `json:"records"`
}

const (
	stateLoading  = "loading"
	stateComplete = "complete"
)

func parseMarker(value []byte) (*marker, error) {
	var m marker
	if err := json.Unmarshal(value, &m); err != nil {
		return nil, fmt.Errorf("the value of %s is no marker: %w", markerKey, err)
	}
	switch {
	case m.Schema != Schema:
		return nil, fmt.Errorf("the marker has the schema %.80q, and this avstem knows %q: whoever loads the bucket and avstem are of different ages", m.Schema, Schema)
	case m.State != stateLoading && m.State != stateComplete:
		return nil, fmt.Errorf("the marker has the state %.80q: want %s or %s", m.State, stateLoading, stateComplete)
	}
	return &m, nil
}
