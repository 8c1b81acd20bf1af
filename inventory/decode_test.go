package inventory

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

const (
	first  = `{"schema":"avstem.observation/v1","source":"network","gen":1}`
	second = `{"schema":"avstem.observation/v1.2","source":"storage","gen":2,"newer":{"a":[1,2]},"vms":null}`
)

func TestDecodeObservations(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"nothing":               {"", nil},
		"white space":           {" \n\t", nil},
		"one":                   {first, []string{"network"}},
		"several":               {first + second + "\n" + first, []string{"network", "storage", "network"}},
		"lines":                 {first + "\n" + second + "\n", []string{"network", "storage"}},
		"list":                  {"[" + first + " , \n" + second + "]", []string{"network", "storage"}},
		"empty list":            {"[]", nil},
		"lists and documents":   {"[" + first + "]" + second + "[" + second + "," + first + "]", []string{"network", "storage", "storage", "network"}},
		"brackets in a text":    {`{"schema":"avstem.observation/v1","source":"a\"[[[{{{\\"}`, []string{`a"[[[{{{\`}},
		"the same document ten": {"[" + strings.Repeat(first+",", 9) + first + "]", strings.Fields(strings.Repeat("network ", 10))},
	} {
		t.Run(name, func(t *testing.T) {
			read, err := DecodeObservations(iotest.OneByteReader(strings.NewReader(tt.text)), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, o := range read {
				got = append(got, o.Source)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("sources (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	deep := func(n int) string {
		return `{"schema":"avstem.observation/v1","x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}"
	}
	for name, tt := range map[string]struct{ text, wants string }{
		"cut short":               {first + first[:20], "decode observation 2, at byte 61: unexpected EOF"},
		"no JSON":                 {"hello", "decode observation 1, at byte 0: invalid character"},
		"number":                  {"7", "want an object"},
		"null":                    {"null", "want an object"},
		"list in a list":          {"[[" + first + "]]", "want an object"},
		"null in a list":          {"[" + first + ",null]", "decode observation 2, at byte 63: want an object"},
		"no schema":               {"{}", "is not avstem.observation/v1"},
		"other schema":            {`{"schema":"avstem.finding/v1"}`, "is not avstem.observation/v1"},
		"newer schema":            {first + ` {"schema":"avstem.observation/v2","epoch":"text"}`, "decode observation 2, at byte 62: schema \"avstem.observation/v2\" is newer"},
		"position in a list":      {"[" + first + ", {}]", "decode observation 2, at byte 64"},
		"wrong type":              {`{"schema":"avstem.observation/v1","epoch":"one"}`, "epoch"},
		"bad value":               {`{"schema":"avstem.observation/v1","vms":[{"nics":[{"vlan":5000}]}]}`, "5000 is not a VLAN ID"},
		"end of a list missing":   {"[" + first, "unexpected EOF"},
		"comma instead of a list": {first + "," + first, "invalid character ','"},
		"deeper than a document":  {deep(40), "nested more than 33 deep"},
		"absurdly deep":           {deep(20000), "exceeded max depth"},
		"too many elements":       {`{"schema":"avstem.observation/v1","vms":[` + strings.Repeat("{},", MaxElements) + "{}]}", "more than 500000 elements"},
		"too many nulls":          {`{"schema":"avstem.observation/v1","vms":[` + strings.Repeat("null,", MaxElements+1) + "null]}", "more than 500000 elements"},
	} {
		t.Run(name, func(t *testing.T) {
			read, err := DecodeObservations(strings.NewReader(tt.text), 1<<24)
			if err == nil || !strings.Contains(err.Error(), tt.wants) {
				t.Errorf("read %d, error %.200v: want %q", len(read), err, tt.wants)
			}
		})
	}
}

func TestDecodeLimit(t *testing.T) {
	if read, err := DecodeObservations(strings.NewReader(first), int64(len(first))); err != nil || len(read) != 1 {
		t.Errorf("a document of just the limit: %d, %v", len(read), err)
	}
	for _, text := range []string{first + " ", first + first, `{"schema":"` + strings.Repeat("x", 1000)} {
		if _, err := DecodeObservations(strings.NewReader(text), int64(len(first))); err == nil || !strings.Contains(err.Error(), "more than 61 bytes") {
			t.Errorf("%.80s: %v, want it to say that the limit is passed", text, err)
		}
	}
	torn := errors.New("connection reset")
	if _, err := DecodeObservations(io.MultiReader(strings.NewReader(first), iotest.ErrReader(torn)), 1<<20); !errors.Is(err, torn) {
		t.Errorf("error of the reader: %v, want %v", err, torn)
	}
}

// What is accepted can be written and read again, and is the same.
func FuzzDecodeObservations(f *testing.F) {
	f.Add([]byte(first + second))
	f.Add([]byte("[" + first + "]"))
	whole, err := json.Marshal(filled[Observation]())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bytes.Replace(whole, []byte(`"schema":"schema 0"`), []byte(`"schema":"avstem.observation/v1"`), 1))
	f.Fuzz(func(t *testing.T, text []byte) {
		read, err := DecodeObservations(bytes.NewReader(text), 1<<20)
		if err != nil {
			if read != nil {
				t.Errorf("%d observations beside the error %v", len(read), err)
			}
			return
		}
		if len(read) == 0 {
			return
		}
		again, err := json.Marshal(read)
		if err != nil {
			t.Fatalf("write what was read: %v", err)
		}
		back, err := DecodeObservations(bytes.NewReader(again), 1<<30)
		if err != nil || len(back) != len(read) {
			t.Fatalf("read again: %d of %d, %v", len(back), len(read), err)
		}
		for i, o := range back {
			if err := o.Seal(); err != nil {
				t.Fatal(err)
			}
			if err := o.VerifyDigest(); err != nil {
				t.Error(err)
			}
			_ = read[i].Reported()
		}
	})
}
