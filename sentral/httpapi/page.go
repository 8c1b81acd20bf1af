package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dataverket/avstem/sentral"
)

// Schema names the version of the API's answers. A client refuses another.
const Schema = "avstem.sentral/v1"

// The paths of the API, below the server's URL.
const (
	inventoryPath = "/v1/inventory"
	eventsPath    = "/v1/events"
)

// page is one answer of GET /v1/inventory. Sizes of pages are the server's choice.
type page struct {
	Schema string `json:"schema"`
	// Version is that of the whole: it changes when anything here does.
	Version string `json:"version"`
	// ReadAt is when the server read the inventory itself.
	ReadAt time.Time `json:"readAt,omitzero"`
	// Total counts the records of all pages, those that were left out apart.
	Total *int `json:"total"`
	// Next is the token of the page that follows, "" on the last.
	Next string `json:"next,omitempty"`
	// Inventory is a document as a file is (schema.json).
	Inventory json.RawMessage `json:"inventory"`

	// These are on the first page, where the server has something to say.

	Problems   []sentral.Problem `json:"problems,omitempty"`
	LeftOut    []sentral.LeftOut `json:"leftOut,omitempty"`
	Incomplete bool              `json:"incomplete,omitempty"`
	// Stale is why the server has no newer inventory than this.
	Stale string `json:"stale,omitempty"`
}

// failure is the body of an answer that is none (RFC 9457).
type failure struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// event is the data of a server-sent event.
type event struct {
	Version string `json:"version"`
}

// pageToken says where a page begins, and in which version.
type pageToken struct {
	version string
	offset  int
}

func (t pageToken) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(t.offset) + " " + t.version))
}

func parsePageToken(s string) (pageToken, error) {
	text, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return pageToken{}, fmt.Errorf("%q is no page token", s)
	}
	digits, version, _ := strings.Cut(string(text), " ")
	offset, err := strconv.Atoi(digits)
	if err != nil || offset < 0 || version == "" {
		return pageToken{}, fmt.Errorf("%q is no page token", s)
	}
	return pageToken{version, offset}, nil
}
