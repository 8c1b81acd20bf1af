package inventory

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The JSON of every entity and of a whole observation, with every field set, is
// a contract: the names, the spelling of values, and the digest.
func TestGoldenJSON(t *testing.T) {
	sealed := filled[Observation]()
	sealed.Schema = Schema
	if err := sealed.Seal(); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]any{
		"host": filled[Host](), "link": filled[Link](), "ovsbridge": filled[OVSBridge](), "blockdevice": filled[BlockDevice](),
		"filesystem": filled[FileSystem](), "runtime": filled[Runtime](), "vm": filled[VM](), "problem": filled[Problem](),
		"storagepool": filled[StoragePool](), "imagefile": filled[ImageFile](), "capability": filled[Capability](), "observation": sealed, "observation-empty": &Observation{},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := json.MarshalIndent(value, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimSpace(string(want)), string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
			back := reflect.New(reflect.TypeOf(value).Elem())
			if err := json.Unmarshal(want, back.Interface()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(value, back.Interface()); diff != "" {
				t.Errorf("%s read back (-written +read):\n%s", path, diff)
			}
		})
	}
}

func digestOf(t testing.TB, o *Observation) string {
	t.Helper()
	if err := o.Seal(); err != nil {
		t.Fatal(err)
	}
	return o.Digest
}

// volatile is what may change without the state being another.
var volatile = map[string]bool{
	"Schema": true, "Site": true, "Epoch": true, "Gen": true, "ObservedAt": true, "Took": true, "Digest": true,
	"Problems.Error": true, "Problems.Remedy": true,
	"Body.FileSystems.Available": true, "Body.FileSystems.Used": true, "Body.VMs.AsOf": true, "Body.VMs.Disks.Allocation": true, "Body.VMs.Disks.Backing.Allocation": true,
	"Body.StoragePools.Available": true, "Body.StoragePools.Volumes.Allocation": true,
}

// Every field but the volatile ones makes another digest when it changes, and
// those don't.
func TestDigestCoversEveryField(t *testing.T) {
	original := digestOf(t, filled[Observation]())
	paths := map[string]bool{}
	leaves := 0
	eachLeaf(reflect.ValueOf(filled[Observation]()).Elem(), "", func(path string, _ reflect.Value) { paths[path] = true; leaves++ })
	for at := range leaves {
		o, i, changed := filled[Observation](), 0, ""
		eachLeaf(reflect.ValueOf(o).Elem(), "", func(path string, leaf reflect.Value) {
			if i == at {
				change(leaf)
				changed = path
			}
			i++
		})
		if same := digestOf(t, o) == original; same != volatile[changed] {
			t.Errorf("digest is the same after a change of %s: %t, want %t", changed, same, volatile[changed])
		}
	}
	for path := range volatile {
		if !paths[path] {
			t.Errorf("%s is called volatile and is no field", path)
		}
	}
}

// The size of a file system that a server has is what its volume uses and what is
// free, which another volume's writers change.
func TestDigestLeavesOutAServersSize(t *testing.T) {
	size := func(n Bytes, fs FileSystem) string {
		fs.Size = &n
		return digestOf(t, &Observation{Body: Body{FileSystems: []FileSystem{fs}}})
	}
	for fs, want := range map[*FileSystem]bool{
		{Type: "nfs4", Number: "0:40"}: true, {Type: "ext4", Number: "8:1", BlockDevice: "sda1"}: false,
		{Type: "btrfs", Number: "0:41", Members: []string{"sda1", "sdb1"}}: false,
	} {
		if same := size(1, *fs) == size(2, *fs); same != want {
			t.Errorf("%s of another size has the same digest: %t, want %t", fs.Type, same, want)
		}
	}
}

// Not reported and reported as zero are two states.
func TestDigestTellsAbsentFromZero(t *testing.T) {
	zero := 0
	absent := &Observation{Body: Body{Links: []Link{{Name: "eth0"}}}}
	reported := &Observation{Body: Body{Links: []Link{{Name: "eth0", MTU: &zero}}}}
	if digestOf(t, absent) == digestOf(t, reported) {
		t.Error("an MTU of 0 and no MTU have one digest")
	}
}

// inGuestOrder are the lists whose order means something.
var inGuestOrder = map[string]bool{"NICs": true, "Disks": true, "Backing": true}

// reorder permutes the lists, all of them at every level, that keep says no to.
func reorder(v reflect.Value, name string, keep func(name string) bool, permute func(n int) []int) {
	switch {
	case v.Kind() == reflect.Pointer && !v.IsNil():
		reorder(v.Elem(), name, keep, permute)
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			reorder(v.Index(i), name, keep, permute)
		}
		if keep(name) {
			return
		}
		copied := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(copied, v)
		for to, from := range permute(v.Len()) {
			v.Index(to).Set(copied.Index(from))
		}
	case isEntity(v.Type()):
		for i := range v.NumField() {
			reorder(v.Field(i), v.Type().Field(i).Name, keep, permute)
		}
	}
}

func TestDigestIgnoresEnumerationOrder(t *testing.T) {
	original := digestOf(t, filled[Observation]())
	rapid.Check(t, func(t *rapid.T) {
		o := filled[Observation]()
		reorder(reflect.ValueOf(o).Elem(), "", func(name string) bool { return inGuestOrder[name] }, func(n int) []int {
			order := make([]int, n)
			for i := range order {
				order[i] = i
			}
			return rapid.Permutation(order).Draw(t, "order")
		})
		if err := o.Seal(); err != nil || o.Digest != original {
			t.Errorf("another order gives another digest: %v", err)
		}
	})
	reverse := func(n int) []int {
		order := make([]int, n)
		for i := range order {
			order[i] = n - 1 - i
		}
		return order
	}
	for list := range inGuestOrder {
		o := filled[Observation]()
		reorder(reflect.ValueOf(o).Elem(), "", func(name string) bool { return name != list }, reverse)
		if digestOf(t, o) == original {
			t.Errorf("%s in another order have the same digest: a guest sees them in order", list)
		}
	}
}

// A reader must be able to hold a document against its digest, whatever bytes
// the host's names are made of.
func TestDigestSurvivesJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := filled[Observation]()
		o.Schema = Schema
		bytes := rapid.SliceOf(rapid.Byte()).Draw(t, "name")
		o.FileSystems[0].Mount = string(bytes)
		o.VMs[0].Name = rapid.String().Draw(t, "VM")
		if err := o.Seal(); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		var back Observation
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if err := back.VerifyDigest(); err != nil {
			t.Errorf("%q: %v", bytes, err)
		}
	})
}

func TestVerifyDigest(t *testing.T) {
	o := filled[Observation]()
	digestOf(t, o)
	if err := o.VerifyDigest(); err != nil {
		t.Error(err)
	}
	o.Epoch++ // is not the state
	slices.Reverse(o.Links)
	if err := o.VerifyDigest(); err != nil {
		t.Errorf("after a change that isn't one: %v", err)
	}
	o.Links[0].MTU = nil
	if err := o.VerifyDigest(); err == nil {
		t.Error("a changed document has its old digest")
	}
}

func TestSupersedes(t *testing.T) {
	at := func(epoch, gen uint64) *Observation {
		return &Observation{Epoch: epoch, Gen: gen, ObservedAt: time.Unix(int64(100-epoch-gen), 0)}
	}
	for _, tt := range []struct {
		newer, older *Observation
		want         bool
	}{
		{at(1, 2), at(1, 1), true}, {at(1, 1), at(1, 2), false}, {at(1, 1), at(1, 1), false},
		{at(2, 1), at(1, 9), true}, {at(1, 9), at(2, 1), false},
	} {
		if got := tt.newer.Supersedes(tt.older); got != tt.want {
			t.Errorf("(%d, %d) supersedes (%d, %d): %t", tt.newer.Epoch, tt.newer.Gen, tt.older.Epoch, tt.older.Gen, got)
		}
	}
}

func TestProblemOf(t *testing.T) {
	o := &Observation{Problems: []Problem{
		{Call: "whole source"},
		{Entity: "vm:a", Field: "vm.memory", Call: "one field"},
		{Entity: "vm:b", Call: "one entity"},
		{Field: "vm.title", Call: "one field everywhere"},
	}}
	for _, tt := range []struct {
		entity string
		field  Field
		call   string
	}{
		{"vm:a", "vm.memory", "one field"}, {"vm:a", "vm.name", ""}, {"vm:b", "vm.memory", "one entity"},
		{"vm:c", "vm.title", "one field everywhere"}, {"vm:c", "vm.name", ""},
	} {
		if p, found := o.ProblemOf(tt.entity, tt.field); p.Call != tt.call || found != (tt.call != "") {
			t.Errorf("problem of %s's %s is %q (%t), want %q", tt.entity, tt.field, p.Call, found, tt.call)
		}
	}
}

func TestCapabilityOf(t *testing.T) {
	o := &Observation{Capabilities: []Capability{{Field: "vm.name", From: "DomainGetName"}}}
	if c, found := o.Capability("vm.name"); !found || c.From != "DomainGetName" {
		t.Errorf("capability of vm.name: %+v, %t", c, found)
	}
	if c, found := o.Capability("vm.title"); found {
		t.Errorf("capability of vm.title: %+v, want none", c)
	}
}

func TestCheckSchema(t *testing.T) {
	for schema, wants := range map[string]string{
		Schema: "", "avstem.observation/v1.4": "", "avstem.observation/v2": "upgrade avstem", "avstem.observation/v10": "upgrade avstem",
		"avstem.finding/v1": "is not", "avstem.observation": "is not", "": "is not", "avstem.observation/1": "is not",
	} {
		err := CheckSchema(schema)
		if (err == nil) != (wants == "") || err != nil && !strings.Contains(err.Error(), wants) {
			t.Errorf("schema %q: %v, want %q", schema, err, wants)
		}
	}
}

// The catalogue and the types name the same fields, both ways, sorted.
func TestCatalogueIsTheModel(t *testing.T) {
	var inTypes []Field
	seen := map[reflect.Type]bool{}
	var visit func(reflect.Type)
	visit = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if !isEntity(typ) || seen[typ] {
			return
		}
		seen[typ] = true
		for i := range typ.NumField() {
			if typ != reflect.TypeFor[Body]() {
				inTypes = append(inTypes, fieldOf(typ, i))
			}
			visit(typ.Field(i).Type)
		}
	}
	visit(reflect.TypeFor[Body]())
	slices.Sort(inTypes)
	var inCatalogue []Field
	for _, info := range Fields() {
		inCatalogue = append(inCatalogue, info.Field)
		if !info.Field.Known() {
			t.Errorf("%s is in the catalogue and not known: is it sorted?", info.Field)
		}
	}
	if diff := cmp.Diff(inTypes, inCatalogue); diff != "" {
		t.Errorf("fields (-types +catalogue):\n%s", diff)
	}
	for _, f := range []Field{"", "vm.", "vm.colour", "vm.UUID", "zebra.name"} {
		if f.Known() {
			t.Errorf("%q is known", f)
		}
	}
}

func TestReported(t *testing.T) {
	zero := 0
	b := &Body{
		Links: []Link{{Name: "a", Kind: "vlan", MTU: &zero}, {Name: "b", PortVLANs: []PortVLAN{{ID: 7, PVID: true}, {ID: 8}}}},
		VMs:   []VM{{Name: "web", Placement: &Placement{Tenant: "t"}}},
	}
	want := map[Field]int{"link.name": 2, "link.kind": 1, "link.mtu": 1, "link.portVLANs": 1, "portVLAN.id": 2, "portVLAN.pvid": 1,
		"vm.name": 1, "vm.placement": 1, "placement.tenant": 1}
	if diff := cmp.Diff(want, b.Reported()); diff != "" {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
	all := filled[Body]().Reported()
	for _, info := range Fields() {
		if all[info.Field] == 0 {
			t.Errorf("%s is filled and not reported", info.Field)
		}
	}
}

// Sealing a host of 1,000 VMs, held against encoding/json writing it once, which
// is the least that a digest over it needs.
func BenchmarkSeal(b *testing.B) {
	o := &Observation{Schema: Schema, Source: "runtime-libvirt"}
	for i := range 1000 {
		vm := *filled[VM]()
		vm.NativeID = fmt.Sprint(i)
		o.VMs = append(o.VMs, vm)
	}
	var sealing, writing time.Duration
	for b.Loop() {
		begin := time.Now()
		if err := o.Seal(); err != nil {
			b.Fatal(err)
		}
		sealing += time.Since(begin)
		begin = time.Now()
		if _, err := json.Marshal(o); err != nil {
			b.Fatal(err)
		}
		writing += time.Since(begin)
	}
	b.ReportMetric(float64(sealing)/float64(writing), "x-of-json")
}
