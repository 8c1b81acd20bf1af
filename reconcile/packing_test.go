package reconcile_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/internal/history"
	"github.com/dataverket/avstem/sentral"
)

// A book gives documents back as they were told, whatever it did with them meanwhile.
func TestBookGivesBackWhatItWasTold(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 0))
	world := history.New(random.IntN)
	book := reconcile.NewBook(world.Policy)
	wired, vms := 0, 0
	for range 150 {
		tell(book, world, world.Change())
		book.Settle(world.Now)
		if n := book.Opened(); n > 0 {
			t.Fatalf("%d documents and hosts are open after a settling", n)
		}
		told, back := world.Input().Observed, book.Input().Observed
		if len(back) != len(told) {
			t.Fatalf("%d documents are given back, of %d", len(back), len(told))
		}
		for _, want := range told {
			wired, vms = wired+len(want.Links), vms+len(want.VMs)
			got, has := book.Document(want.Host, want.Source)
			if diff := gocmp.Diff(want, got); !has || diff != "" {
				t.Fatalf("%s of %s (-told +given back):\n%s", want.Source, want.Host, diff)
			}
			if !slices.ContainsFunc(back, func(d reconcile.Document) bool {
				return d.Host == want.Host && d.Source == want.Source && gocmp.Equal(d, want)
			}) {
				t.Fatalf("%s of %s is not in the input", want.Source, want.Host)
			}
		}
	}
	if n := book.Opened(); n > 0 {
		t.Errorf("%d documents and hosts are open after they were asked for", n)
	}
	if wired == 0 || vms == 0 {
		t.Errorf("the documents had %d links and %d VMs, want some of both", wired, vms)
	}
}

// No field of a document is lost, whichever it is.
func TestBookGivesBackEveryField(t *testing.T) {
	now := time.Date(2026, 11, 1, 2, 3, 4, 0, time.UTC)
	var o inventory.Observation
	fill(reflect.ValueOf(&o).Elem(), "")
	book := reconcile.NewBook(reconcile.DefaultPolicy())
	want := reconcile.Document{Observation: &o, Received: now}
	for range 2 { // it is held against itself, too
		again := o
		book.Observe(reconcile.Document{Observation: &again, Received: now})
		book.Settle(now)
		got, _ := book.Document(o.Host, o.Source)
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("(-told +given back):\n%s", diff)
		}
	}
}

// Hosts are judged side by side also where they show the same VMs. The race detector
// says whether one looks at what another unpacks.
func TestHostsThatShowOneVMAreWeighedAtOnce(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), 4))) // one core judges nothing side by side
	const hosts, vmsEach = 200, 5
	now := time.Date(2026, 11, 1, 2, 3, 4, 0, time.UTC)
	policy := reconcile.DefaultPolicy()
	book, inv := reconcile.NewBook(policy), &sentral.Inventory{}
	id := func(what string, n int) uuid.UUID { return uuid.NewSHA1(uuid.Nil, fmt.Append(nil, what, n)) }
	for n := range hosts {
		o := &inventory.Observation{Host: id("host", n), Site: "lab", Source: "libvirt", ObservedAt: now}
		for i := range vmsEach {
			vm := inventory.VM{UUID: id("vm", (n/2)*vmsEach+i), Name: fmt.Sprint("vm", i), State: inventory.StateRunning}
			o.VMs = append(o.VMs, vm)
			if n%2 == 0 {
				inv.VMs = append(inv.VMs, sentral.VM{ID: vm.UUID.String(), Name: vm.Name, Site: "lab", State: sentral.VMRunning})
			}
		}
		book.Observe(reconcile.Document{Observation: o, Received: now})
	}
	book.Intend(inv)
	for range 20 {
		book.Settle(now)
		book.Judge(policy) // everything again
	}
	if n := book.Opened(); n > 0 {
		t.Errorf("%d documents and hosts are open after a settling", n)
	}
}

// fill gives every field a value by its name.
func fill(v reflect.Value, name string) {
	switch value := v.Addr().Interface().(type) {
	case *time.Time:
		*value = time.Date(2026, 11, 1, 0, 0, len(name), 0, time.UTC)
		return
	case *uuid.UUID:
		*value = uuid.NewSHA1(uuid.Nil, []byte(name))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), name+"."+v.Type().Field(i).Name)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), name)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), fmt.Sprint(name, i))
		}
	case reflect.Array:
		for i := range v.Len() {
			v.Index(i).SetUint(uint64(len(name) + i))
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{name: "value of " + name}))
	case reflect.String:
		v.SetString(name)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(len(name)))
	case reflect.Uint16, reflect.Uint64:
		v.SetUint(uint64(len(name)))
	default:
		panic("fill doesn't know " + v.Type().String())
	}
}
