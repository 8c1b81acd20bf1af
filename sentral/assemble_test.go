package sentral

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/dataverket/avstem/inventory"
)

// record is one at a line of a file whose keys have no place of their own.
func record(line int, value any) Record {
	return Record{Value: value, Place: func(string) Place { return Place{Name: "x", Line: line, Column: 1} }}
}

var blanks = []any{new(Site), new(FailureDomain), new(Project), new(Image), new(Network), new(Host), new(VM)}

// TestEveryRequiredKeyIsMissed holds the rules to the types: a key whose JSON
// tag has no omitempty or omitzero must be given.
func TestEveryRequiredKeyIsMissed(t *testing.T) {
	for _, blank := range blanks {
		var want []string
		typ := reflect.TypeOf(blank).Elem()
		for i := range typ.NumField() {
			if key, options, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ","); options == "" {
				want = append(want, key)
			}
		}
		var got []string
		checkValue(blank, func(key, problem string) {
			if problem == "is missing" {
				got = append(got, key)
			}
		})
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%v: missed %v, want %v", typ, got, want)
		}
	}
}

// TestEveryTextIsChecked puts a control character into each text of each type,
// and a number out of range into each number.
func TestEveryTextIsChecked(t *testing.T) {
	var spoil func(v reflect.Value, key string, try func(key string))
	spoil = func(v reflect.Value, key string, try func(key string)) {
		old := reflect.New(v.Type()).Elem()
		old.Set(v)
		defer v.Set(old)
		switch target := v.Addr().Interface().(type) {
		case *inventory.MAC:
			*target = inventory.MAC{1, 2, 3, 4, 5, 6}
			try(key)
		case *inventory.VLAN:
			*target = 4095
			try(key)
		case *uuid.UUID, *inventory.Bytes, *bool: // every value is one
		case *int:
			*target = -1
			try(key)
		default:
			switch v.Kind() {
			case reflect.String:
				v.SetString("a\x1bb")
				try(key)
			case reflect.Pointer:
				v.Set(reflect.New(v.Type().Elem()))
				spoil(v.Elem(), key, try)
			case reflect.Slice:
				v.Set(reflect.MakeSlice(v.Type(), 1, 1))
				spoil(v.Index(0), key+"[0]", try)
			case reflect.Map:
				v.Set(reflect.MakeMap(v.Type()))
				v.SetMapIndex(reflect.ValueOf("osl1"), reflect.ValueOf(inventory.VLAN(4095)))
				try(key + ".osl1")
			case reflect.Struct:
				for i := range v.NumField() {
					name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
					spoil(v.Field(i), strings.TrimPrefix(key+"."+name, "."), try)
				}
			}
		}
	}
	for _, blank := range blanks {
		value := reflect.New(reflect.TypeOf(blank).Elem())
		spoil(value.Elem(), "", func(key string) {
			found := false
			checkValue(value.Interface(), func(k, problem string) { found = found || k == key && problem != "is missing" })
			if !found {
				t.Errorf("%T: %s takes everything", blank, key)
			}
		})
	}
}

func TestTextsHaveLimits(t *testing.T) {
	for name, c := range map[string]struct {
		value any
		want  int
	}{
		"characters, not bytes": {&FailureDomain{ID: strings.Repeat("ø", 255), Site: "s"}, 0},
		"one too many":          {&FailureDomain{ID: strings.Repeat("ø", 256), Site: "s"}, 1},
		"path":                  {&Image{ID: "a", Version: "1", Source: strings.Repeat("/", 4096)}, 0},
		"path too long":         {&Image{ID: "a", Version: "1", Source: strings.Repeat("/", 4097)}, 1},
		"site":                  {&Site{ID: strings.Repeat("a", 63)}, 0},
		"site too long":         {&Site{ID: strings.Repeat("a", 64)}, 1},
		"site with a dash":      {&Site{ID: "-a"}, 1},
	} {
		got := 0
		checkValue(c.value, func(string, string) { got++ })
		if got != c.want {
			t.Errorf("%s: %d problems", name, got)
		}
	}
}

func TestThreeClaimOneID(t *testing.T) {
	inv := Assemble([]Record{record(1, &Site{ID: "a"}), record(2, &Site{ID: "a"}), record(3, &Site{ID: "b"}), record(4, &Site{ID: "a"})}, nil)
	want := []Problem{
		{Where: "x:2:1", Record: "site a", Key: "id", Error: `site "a" is claimed by site a at x:1:1 too: neither is used`, Duplicate: true},
		{Where: "x:4:1", Record: "site a", Key: "id", Error: `site "a" is claimed by site a at x:1:1 too: neither is used`, Duplicate: true},
	}
	if diff := cmp.Diff(want, inv.Problems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if len(inv.Sites) != 1 || len(inv.LeftOut) != 3 {
		t.Errorf("used %v, left out %v", inv.Sites, inv.LeftOut)
	}
}

// TestProblemsHaveNames: an ID alone tells a reader nothing.
func TestProblemsHaveNames(t *testing.T) {
	inv := Assemble([]Record{record(1, &Site{ID: "a", Name: "Oslo"}), record(2, &Site{ID: "a"})}, nil)
	want := []Problem{{Where: "x:2:1", Record: "site a", Key: "id", Error: `site "a" is claimed by site Oslo at x:1:1 too: neither is used`, Duplicate: true}}
	if diff := cmp.Diff(want, inv.Problems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	inv = Assemble([]Record{record(1, &Site{ID: "-", Name: "Oslo"})}, nil)
	if len(inv.Problems) != 1 || inv.Problems[0].Record != "site -" || inv.Problems[0].Name != "site Oslo" {
		t.Errorf("problems are %+v, want one of site Oslo", inv.Problems)
	}
}

// TestNothingIsUnresolvedWhileRecordsAreMissing: the site may stand in the file
// that couldn't be read.
func TestNothingIsUnresolvedWhileRecordsAreMissing(t *testing.T) {
	records := []Record{record(1, &Host{ID: "hv1", Site: "osl1"})}
	if inv := Assemble(records, nil); len(inv.Problems) != 1 || inv.Incomplete {
		t.Errorf("whole: %v", inv.Problems)
	}
	inv := Assemble(records, []Fault{{Place: Place{Name: "y"}, Error: "read y: it is not a file", Lost: true}})
	if want := []Problem{{Where: "y", Error: "read y: it is not a file"}}; !cmp.Equal(inv.Problems, want) || !inv.Incomplete {
		t.Errorf("incomplete: %v", inv.Problems)
	}
}

func TestComplaintsAreBounded(t *testing.T) {
	vm := &VM{ID: "a", Name: "a", Tenant: "t", Project: "p", Environment: "e", Site: "s", NICs: make([]NIC, 1000)}
	inv := Assemble([]Record{record(1, vm)}, nil)
	if got := len(inv.Problems); got != maxComplaints+1 {
		t.Errorf("%d problems", got)
	}
	if got := inv.Problems[0].String(); got != "x:1:1: vm a: more problems: 900" {
		t.Errorf("got %s", got)
	}
}

// TestAssembleIsFair: no record is lost or taken twice, none that is used
// shares an ID with another, and the order of records decides nothing.
func TestAssembleIsFair(t *testing.T) {
	id := rapid.SampledFrom([]string{"", "a", "b", "c", "0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001"})
	runtimeID := rapid.SampledFrom([]uuid.UUID{{}, {}, {1}, uuid.MustParse("0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001")})
	rapid.Check(t, func(t *rapid.T) {
		var records []Record
		for line := range rapid.IntRange(0, 8).Draw(t, "records") {
			var value any = &Site{ID: id.Draw(t, "site")}
			if rapid.Bool().Draw(t, "vm") {
				value = &VM{ID: id.Draw(t, "vm"), RuntimeID: runtimeID.Draw(t, "runtimeID"), Name: "n", Tenant: "t", Project: "p", Environment: "e", Site: id.Draw(t, "site")}
			}
			records = append(records, record(line+1, value))
		}
		inv := Assemble(records, nil)
		if got := len(inv.Sites) + len(inv.VMs) + len(inv.LeftOut); got != len(records) {
			t.Fatalf("%d records became %d", len(records), got)
		}
		ids, uuids := map[string]bool{}, map[uuid.UUID]bool{}
		for _, vm := range inv.VMs {
			if ids[vm.ID] || vm.UUID() != uuid.Nil && uuids[vm.UUID()] {
				t.Fatalf("%s is used twice", vm.ID)
			}
			ids[vm.ID], uuids[vm.UUID()] = true, true
		}
		for _, out := range inv.LeftOut {
			if out.Type == "vm" && out.ID != "" && ids[out.ID] {
				t.Fatalf("%s is used and left out", out.ID)
			}
		}
		shuffled := slices.Clone(records)
		rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		again := Assemble(shuffled, nil)
		used := func(inv *Inventory) []string {
			var ids []string
			for _, vm := range inv.VMs {
				ids = append(ids, "vm "+vm.ID+vm.RuntimeID.String())
			}
			for _, site := range inv.Sites {
				ids = append(ids, "site "+site.ID)
			}
			slices.Sort(ids)
			return ids
		}
		if diff := cmp.Diff(used(inv), used(again)); diff != "" || inv.Incomplete != again.Incomplete {
			t.Fatalf("another order uses other records:\n%s", diff)
		}
	})
}

// Who mends a record that is left out hears of what it refers to as well, but not of
// what was read from a value that was refused.
func TestReferencesOfWhatIsLeftOut(t *testing.T) {
	none := 0
	inv := Assemble([]Record{
		record(1, &Site{ID: "osl1"}),
		record(2, &Project{Tenant: "acme", ID: "web", Environments: []string{"prod"}}),
		record(3, &FailureDomain{ID: "rack", Site: "osl1"}),
		record(4, &VM{ID: "a", Name: "a", Tenant: "acme", Project: "wbe", Environment: "dev", Site: "osl1", VCPUs: &none, NICs: []NIC{{Network: "n"}}}),
		record(5, &VM{ID: "b", Name: "b", Tenant: "acme", Project: "web", Environment: "dev", FailureDomain: "rack"}), // its site is missing
		record(6, &VM{ID: "c", Name: "c", Tenant: "acme", Project: "we\nb", Environment: "dev", Site: "osl1"}),
	}, nil)
	var got []string
	for _, p := range inv.Problems {
		got = append(got, fmt.Sprintf("%s %s %t", p.Record, p.Key, p.Reference))
	}
	want := []string{
		"vm a nics[0].network true", "vm a project true", "vm a vcpus false",
		"vm b environment true", "vm b site false",
		"vm c project false",
	}
	if diff := cmp.Diff(want, got); diff != "" || len(inv.LeftOut) != 3 {
		t.Errorf("left out %v; problems (-want +got):\n%s", inv.LeftOut, diff)
	}
}
