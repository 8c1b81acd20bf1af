package storage

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// What may not be read says what to allow.
func TestRefusedAttribute(t *testing.T) {
	d := &device{path: sysBlock + "/sda"}
	d.problem("blockDevice.size", "size", inventory.WhyRefused, fs.ErrPermission)
	if p := d.problems[0]; !strings.Contains(p.Remedy, "/sys/block/sda/size") || p.Entity != "blockDevice:sda" {
		t.Errorf("problem is %+v", p)
	}
}

func TestParseMount(t *testing.T) {
	tests := map[string]mount{
		`36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`:   {98, 0, "/mnt1", "/mnt2", "ext3", "/dev/root", false, ""},
		`1 0 8:1 / / ro - ext4 /dev/sda1 rw`:                                               {8, 1, "/", "/", "ext4", "/dev/sda1", false, ""},
		`1 0 8:1 / /a\040b\011c\012d\134e\043f rw shared:1 master:2 - ext4 /dev/x\040y ro`: {8, 1, "/", "/a b\tc\nd\\e#f", "ext4", "/dev/x y", true, ""},
		`1 0 0:44 / /x rw - tmpfs  rw,ro`:                                                  {0, 44, "/", "/x", "tmpfs", "", true, ""},
		`1 0 0:51 /@a\040b /x rw - btrfs /dev/sda rw,subvolid=257,subvol=/@a\040b`:         {0, 51, "/@a b", "/x", "btrfs", "/dev/sda", false, "/@a b"},
		`1 0 8:1 /- /- rw - ext4 - rw,size=ro`:                                             {8, 1, "/-", "/-", "ext4", "-", false, ""},
	}
	for line, want := range tests {
		got, err := parseMount(line)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(mount{})); err != nil || diff != "" {
			t.Errorf("parse %q: %v (-want +got):\n%s", line, err, diff)
		}
	}
	for _, line := range []string{"", "-", "1 0 8:1 / / rw ext4 /dev/sda1 rw", "1 0 8:1 / / rw - ext4", "1 0 81 / / rw - ext4 x rw", "1 0 a:1 / / rw - ext4 x rw", "1 0 8:1 / / - ext4 x rw"} {
		if got, err := parseMount(line); err == nil {
			t.Errorf("parse %q = %+v, want an error", line, got)
		}
	}
}

func TestUnescape(t *testing.T) {
	for text, want := range map[string]string{`a\040b`: "a b", `\134040`: `\040`, `\`: `\`, `\04`: `\04`, `\999`: `\999`, `\400`: `\400`, `\377`: "\xff"} {
		if got := unescape(text); got != want {
			t.Errorf("unescape %q = %q, want %q", text, got, want)
		}
	}
}

func TestParseUnitSerial(t *testing.T) {
	for page, want := range map[string]string{
		"\x00\x80\x00\x04ABCD":         "ABCD",
		"\x05\x80\x00\x06  AB\x00 ":    "AB",
		"\x00\x80\x00\x00":             "",
		"\x00\x80\x00\x02ABtrailing":   "AB",
		"\x00\x80\x00\x03A\xff\x01":    "A\ufffd\x01",
		"\x00\x80\x00\x0a          ":   "",
		"\x00\x80\x00\x05S 123and on ": "S 123",
	} {
		if got, err := parseUnitSerial([]byte(page)); got != want || err != nil {
			t.Errorf("serial of %q = %q, %v, want %q", page, got, err, want)
		}
	}
	for _, page := range []string{"", "\x00\x80\x00", "\x00\x83\x00\x00", "\x00\x80\x00\x05ABCD", "\x00\x80\xff\xffABCD"} {
		if got, err := parseUnitSerial([]byte(page)); err == nil {
			t.Errorf("serial of %q = %q, want an error", page, got)
		}
	}
}

func TestParseUdev(t *testing.T) {
	got := parseUdev([]byte("S:disk/by-id/x\nI:123\nE:ID_SERIAL=a=b\nE:ID_WWN= 0x5 \nE:EMPTY=\nE:NOVALUE\nG:systemd\nE:LAST=1"))
	want := udevRecord{map[string]string{"ID_SERIAL": "a=b", "ID_WWN": "0x5", "EMPTY": "", "LAST": "1"}, []string{"disk/by-id/x"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(udevRecord{})); diff != "" {
		t.Errorf("properties (-want +got):\n%s", diff)
	}
}

func FuzzParseMountinfo(f *testing.F) {
	f.Add([]byte("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw\n1 0 0:5 / /a\\040b rw - nfs h:/x ro\n"))
	f.Add([]byte("1 0 8:1 / / - \n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		mounts, err := parseMountinfo(data)
		if lines := strings.Count(string(data), "\n") + 1; len(mounts) > lines {
			t.Errorf("%d lines gave %d mounts", lines, len(mounts))
		}
		if err == nil && len(mounts) == 0 && len(data) > 0 {
			t.Errorf("%q gave neither mount nor error", data)
		}
		points := map[string]bool{}
		for _, m := range storing(mounts) {
			if points[m.point] {
				t.Errorf("%q is chosen twice", m.point)
			}
			points[m.point] = true
			if text := collectors.Legible(m.point); !utf8.ValidString(text) {
				t.Errorf("%q is no UTF-8", text)
			}
		}
	})
}

// What the kernel escapes comes back.
func FuzzUnescape(f *testing.F) {
	f.Add("a b\\c\n#")
	f.Fuzz(func(t *testing.T, path string) {
		var escaped strings.Builder
		for i := range len(path) {
			if strings.IndexByte(" \t\n\\#", path[i]) >= 0 {
				fmt.Fprintf(&escaped, `\%03o`, path[i])
			} else {
				escaped.WriteByte(path[i])
			}
		}
		if got := unescape(escaped.String()); got != path {
			t.Errorf("unescape %q = %q, want %q", escaped.String(), got, path)
		}
	})
}

func FuzzParseUnitSerial(f *testing.F) {
	f.Add([]byte("\x00\x80\x00\x04ABCD"))
	f.Fuzz(func(t *testing.T, page []byte) {
		serial, err := parseUnitSerial(page)
		if err == nil && (!utf8.ValidString(serial) || strings.TrimSpace(serial) != serial && strings.Trim(serial, " \t\r\n\x00") != serial) {
			t.Errorf("serial %q", serial)
		}
	})
}

func FuzzParseUdev(f *testing.F) {
	f.Add([]byte("S:disk/by-id/x\nS:\nE:ID_SERIAL=x\nE:\nE:=\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		record := parseUdev(data)
		for key, value := range record.properties {
			if strings.ContainsAny(key, "\n=") || !utf8.ValidString(key) || !utf8.ValidString(value) {
				t.Errorf("%q = %q", key, value)
			}
		}
		for _, link := range record.links {
			if link == "" || strings.Contains(link, "\n") || !utf8.ValidString(link) {
				t.Errorf("link %q", link)
			}
		}
	})
}
