package plainjson_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/inventory/plainjson"
)

var limits = plainjson.Limits{Depth: inventory.MaxDepth, Elements: inventory.MaxElements}

func observations() *plainjson.Decoder[inventory.Observation] {
	return plainjson.New[inventory.Observation](limits, "capabilities", "runtime", "image", "manager", "backing", "trunks", "portVLANs")
}

// anything gives v any value, in which few things are as likely as many.
func anything(r *rand.Rand, v reflect.Value) {
	switch p := v.Addr().Interface().(type) {
	case *uuid.UUID:
		*p = uuid.UUID{byte(r.IntN(3)), 15: byte(r.IntN(2))}
		return
	case *inventory.MAC:
		*p = inventory.MAC{0x52, byte(r.IntN(3))}
		return
	case *inventory.VLAN:
		*p = inventory.VLAN(r.IntN(4095))
		return
	case *time.Time:
		*p = time.Date(2026, 11, r.IntN(30), 1, 2, 3, r.IntN(1e9), time.UTC)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if r.IntN(3) > 0 {
				anything(r, v.Field(i))
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		anything(r, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 0, 9))
		for range r.IntN(4) {
			e := reflect.New(v.Type().Elem()).Elem()
			anything(r, e)
			v.Set(reflect.Append(v, e))
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"iface-id": words[r.IntN(len(words))], fmt.Sprint("key ", r.IntN(9)): "x"}))
	case reflect.String:
		v.SetString(words[r.IntN(len(words))])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(r.Uint64() >> r.IntN(64)))
	case reflect.Uint64:
		v.SetUint(r.Uint64() >> r.IntN(64))
	default:
		panic("no value for a " + v.Type().String())
	}
}

var words = []string{"", "x", "virtio", "running", "br0", "æøå", "<&>", "a\"b\\c", "line\nline\t\x00", "\u2028", "no utf-8: \xff", strings.Repeat("long ", 30), "日本", "K"}

func written(t interface{ Fatal(...any) }, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What avstem writes is read, and as encoding/json reads it, whatever was read before.
func TestReadsDocumentsAsEncodingJSONDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := observations()
		for range 5 {
			var o inventory.Observation
			anything(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)), reflect.ValueOf(&o).Elem())
			text := written(t, o)
			cut := rapid.IntRange(0, len(text)-1).Draw(t, "cut")
			if _, ok := d.Decode(text[:cut]); ok {
				t.Fatalf("it reads a text that is cut short: %s", text[:cut])
			}
			var want inventory.Observation
			if err := json.Unmarshal(text, &want); err != nil {
				t.Fatal(err)
			}
			got, ok := d.Decode(text)
			if !ok {
				t.Fatalf("it declines %s", text)
			}
			if diff := cmp.Diff(&want, got); diff != "" {
				t.Fatalf("of %s\n(-encoding/json +got)\n%s", text, diff)
			}
		}
	})
}

// thing has what types there are, in little.
type thing struct {
	Name   string            `json:"name,omitempty"`
	Count  int8              `json:"count"`
	Size   uint64            `json:"size"`
	Yes    bool              `json:"yes"`
	Some   *int              `json:"some"`
	VLAN   *inventory.VLAN   `json:"vlan"`
	Bytes  *inventory.Bytes  `json:"bytes"`
	ID     uuid.UUID         `json:"id"`
	MAC    inventory.MAC     `json:"mac"`
	At     *time.Time        `json:"at"`
	Words  map[string]string `json:"words"`
	Parts  []part            `json:"parts"`
	Shared *part             `json:"shared"`
	Many   []part            `json:"many"`
	Base
}

type Base struct {
	Inner part `json:"inner"`
}

type part struct {
	Key   string   `json:"key"`
	Names []string `json:"names"`
}

func things() *plainjson.Decoder[thing] {
	return plainjson.New[thing](plainjson.Limits{Depth: 4, Elements: 12}, "shared", "many")
}

// Each is read as encoding/json reads it.
var plain = []string{
	`{}`,
	`{"name":"x","count":-128,"size":18446744073709551615,"yes":true,"some":0}`,
	`{"yes":false,"name":"","some":-5}`,
	`{"size":0,"count":7,"name":"in another order"}`,
	`{"name":"æ\u00f8\n\ud83d\ude00\ud800 \"q\" \\ /"}`,
	"{\"name\":\"no utf-8: \xff\"}",
	`{"vlan":4094,"bytes":7,"mac":"52:54:00:aa:bb:cc"}`,
	`{"bytes":"4 GiB","mac":"","id":"6f1c0000-0000-4000-8000-00000000000a"}`,
	`{"id":"{6F1C0000-0000-4000-8000-00000000000A}","at":"2026-11-28T08:00:00.5Z"}`,
	`{"mac":"52-54-00-AA-BB-CC"}`,
	`{"words":{},"parts":[]}`,
	`{"words":{"a":"b","A":"c"},"parts":[{},{"key":"k","names":["x","y"]}]}`,
	`{"shared":{"key":"k","names":[]},"many":[{"key":"k"}],"inner":{"key":"i"}}`,
	`{"unknown":[1,-2.5e+7,null,true,{"name":{}}],"name":"x","other":"\ud800","unknown":0}`,
}

// Each is left to encoding/json, which reads some and refuses others.
var declined = []string{
	``, ` `, `{`, `}`, `null`, `[]`, `7`, `"x"`, `{}{}`, `{},`, `{} `, ` {}`, "{}\x00",
	`{"name": "x"}`, `{"name":"x" }`, `{"name":null}`, `{"some":null}`, `{"parts":null}`, `{"parts":[null]}`,
	`{"Name":"x"}`, `{"NAME":"x"}`, `{"\u006eame":"x"}`, `{"name":"x","name":"y"}`, `{"words":{"a":"b","a":"c"}}`,
	`{"wordſ":{}}`, `{"æ":1}`,
	`{"name":7}`, `{"name":"x}`, `{"name":"\x"}`, "{\"name\":\"\x01\"}", `{"name":true}`, `{"name":["x"]}`,
	`{"count":128}`, `{"count":-129}`, `{"count":01}`, `{"count":1.0}`, `{"count":1e1}`, `{"count":-}`, `{"count":+1}`, `{"count":"1"}`,
	`{"size":-1}`, `{"size":18446744073709551616}`, `{"yes":1}`, `{"yes":tru}`, `{"yes":truefalse}`,
	`{"vlan":4095}`, `{"vlan":"1"}`, `{"bytes":"4 XB"}`, `{"bytes":1.5}`, `{"mac":"52:54"}`, `{"mac":7}`, `{"id":"x"}`, `{"at":"yesterday"}`,
	`{"words":{"a":7}}`, `{"words":[]}`, `{"parts":{}}`, `{"parts":[{}}`, `{"parts":[{},]}`, `{"parts":[,]}`, `{,}`, `{"name":"x",}`,
	`{"unknown":nul}`, `{"unknown":1.}`, `{"unknown":"\x"}`, `{"unknown":[1,]}`, `{"unknown":}`, `{"unknown"}`, `{"unknown":--1}`,
	`{"shared":{"key":"k"`, `{"shared":{"key":7}}`, `{"many":[{"key":"k"},{"key":7}]}`,
	`{"unknown":[[[[]]]]}`, `{"unknown":[1,2,3,4,5,6,7,8,9,10,11,12]}`, `{"parts":[{},{},{},{},{},{},{}]}`,
}

func TestWhatIsPlain(t *testing.T) {
	d := things()
	for range 2 { // what is remembered changes nothing
		for _, text := range plain {
			var want thing
			if err := json.Unmarshal([]byte(text), &want); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			got, ok := d.Decode([]byte(text))
			if !ok {
				t.Errorf("it declines %s", text)
			} else if diff := cmp.Diff(&want, got); diff != "" {
				t.Errorf("of %s\n(-encoding/json +got)\n%s", text, diff)
			}
		}
		for _, text := range declined {
			if got, ok := d.Decode([]byte(text)); ok || got != nil {
				t.Errorf("it reads %q as %+v", text, got)
			}
		}
	}
}

func TestEqualValuesAreOne(t *testing.T) {
	d := things()
	text := func(name string) []byte {
		return fmt.Appendf(nil, `{"name":"%s","some":7,"shared":{"key":"k"},"many":[{"key":"a"},{"key":"b"}],"parts":[{"key":"a"}]}`, name)
	}
	first, ok1 := d.Decode(text("one"))
	buffer := text("two")
	second, ok2 := d.Decode(buffer)
	clear(buffer)
	if !ok1 || !ok2 || second.Name != "two" || second.Many[1].Key != "b" {
		t.Fatalf("got %+v, %+v", first, second)
	}
	if first.Some != second.Some || first.Shared != second.Shared || &first.Many[0] != &second.Many[0] {
		t.Error("equal values have each their own memory")
	}
	if &first.Parts[0] == &second.Parts[0] {
		t.Error("a list that isn't said to be shared is")
	}
	for name, room := range map[string]int{"shared": cap(second.Many) - len(second.Many), "own": cap(second.Parts) - len(second.Parts)} {
		if room != 0 {
			t.Errorf("the %s list has room for %d more, into which somebody may append", name, room)
		}
	}
}

// A text that was read at one depth, or among fewer elements, isn't taken where it
// passes the limits.
func TestSharedTextsCountAgainstTheLimits(t *testing.T) {
	d := plainjson.New[thing](plainjson.Limits{Depth: 9, Elements: 8}, "many")
	for range 3 {
		if _, ok := d.Decode([]byte(`{"many":[{},{},{}]}`)); !ok {
			t.Fatal("it declines seven elements of eight")
		}
		if _, ok := d.Decode([]byte(`{"unknown":[[]],"many":[{},{},{}]}`)); ok {
			t.Fatal("it reads nine elements of eight")
		}
	}
}

// What was read stays as it is, however much comes after it.
func TestWhatIsForgottenStays(t *testing.T) {
	d := things()
	var all []*thing
	const n = 20_000
	for i := range n {
		o, ok := d.Decode(fmt.Appendf(nil, `{"name":"n%d","some":%d,"shared":{"key":"k%d"},"many":[{"key":"%0200d"}]}`, i, i, i/2, i))
		if !ok {
			t.Fatal(i)
		}
		all = append(all, o)
	}
	for i, o := range all {
		if o.Name != fmt.Sprint("n", i) || *o.Some != i || o.Shared.Key != fmt.Sprint("k", i/2) || o.Many[0].Key != fmt.Sprintf("%0200d", i) {
			t.Fatalf("number %d has become %+v", i, o)
		}
	}
}

func TestTypesThatAreNotRead(t *testing.T) {
	type loop struct {
		Again []loop `json:"again"`
	}
	refuses[struct {
		F float64 `json:"f"`
	}](t, "float64")
	refuses[struct {
		B []byte `json:"b"`
	}](t, "[]uint8")
	refuses[struct{ N string }](t, ".N")
	refuses[struct {
		N int `json:"n,string"`
	}](t, "as a string")
	refuses[loop](t, "in itself")
	refuses[part](t, "no field nothing", "nothing")
}

func refuses[T any](t *testing.T, want string, shared ...string) {
	t.Helper()
	defer func() {
		if said := fmt.Sprint(recover()); !strings.Contains(said, want) {
			t.Errorf("New says %q, want %q", said, want)
		}
	}()
	plainjson.New[T](limits, shared...)
}

// Whatever is read is what encoding/json reads, and within what a document may have.
func FuzzDecode(f *testing.F) {
	for seed := range uint64(3) {
		var o inventory.Observation
		anything(rand.New(rand.NewPCG(seed, 0)), reflect.ValueOf(&o).Elem())
		f.Add(written(f, o))
	}
	for _, text := range append(plain, declined...) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		documents, little := observations(), things()
		for range 2 { // of which the second finds what the first remembered
			if got, ok := documents.Decode(text); ok {
				if err := inventory.CheckShape(text); err != nil {
					t.Error(err)
				}
				agrees(t, text, got)
			}
			if got, ok := little.Decode(text); ok {
				agrees(t, text, got)
			}
		}
	})
}

func agrees[T any](t *testing.T, text []byte, got *T) {
	t.Helper()
	want := new(T)
	if err := json.Unmarshal(text, want); err != nil {
		t.Errorf("it reads what encoding/json doesn't: %v", err)
	} else if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-encoding/json +got)\n%s", diff)
	}
}
