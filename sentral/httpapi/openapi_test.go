package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/sourcetest"
)

// description is sentral/openapi.yaml with its schemas ready to be held against
// answers.
type description struct {
	paths    map[string]map[string]operation
	compiler *jsonschema.Compiler
	t        *testing.T
}

type operation struct {
	Responses map[string]struct {
		Ref     string                          `yaml:"$ref"`
		Content map[string]struct{ Schema any } `yaml:"content"`
	} `yaml:"responses"`
}

const base = "https://sentral.example.net/"

func readDescription(t *testing.T) *description {
	t.Helper()
	var typed struct {
		OpenAPI string
		Paths   map[string]map[string]operation
	}
	var plain any
	if err := yaml.Unmarshal(sentral.OpenAPI(), &typed); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(sentral.OpenAPI(), &plain); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(plain)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(typed.OpenAPI, "3.1") {
		t.Errorf("it is OpenAPI %s", typed.OpenAPI)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	for name, text := range map[string][]byte{"openapi.yaml": text, "schema.json": sentral.Schema()} {
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if object, ok := document.(map[string]any); ok {
			delete(object, "$id") // it stands beside the description, and is found there
		}
		if err := compiler.AddResource(base+name, document); err != nil {
			t.Fatal(err)
		}
	}
	return &description{typed.Paths, compiler, t}
}

// answered holds an answer against the description.
func (d *description) answered(r *http.Request, got *httptest.ResponseRecorder) {
	d.t.Helper()
	operation, described := d.paths[r.URL.Path][strings.ToLower(r.Method)]
	response, listed := operation.Responses[strconv.Itoa(got.Code)]
	what := r.Method + " " + r.URL.String()
	if !described || !listed {
		d.t.Errorf("%s: %d is not described", what, got.Code)
		return
	}
	kind, body := got.Header().Get("Content-Type"), got.Body.Bytes()
	pointer := ""
	switch {
	case response.Ref != "":
		pointer = "#/components/schemas/Failure"
		if kind != "application/problem+json" {
			d.t.Errorf("%s: %d is %q", what, got.Code, kind)
		}
	case len(response.Content) == 0:
		if len(body) > 0 {
			d.t.Errorf("%s: %d has a body", what, got.Code)
		}
		return
	default:
		content, known := response.Content[kind]
		if !known {
			d.t.Errorf("%s: the type %q is not described", what, kind)
			return
		}
		schema, _ := content.Schema.(map[string]any)
		pointer, _ = schema["$ref"].(string)
	}
	if pointer == "" {
		return
	}
	schema, err := d.compiler.Compile(base + "openapi.yaml" + pointer)
	if err != nil {
		d.t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		d.t.Errorf("%s: %v", what, err)
		return
	}
	if err := schema.Validate(value); err != nil {
		d.t.Errorf("%s: %v\n%s", what, err, body)
	}
}

// TestServerIsAsDescribed asks for everything that is described, in every way
// that gives another answer, and holds the answers to the description.
func TestServerIsAsDescribed(t *testing.T) {
	d := readDescription(t)
	server := NewServer(Options{Tokens: func() ([]string, error) { return []string{"secret", "other"}, nil }})
	seen := map[string]map[int]bool{}
	ask := func(target, token string, header ...string) *httptest.ResponseRecorder {
		t.Helper()
		r := httptest.NewRequest(http.MethodGet, target, nil)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		recorder := httptest.NewRecorder()
		server.ServeHTTP(recorder, r)
		d.answered(r, recorder)
		if seen[r.URL.Path] == nil {
			seen[r.URL.Path] = map[int]bool{}
		}
		seen[r.URL.Path][recorder.Code] = true
		return recorder
	}
	ask("/healthz", "")
	ask(inventoryPath, "secret")
	inv := sourcetest.Everything(t).Inventory(t)
	inv.Version, inv.ReadAt, inv.Incomplete = "1", time.Now(), true
	inv.LeftOut = []sentral.LeftOut{{Type: "vm", ID: "x"}}
	inv.Problems = []sentral.Problem{{Where: "a.yaml:1:1", Record: "vm x", Name: "vm web", Key: "vcpus", Error: "is bad", Duplicate: true}}
	server.Set(inv)
	ask("/healthz", "")
	ask("/v1/openapi.yaml", "")
	ask("/v1/schema.json", "")
	ask(inventoryPath, "")
	ask(inventoryPath, "wrong")
	ask(inventoryPath+"?limit=none", "other")
	ask(inventoryPath+"?page=none", "secret")
	ask(inventoryPath+"?page="+pageToken{"gone", 1}.String(), "secret")
	first := ask(inventoryPath+"?limit=4", "secret")
	if got := ask(inventoryPath+"?limit=4", "secret", "If-None-Match", `"x", W/`+first.Header().Get("ETag")); got.Code != http.StatusNotModified {
		t.Errorf("with its ETag: %d", got.Code)
	}
	pages := 1
	for next := first; ; pages++ {
		var p page
		if err := json.Unmarshal(next.Body.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		if p.Next == "" {
			break
		}
		next = ask(inventoryPath+"?limit=4&page="+p.Next, "secret")
	}
	if pages != 3 {
		t.Errorf("%d pages of four, want 3", pages)
	}
	ask(eventsPath, "wrong")
	for path, operations := range d.paths {
		if seen[path] == nil && path != eventsPath {
			t.Errorf("%s was not asked for", path)
		}
		for status := range operations["get"].Responses {
			// The reference server forbids nothing to a token that it knows.
			if code, _ := strconv.Atoi(status); code != http.StatusForbidden && !seen[path][code] && path != eventsPath {
				t.Errorf("%s: nothing was answered with %s", path, status)
			}
		}
	}
}
