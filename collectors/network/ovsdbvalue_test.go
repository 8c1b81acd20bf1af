package network

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/dataverket/avstem/inventory"
)

func TestDecodeTag(t *testing.T) {
	tests := []struct {
		raw   string
		want  string
		fails bool
	}{
		{`["set",[]]`, "none", false},
		{`0`, "0", false},
		{`120`, "120", false},
		{`["set",[120]]`, "120", false},
		{`4094`, "4094", false},
		{`4095`, "none", true},
		{`-1`, "none", true},
		{`1.5`, "none", true},
		{`1e400`, "none", true},
		{`"120"`, "none", true},
		{`null`, "none", true},
		{`["set",[1,2]]`, "none", true},
		{`["set",1]`, "none", true},
		{`["uuid","x"]`, "none", true},
		{`[]`, "none", true},
		{``, "none", true},
	}
	for _, tt := range tests {
		tag, err := ovsdbOptional(json.RawMessage(tt.raw), ovsdbVLAN)
		got := "none"
		if tag != nil {
			got = fmt.Sprint(*tag)
		}
		if got != tt.want || (err != nil) != tt.fails {
			t.Errorf("%s: tag %s with error %v, want %s", tt.raw, got, err, tt.want)
		}
	}
}

// The server may write a set of one as its element or as a set.
func TestSetsAndMapsSurviveTheirNotation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := rapid.SliceOfN(rapid.Int64Range(math.MinInt32, math.MaxInt32), 0, 5).Draw(t, "set")
		notation := any([]any{"set", append([]int64{}, set...)})
		if len(set) == 1 && rapid.Bool().Draw(t, "bare") {
			notation = set[0]
		}
		gotSet, err := ovsdbSet(encode(t, notation), ovsdbInteger)
		if err != nil || len(set) > 0 && !cmp.Equal(set, gotSet) || len(set) == 0 && gotSet != nil {
			t.Errorf("set %v became %v, error %v", set, gotSet, err)
		}

		values := rapid.MapOfN(rapid.String(), rapid.String(), 0, 5).Draw(t, "map")
		pairs := [][2]string{}
		for k, v := range values {
			pairs = append(pairs, [2]string{k, v})
		}
		gotMap, err := ovsdbMap(encode(t, []any{"map", pairs}))
		if err != nil || len(values) > 0 && !cmp.Equal(values, gotMap) || len(values) == 0 && gotMap != nil {
			t.Errorf("map %q became %q, error %v", values, gotMap, err)
		}
	})
}

func encode(t *rapid.T, v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// One row that can't be understood leaves the others as they are.
func TestOneBrokenRow(t *testing.T) {
	tables := tablesOf(t, `[
	 {"rows":[{"name":"br0","datapath_type":"","fail_mode":["set",[]],"controller":["set",[]],"ports":["set",[["uuid","p1"],["uuid","p2"],["uuid","p3"],["uuid","gone"]]]},
	          {"name":"br0","datapath_type":"","fail_mode":["set",[]],"controller":["set",[]],"ports":["set",[]]},
	          {"name":"","datapath_type":"","fail_mode":["set",[]],"controller":["set",[]],"ports":["set",[]]},
	          {"name":"br1","datapath_type":7,"fail_mode":["set",[]],"controller":["set",[]],"ports":["uuid","p1"]}]},
	 {"rows":[{"_uuid":["uuid","p1"],"name":"vnet0","tag":4095,"trunks":["set",[]],"vlan_mode":["set",[]],"interfaces":["uuid","i1"]},
	          {"_uuid":["uuid","p2"],"name":"vnet1","tag":7,"trunks":["set",[5,9999]],"vlan_mode":5,"bond_mode":5,"bond_active_slave":"eno1",
	           "interfaces":["set",[["uuid","i2"],["uuid","i3"]]]},
	          {"_uuid":["uuid","p3"],"name":7}]},
	 {"rows":[{"_uuid":["uuid","i1"],"name":"vnet0","type":null,"external_ids":["map",[["attached-mac"]]],
	           "mac_in_use":"52:54","link_state":7,"options":7},
	          {"_uuid":["uuid","i2"],"name":"eno1","type":"","external_ids":["map",[]],"mac_in_use":["set",[]],"link_state":["set",[]],"options":["map",[]]},
	          {"_uuid":["uuid","i3"],"name":"eno2","type":"","external_ids":["map",[]],"mac_in_use":"","link_state":"down","options":["map",[]]}]}]`)
	bridges, problems := assembleOVS(tables)
	seven := inventory.VLAN(7)
	want := []inventory.OVSBridge{
		{Name: "br0", Datapath: "system", Ports: []inventory.OVSPort{
			{Name: "vnet0", Interfaces: []inventory.OVSInterface{{Name: "vnet0"}}},
			{Name: "vnet1", Tag: &seven, Interfaces: []inventory.OVSInterface{{Name: "eno1"}, {Name: "eno2", LinkState: "down"}}},
		}},
		{Name: "br1"},
	}
	if diff := cmp.Diff(want, bridges); diff != "" {
		t.Errorf("bridges (-want +got):\n%s", diff)
	}
	var got []string
	for _, p := range problems {
		got = append(got, fmt.Sprintf("%s %s: %s", p.Entity, p.Field, p.Error))
	}
	wantProblems := []string{
		`ovsBridge:br0 ovsBridge.ports: row gone, which it refers to, is not in the answer or has been referred to`,
		`ovsPort:vnet0 ovsPort.tag: 4095 is not a VLAN ID`,
		`ovsInterface:vnet0 ovsInterface.type: decode string: "null" is none`,
		`ovsInterface:vnet0 ovsInterface.externalIDs: decode map: a pair has 1 elements`,
		`ovsInterface:vnet0 ovsInterface.mac: "52:54" is not a MAC address: want six pairs of hex digits, such as 52:54:00:aa:00:01`,
		`ovsInterface:vnet0 ovsInterface.linkState: decode string: "7" is none`,
		`ovsInterface:vnet0 ovsInterface.peer: decode map: "7" is none`,
		`ovsInterface:vnet0 ovsInterface.remote: decode map: "7" is none`,
		`ovsPort:vnet1 ovsPort.trunks: 9999 is not a VLAN ID`,
		`ovsPort:vnet1 ovsPort.mode: decode string: "5" is none`,
		`ovsPort:vnet1 ovsPort.bondMode: decode string: "5" is none`,
		`ovsPort:vnet1 ovsPort.activeMember: "eno1" is not a MAC address: want six pairs of hex digits, such as 52:54:00:aa:00:01`,
		`ovsBridge:br0 ovsPort.name: decode string: "7" is none`,
		` ovsBridge.name: two bridges are called "br0"`,
		` ovsBridge.name: row without a name`,
		`ovsBridge:br1 ovsBridge.datapath: decode string: "7" is none`,
		`ovsBridge:br1 ovsBridge.ports: row p1, which it refers to, is not in the answer or has been referred to`,
	}
	if diff := cmp.Diff(wantProblems, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func tablesOf(t testing.TB, result string) [][]row {
	t.Helper()
	tables, err := decodeResult(json.RawMessage(result))
	if err != nil {
		t.Fatal(err)
	}
	return tables
}

// Whatever a server sends, reading it ends, and what is made of it can be
// published and read again.
func FuzzOVSDBReply(f *testing.F) {
	f.Add([]byte(`{"id":"avstem","error":null,"result":` + emptyResult + `}`))
	f.Add([]byte(`{"id":"e","method":"echo","params":[]}{"id":"avstem","error":null,"result":[` +
		`{"rows":[{"_uuid":["uuid","b"],"name":"br0","datapath_type":"netdev","fail_mode":"secure","controller":["uuid","c"],"ports":["set",[["uuid","p"],["uuid","q"]]]}]},` +
		`{"rows":[{"_uuid":["uuid","p"],"name":"bond0","tag":0,"trunks":["set",[1,4095]],"vlan_mode":"trunk","bond_mode":"balance-slb","bond_active_slave":"52:54:00:00:00:01","interfaces":["set",[["uuid","i"],["uuid","j"]]]},` +
		`{"_uuid":["uuid","q"],"name":"tap0","tag":120,"trunks":["set",[]],"vlan_mode":["set",[]],"interfaces":["uuid","k"]}]},` +
		`{"rows":[{"_uuid":["uuid","i"],"name":"eno1","type":"","mac_in_use":"52:54:00:00:00:01","link_state":"up","options":["map",[]],"external_ids":["map",[]]},` +
		`{"_uuid":["uuid","k"],"name":"tap0","type":"patch","options":["map",[["peer","y"]]],"external_ids":["map",[["iface-id","x"]]]}]}]}`))
	f.Add([]byte(`{"id":"avstem","error":{"error":"unknown database"},"result":null}`))
	f.Fuzz(func(t *testing.T, sent []byte) {
		result, err := transact(struct {
			io.Reader
			io.Writer
		}{bytes.NewReader(sent), io.Discard}, 1<<20)
		if err != nil {
			return
		}
		tables, err := decodeResult(result)
		if err != nil {
			return
		}
		bridges, problems := assembleOVS(tables)
		names := map[string]bool{}
		for _, b := range bridges {
			if b.Name == "" || names[b.Name] {
				t.Errorf("bridge %q is there twice or has no name", b.Name)
			}
			names[b.Name] = true
		}
		for _, p := range problems {
			if !p.Field.Known() || p.Error == "" || p.Remedy == "" {
				t.Errorf("problem %+v", p)
			}
		}
		data, err := json.Marshal(bridges)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, new([]inventory.OVSBridge)); err != nil {
			t.Errorf("read back %s: %v", data, err)
		}
	})
}
