package packed_test

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/inventory/packed"
)

// anything gives v any value: few words, so that neighbours often have the same.
func anything(t *rapid.T, v reflect.Value) {
	draw := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "n") }
	switch p := v.Addr().Interface().(type) {
	case *uuid.UUID:
		*p = uuid.UUID{0: byte(draw(2)), 15: byte(draw(2))}
		return
	case *inventory.MAC:
		*p = inventory.MAC{0x52, byte(draw(2))}
		return
	case *time.Time:
		if draw(3) > 0 {
			*p = time.Date(2026, 11, 1, 2, 3, 4, draw(3), time.UTC)
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if draw(4) == 0 {
				anything(t, v.Field(i))
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		anything(t, v.Elem())
	case reflect.Slice:
		n := draw(4)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			anything(t, v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.ValueOf([]map[string]string{{}, {"a": "b"}, {"a": "b", "c": ""}}[draw(3)]))
	case reflect.String:
		v.SetString([]string{"", "x", "br0", "\xff\x00", strings.Repeat("long ", 99)}[draw(5)])
	case reflect.Bool:
		v.SetBool(draw(2) == 0)
	case reflect.Int, reflect.Int64:
		v.SetInt([]int64{0, 1, -1, math.MaxInt64, math.MinInt64}[draw(5)])
	case reflect.Uint16:
		v.SetUint(uint64(draw(math.MaxUint16)))
	case reflect.Uint64:
		v.SetUint([]uint64{0, 1, 300, math.MaxUint64}[draw(4)])
	default:
		panic("no value for a " + v.Type().String())
	}
}

// What comes out is what went in, to the last nil, and equal values give one text.
func TestUnpacksWhatWasPacked(t *testing.T) {
	p := packed.New[inventory.Body]()
	rapid.Check(t, func(t *rapid.T) {
		var body inventory.Body
		anything(t, reflect.ValueOf(&body).Elem())
		text := p.Pack(&body)
		back := p.Unpack(text)
		if !reflect.DeepEqual(&body, back) {
			t.Fatalf("(-packed +unpacked)\n%s", cmp.Diff(&body, back))
		}
		if again := p.Pack(back); again != text {
			t.Fatalf("it packs into %q, and what that unpacks to into %q", text, again)
		}
	})
}

func TestTimesKeepTheirOffset(t *testing.T) {
	p := packed.New[time.Time]()
	for _, at := range []time.Time{{}, time.Date(2026, 11, 1, 2, 3, 4, 5, time.FixedZone("here", 3600)), time.Unix(1<<40, 7).UTC()} {
		if back := *p.Unpack(p.Pack(&at)); !back.Equal(at) || back.Format(time.RFC3339Nano) != at.Format(time.RFC3339Nano) {
			t.Errorf("%s becomes %s", at, back)
		}
	}
}

// The links of VMs are alike but for their names and addresses.
func TestWhatIsAlikeTakesLittle(t *testing.T) {
	var body inventory.Body
	up, mtu := true, 1500
	const n = 100
	for i := range n {
		body.Links = append(body.Links, inventory.Link{Name: fmt.Sprintf("vnet%d", i), Kind: "tun", MAC: inventory.MAC{0xfe, 0x54, 0, 1, 2, byte(i)},
			Up: &up, MTU: &mtu, OperState: "up", Carrier: &up, Master: "br0", PortVLANs: []inventory.PortVLAN{{ID: 110, PVID: true, Untagged: true}}})
	}
	if size := len(packed.New[inventory.Body]().Pack(&body)); size > 20*n {
		t.Errorf("%d links take %d bytes, want at most 20 each", n, size)
	}
}

func TestSeveralMayPackAtOnce(t *testing.T) {
	p := packed.New[[]string]()
	var tasks sync.WaitGroup
	for i := range 8 {
		tasks.Go(func() {
			for j := range 200 {
				in := []string{fmt.Sprint(i), fmt.Sprint(j)}
				if diff := cmp.Diff(in, *p.Unpack(p.Pack(&in))); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
	tasks.Wait()
}

func TestTypesThatArentPacked(t *testing.T) {
	type loop struct{ Again []loop }
	refuses[float64](t, "float64")
	refuses[map[string]int](t, "map[string]int")
	refuses[[3]int](t, "[3]int")
	refuses[struct{ hidden int }](t, ".hidden")
	refuses[loop](t, "in itself")
}

func refuses[T any](t *testing.T, want string) {
	t.Helper()
	defer func() {
		if said := fmt.Sprint(recover()); !strings.Contains(said, want) {
			t.Errorf("New says %q, want %q", said, want)
		}
	}()
	packed.New[T]()
}
