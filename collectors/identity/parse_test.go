package identity

import (
	"encoding/hex"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/inventory"
)

// The hashes are what systemd-id128 machine-id --app-specific gave (systemd
// 252.39 of Debian 12) on hosts with these machine IDs.
func TestHashMachineID(t *testing.T) {
	tests := map[string]string{
		"0123456789abcdef0123456789abcdef": "d43023d2-cc25-430b-a0de-51d30efb9714",
		"5af3c9d1e0b84b62a1d7f0c9e8b7a654": "bfca66d2-481f-43ba-b7c0-d51e8d888cb5",
	}
	for text, want := range tests {
		id, err := parseMachineID(text)
		if err != nil {
			t.Errorf("parse %s: %v", text, err)
		}
		if got := hashMachineID(id).String(); got != want {
			t.Errorf("hash of %s = %s, want %s", text, got, want)
		}
	}
}

func TestParseMachineID(t *testing.T) {
	for text, wants := range map[string]string{
		"":                                      "not set",
		"uninitialized":                         "not set",
		"00000000000000000000000000000000":      "not set",
		"5af3c9d1e0b84b62a1d7f0c9e8b7a65":       "31 characters",
		"5af3c9d1e0b84b62a1d7f0c9e8b7a654aa":    "34 characters",
		"5af3c9d1-e0b8-4b62-a1d7-f0c9e8b7a654":  "36 characters",
		"5af3c9d1e0b84b62a1d7f0c9e8b7a65g":      "32 hexadecimal digits",
		"5AF3C9D1E0B84B62A1D7F0C9E8B7A654":      "",
		"5af3c9d1e0b84b62a1d7f0c9e8b7a654\x00a": "34 characters",
	} {
		_, err := parseMachineID(text)
		if (err == nil) != (wants == "") || err != nil && !strings.Contains(err.Error(), wants) {
			t.Errorf("parse %q: %v, want an error with %q", text, err, wants)
		}
	}
}

func TestCountCPUs(t *testing.T) {
	for list, want := range map[string]int{"0": 1, "0-1": 2, "0-63": 64, "0-3,8-11": 8, "0,2,4": 3, "5-5": 1, "0-65535": 65536} {
		if got, err := countCPUs(list); got != want || err != nil {
			t.Errorf("count %q = %d, %v, want %d", list, got, err, want)
		}
	}
	for _, list := range []string{"", "-", "0-", "-1", "3-1", "0,0", "0-3,2", "a", "0 1", "0-99999999999"} {
		if got, err := countCPUs(list); err == nil {
			t.Errorf("count %q = %d, want an error", list, got)
		}
	}
}

func TestParseMemTotal(t *testing.T) {
	if got, err := parseMemTotal([]byte("MemFree: 1 kB\nMemTotal:       24684084 kB\n")); got != 24684084*inventory.KiB || err != nil {
		t.Errorf("MemTotal = %v, %v", got, err)
	}
	for _, text := range []string{"", "MemFree: 1 kB\n", "MemTotal: 1 MB\n", "MemTotal: -1 kB\n", "MemTotal: 99999999999999999 kB\n", "MemTotal:\n"} {
		if got, err := parseMemTotal([]byte(text)); err == nil {
			t.Errorf("MemTotal of %q = %v, want an error", text, got)
		}
	}
}

func TestParseCPUModel(t *testing.T) {
	for text, want := range map[string]string{
		"processor\t: 0\nmodel name\t: AMD EPYC\n\nprocessor\t: 1\nmodel name\t: Other\n": "AMD EPYC",
		"processor\t: 0\ncpu\t\t: POWER9, altivec supported\nclock\t: 3.8GHz\n":           "POWER9, altivec supported",
		"system type\t: generic\n\nprocessor\t: 0\nModel Name\t: Loongson-3A5000\n":       "Loongson-3A5000",
		"processor\t: 0\nCPU part\t: 0xd0b\n\nHardware\t: BCM2835\nmodel name\t: late\n":  "",
		"": "",
	} {
		if got, err := parseCPUModel(strings.NewReader(text)); got != want || err != nil {
			t.Errorf("model of %q = %q, %v, want %q", text, got, err, want)
		}
	}
	if _, err := parseCPUModel(strings.NewReader(strings.Repeat("x", 1<<17))); err == nil {
		t.Error("a line of 128 KiB gives no error")
	}
}

func TestParseBonding(t *testing.T) {
	got := map[string]inventory.MAC{}
	parseBonding([]byte("Permanent HW addr: 00:00:00:00:00:09\nSlave Interface: a\nPermanent HW addr: nonsense\nSlave Interface: b\nMII Status: up\nPermanent HW addr: 52:54:00:AA:00:01\n"), got)
	want := map[string]inventory.MAC{"b": {0x52, 0x54, 0, 0xaa, 0, 1}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

func FuzzParseMachineID(f *testing.F) {
	f.Add("5af3c9d1e0b84b62a1d7f0c9e8b7a654")
	f.Add("uninitialized")
	f.Fuzz(func(t *testing.T, text string) {
		id, err := parseMachineID(text)
		if err == nil && hex.EncodeToString(id[:]) != strings.ToLower(text) {
			t.Errorf("parse %q = %x", text, id)
		}
		if err == nil && hashMachineID(id).Version() != 4 {
			t.Errorf("hash of %q is no UUID of version 4", text)
		}
	})
}

func FuzzCountCPUs(f *testing.F) {
	f.Add("0-3,8")
	f.Fuzz(func(t *testing.T, list string) {
		if n, err := countCPUs(list); err == nil && (n < 1 || n > 1<<16) {
			t.Errorf("count %q = %d", list, n)
		}
	})
}

// The readers of key and value text take anything, and give text that JSON can say.
func FuzzTexts(f *testing.F) {
	f.Add([]byte("PRETTY_NAME=\"Debian \\\"x\\\"\"\n"))
	f.Add([]byte("processor: 0\nmodel name\t: \xff\n"))
	f.Add([]byte("Slave Interface: eth0\nPermanent HW addr: 52:54:00:aa:00:01\n"))
	f.Add([]byte("MemTotal: 1 kB\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if name := parseOSRelease(data); !utf8.ValidString(name) {
			t.Errorf("OS %q is no UTF-8", name)
		}
		if model, _ := parseCPUModel(strings.NewReader(string(data))); !utf8.ValidString(model) {
			t.Errorf("model %q is no UTF-8", model)
		}
		parseBonding(data, map[string]inventory.MAC{})
		if total, err := parseMemTotal(data); err == nil && total%inventory.KiB != 0 {
			t.Errorf("MemTotal %d isn't whole KiB", total)
		}
	})
}
