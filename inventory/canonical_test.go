package inventory

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]Bytes{
		"0": 0, "512": 512, "4GiB": 4 << 30, " 4 gib ": 4 << 30, "1.5KiB": 1536, "960 GB": 960e9, "0.067GB": 67e6,
		"0.5 kB": 500, "1.": 1, "1.000 B": 1, "2PiB": 2 << 50, "1 pb": 1e15, "18446744073709551615": 1<<64 - 1, "8B": 8,
	} {
		if got, err := ParseBytes(text); got != want || err != nil {
			t.Errorf("ParseBytes(%q) = %d, %v, want %d", text, uint64(got), err, uint64(want))
		}
	}
	for _, text := range []string{
		"", " ", "GiB", "-1", "+1", "1e3", "4 G", "4Gi", "4 xB", "1.5", "1.5B", "0.0001 kB", ".5kB", "1.2.3kB", "1,5GiB", "0x10", "١",
		"18446744073709551616", "16777216TiB", "18446744073709551615.9KiB", "0.99999999999999999999GiB", "4GiB!",
	} {
		if got, err := ParseBytes(text); err == nil {
			t.Errorf("ParseBytes(%q) = %d, want an error", text, uint64(got))
		} else if text != "" && !strings.Contains(err.Error(), text) {
			t.Errorf("ParseBytes(%q): %v: doesn't say what it read", text, err)
		}
	}
}

// Exact rational numbers are the judge of decimals.
func TestParseBytesIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[0-9]{1,12}(\.[0-9]{1,9})?`).Draw(t, "number")
		unit := rapid.SampledFrom([]string{"B", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"}).Draw(t, "unit")
		exact, ok := new(big.Rat).SetString(text)
		if !ok {
			t.Fatalf("%q is no number", text)
		}
		exact.Mul(exact, new(big.Rat).SetInt(new(big.Int).SetUint64(byteUnits[strings.ToLower(unit)])))
		got, err := ParseBytes(text + unit)
		fits := exact.IsInt() && exact.Num().IsUint64()
		if fits != (err == nil) || fits && uint64(got) != exact.Num().Uint64() {
			t.Errorf("ParseBytes(%q) = %d, %v, exactly %s", text+unit, uint64(got), err, exact.RatString())
		}
	})
}

func TestBytesString(t *testing.T) {
	for b, want := range map[Bytes]string{
		0: "0 B", 512: "512 B", 1024: "1 KiB", 1536: "1536 B", 20 * GiB: "20 GiB", 1000204886016: "931.5 GiB", 3 * TiB: "3 TiB", 1<<64 - 1: "16384.0 PiB",
	} {
		if got := b.String(); got != want {
			t.Errorf("%d bytes are %q, want %q", uint64(b), got, want)
		}
	}
}

func TestBytesJSON(t *testing.T) {
	for text, want := range map[string]Bytes{`4096`: 4096, `"4GiB"`: 4 * GiB, `"1 kB"`: 1000} {
		var got Bytes
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s read as %d, %v, want %d", text, uint64(got), err, uint64(want))
		}
	}
	for _, text := range []string{`-1`, `1.5`, `1e3`, `"4 elephants"`, `{}`, `[]`, `true`} {
		var got Bytes
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s read as %d, want an error", text, uint64(got))
		}
	}
	if text, err := json.Marshal(4 * GiB); string(text) != "4294967296" || err != nil {
		t.Errorf("4 GiB written as %s, %v", text, err)
	}
}

func TestMAC(t *testing.T) {
	for text, want := range map[string]string{
		"52:54:00:AA:00:01": "52:54:00:aa:00:01", "52-54-00-aa-00-01": "52:54:00:aa:00:01", "5254.00aa.0001": "52:54:00:aa:00:01", " 52:54:00:aa:00:01\n": "52:54:00:aa:00:01",
	} {
		if got, err := ParseMAC(text); got.String() != want || err != nil {
			t.Errorf("ParseMAC(%q) = %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "52:54:00:aa:00", "52:54:00:aa:00:01:02:03", "5254:00aa:0001", "gg:54:00:aa:00:01", "00:00:10:29:fe:80:00:00:00:00:00:00:b8:3f:d2:03:00:1a:2b:3c"} {
		if got, err := ParseMAC(text); err == nil {
			t.Errorf("ParseMAC(%q) = %s, want an error", text, got)
		}
	}
	for text, want := range map[string]bool{
		"52:54:00:aa:00:01": true, "b4:45:06:f1:20:10": true, "fe:54:00:aa:00:01": true, "00:00:00:00:00:01": true,
		"00:00:00:00:00:00": false, "ff:ff:ff:ff:ff:ff": false, "01:00:5e:00:00:01": false, "ee:ee:ee:ee:ee:ee": false, "fe:ff:ff:ff:ff:ff": false,
	} {
		if mac, err := ParseMAC(text); err != nil || mac.Identifies() != want {
			t.Errorf("%s identifies: %t, %v, want %t", text, mac.Identifies(), err, want)
		}
	}
	var none MAC
	if text, err := json.Marshal(none); string(text) != `""` || err != nil {
		t.Errorf("no MAC is written as %s, %v", text, err)
	}
	set := MAC{1}
	if err := json.Unmarshal([]byte(`""`), &set); err != nil || set != none {
		t.Errorf("an empty text is read as %v, %v", set, err)
	}
}

func TestVLAN(t *testing.T) {
	for text, want := range map[string]VLAN{"0": 0, "1": 1, "4094": 4094} {
		var got VLAN
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want || got.Valid() != (want != 0) {
			t.Errorf("VLAN %s = %d (valid: %t), %v", text, got, got.Valid(), err)
		}
	}
	for _, text := range []string{"4095", "-1", "1.5", "65537", `"7"`, "[]"} {
		var got VLAN
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("VLAN %s = %d, want an error", text, got)
		}
	}
}

func TestUUID(t *testing.T) {
	const canonical = "4c4c4544-0038-4b10-8052-b7c04f4d3034"
	for _, text := range []string{canonical, "4C4C4544-0038-4B10-8052-B7C04F4D3034", "4c4c454400384b108052b7c04f4d3034", "{" + canonical + "}", "urn:uuid:" + canonical, " " + canonical + "\n"} {
		if got, err := ParseUUID(text); got.String() != canonical || err != nil {
			t.Errorf("ParseUUID(%q) = %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "Not Settable", canonical[1:], canonical + "0", "x" + canonical + "y", "{" + canonical, strings.Replace(canonical, "-", "_", 1)} {
		if got, err := ParseUUID(text); err == nil {
			t.Errorf("ParseUUID(%q) = %s, want an error", text, got)
		}
	}
	id := uuid.MustParse(canonical)
	if got := SwapUUID(id).String(); got != "44454c4c-3800-104b-8052-b7c04f4d3034" {
		t.Errorf("swapped: %s", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		id := uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		if got := SwapUUID(SwapUUID(id)); got != id {
			t.Errorf("%s swapped twice is %s", id, got)
		}
		if IsJunkUUID(id) != IsJunkUUID(SwapUUID(id)) {
			t.Errorf("%s is junk in one byte order only", id)
		}
	})
}

func TestCanonicalNames(t *testing.T) {
	tests := []struct {
		name  string
		of    func(string) string
		wants map[string]string
	}{
		{"WWN", CanonicalWWN, map[string]string{
			"naa.5002538F31A0B1C2": "5002538f31a0b1c2", "0x5002538f31a0b1c2": "5002538f31a0b1c2", "wwn-0x5002538f31a0b1c2": "5002538f31a0b1c2",
			"eui.0025384100000001": "0025384100000001", "nvme.1e4b-53-44-1": "nvme.1e4b-53-44-1", "": "", " 5002538F31A0B1C2\n": "5002538f31a0b1c2",
		}},
		{"machine", CanonicalMachine, map[string]string{
			"pc-q35-7.2": "q35", "q35": "q35", "pc-i440fx-rhel7.6.0": "pc", "pc": "pc", "PC": "pc", "virt-8.0": "virt", "virt": "virt", "s390-ccw-virtio": "s390-ccw-virtio", "": "",
		}},
		{"bus", CanonicalBus, map[string]string{
			"virtio-blk-pci": "virtio", "VirtIO": "virtio", "virtio-scsi": "scsi", "ahci": "sata", "sata": "sata", "ide": "ide", "usb": "usb", "": "",
		}},
		{"NIC model", CanonicalNICModel, map[string]string{
			"virtio-net-pci": "virtio", "virtio": "virtio", "virtio-non-transitional": "virtio", "E1000e": "e1000e", "": "",
		}},
	}
	for _, tt := range tests {
		for text, want := range tt.wants {
			got := tt.of(text)
			if got != want {
				t.Errorf("canonical %s of %q = %q, want %q", tt.name, text, got, want)
			}
			if again := tt.of(got); again != got {
				t.Errorf("canonical %s of %q = %q, and of that %q", tt.name, text, got, again)
			}
		}
	}
}

func FuzzParseBytes(f *testing.F) {
	for _, seed := range []string{"4GiB", "0.067 GB", "18446744073709551615", "1.5"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b, err := ParseBytes(text)
		if err != nil {
			return
		}
		if shown := b.String(); !strings.Contains(shown, ".") { // exact
			if again, err := ParseBytes(shown); again != b || err != nil {
				t.Errorf("%q is %d, shown as %q and read as %d, %v", text, uint64(b), shown, uint64(again), err)
			}
		}
	})
}

func FuzzParseMAC(f *testing.F) {
	f.Add("52:54:00:aa:00:01")
	f.Add("5254.00aa.0001")
	f.Fuzz(func(t *testing.T, text string) {
		mac, err := ParseMAC(text)
		if err != nil || mac == (MAC{}) {
			return
		}
		if again, err := ParseMAC(mac.String()); again != mac || err != nil {
			t.Errorf("%q is %s, read again as %s, %v", text, mac, again, err)
		}
	})
}

func FuzzParseUUID(f *testing.F) {
	f.Add("4c4c4544-0038-4b10-8052-b7c04f4d3034")
	f.Add("{4c4c4544-0038-4b10-8052-b7c04f4d3034}")
	f.Fuzz(func(t *testing.T, text string) {
		id, err := ParseUUID(text)
		if err != nil {
			return
		}
		if again, err := ParseUUID(id.String()); again != id || err != nil {
			t.Errorf("%q is %s, read again as %s, %v", text, id, again, err)
		}
	})
}

func FuzzVLAN(f *testing.F) {
	f.Add([]byte("7"))
	f.Add([]byte("4095"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var v VLAN
		if err := json.Unmarshal(text, &v); err == nil && v != 0 && !v.Valid() {
			t.Errorf("%s is read as VLAN %d", text, v)
		}
	})
}

func FuzzJunk(f *testing.F) {
	f.Add("To be filled by O.E.M.")
	f.Fuzz(func(t *testing.T, text string) {
		if IsJunkSerial(text) != IsJunkSerial(" "+text+"\n") {
			t.Errorf("white space decides whether %q is junk", text)
		}
		for _, of := range []func(string) string{CanonicalMachine, CanonicalBus, CanonicalNICModel} {
			if once := of(text); of(once) != once {
				t.Errorf("canonical form of %q is %q, and of that %q", text, once, of(once))
			}
		}
	})
}
