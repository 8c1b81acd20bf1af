package bus

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/dataverket/avstem/inventory"
)

// manyLinks gives a document of some 50 bytes a link.
func manyLinks(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("vnet%06d", i))
	}
	return names
}

func TestDocumentsComeBackAsTheyWere(t *testing.T) {
	for name, test := range map[string]struct {
		links    int
		encoding string
	}{"small": {3, ""}, "large": {5_000, "zstd"}} {
		t.Run(name, func(t *testing.T) {
			o := observation(t, 1, 1, manyLinks(test.links)...)
			msg, err := encode(o)
			if err != nil {
				t.Fatal(err)
			}
			if got := msg.Header.Get("Content-Encoding"); got != test.encoding {
				t.Errorf("Content-Encoding is %q, want %q", got, test.encoding)
			}
			back, err := Decode(msg.Subject, msg.Header, msg.Data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(o, back); diff != "" {
				t.Errorf("document (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnknownFieldsOfANewerMinorVersionAreIgnored(t *testing.T) {
	msg, err := encode(observation(t, 1, 1, "eth0"))
	if err != nil {
		t.Fatal(err)
	}
	data := bytes.Replace(msg.Data, []byte(`{"schema":"avstem.observation/v1"`), []byte(`{"new":[1],"schema":"avstem.observation/v1.3"`), 1)
	o, err := Decode(msg.Subject, msg.Header, data)
	if err != nil || len(o.Links) != 1 {
		t.Fatalf("got %+v, %v", o, err)
	}
}

func TestDocumentsThatAreRefused(t *testing.T) {
	good, err := encode(observation(t, 1, 1, "eth0"))
	if err != nil {
		t.Fatal(err)
	}
	other := uuid.MustParse("6f1c0000-0000-4000-8000-00000000000b")
	at := func(k Key) string {
		s, err := ObservedSubject(k)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	bomb, err := compress(bytes.Repeat([]byte(" "), MaxDecoded+1))
	if err != nil {
		t.Fatal(err)
	}
	crowd, err := compress(append(append([]byte(`{"vms":[{}`), bytes.Repeat([]byte(",{}"), 9_000_000)...), "]}"...))
	if err != nil {
		t.Fatal(err)
	}
	zstdHeader := nats.Header{"Content-Encoding": {"zstd"}}
	for name, test := range map[string]struct {
		subject string
		header  nats.Header
		data    []byte
		want    string
	}{
		"another host's":   {at(Key{DefaultSite, other, "network"}), nil, good.Data, "a host can only speak for itself"},
		"another site's":   {at(Key{"osl1", hostA, "network"}), nil, good.Data, "a host can only speak for itself"},
		"another source's": {at(Key{DefaultSite, hostA, "storage"}), nil, good.Data, "a host can only speak for itself"},
		"subject":          {"avstem.v1.observed.default.nobody.network", nil, good.Data, "where a host ID belongs"},
		"not JSON":         {good.Subject, nil, []byte("{"), "decode"},
		"nothing":          {good.Subject, nil, nil, "decode"},
		"no document":      {good.Subject, nil, []byte("[]"), "decode"},
		"no schema":        {good.Subject, nil, []byte("{}"), "is not avstem.observation/v1"},
		"newer schema":     {good.Subject, nil, []byte(`{"schema":"avstem.observation/v2"}`), "upgrade avstem"},
		"newer schema, other types": {good.Subject, nil,
			[]byte(`{"host":{"id":1},"links":{},"schema":"avstem.observation/v2"}`), "upgrade avstem"},
		"encoding":   {good.Subject, nats.Header{"Content-Encoding": {"br"}}, good.Data, `"br" is not known`},
		"not zstd":   {good.Subject, zstdHeader, good.Data, "decompress"},
		"a bomb":     {good.Subject, zstdHeader, bomb, "decompress"},
		"a crowd":    {good.Subject, zstdHeader, crowd, "more than 500000 elements"},
		"too deep":   {good.Subject, nil, bytes.Repeat([]byte("["), 100), "nested more than"},
		"plain bulk": {good.Subject, nil, bytes.Repeat([]byte(" "), MaxDecoded+1), "the limit is"},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := Decode(test.subject, test.header, test.data)
			if err == nil {
				t.Fatalf("it was taken as %+v", o)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q lacks %q", err, test.want)
			}
		})
	}
}

func TestDocumentPastWhatReadersTakeIsNotWritten(t *testing.T) {
	o := observation(t, 1, 1)
	o.Links = []inventory.Link{{Name: strings.Repeat("x", MaxDecoded)}}
	_, err := encode(o)
	if large, ok := errors.AsType[*TooLargeError](err); !ok || large.Limit != MaxDecoded {
		t.Fatalf("got %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	subject, _ := ObservedSubject(Key{DefaultSite, hostA, "network"})
	msg, err := encode(observation(f, 1, 1, "eth0"))
	if err != nil {
		f.Fatal(err)
	}
	packed, err := compress(msg.Data)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(msg.Data, "")
	f.Add(packed, "zstd")
	f.Add([]byte(`{"schema":"avstem.observation/v2"}`), "")
	f.Fuzz(func(t *testing.T, data []byte, encoding string) {
		o, err := Decode(subject, nats.Header{headerEncoding: {encoding}}, data)
		if err == nil && (o.Host != hostA || o.Site != DefaultSite || o.Source != "network") {
			t.Fatalf("it speaks for %s %s %s", o.Site, o.Host, o.Source)
		}
	})
}

func FuzzDecodeHeartbeat(f *testing.F) {
	subject, _ := heartbeatSubject(DefaultSite, hostA)
	f.Add([]byte(`{"schema":"avstem.heartbeat/v1","host":"6f1c0000-0000-4000-8000-00000000000a","site":"default","epoch":3}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if h, err := decodeHeartbeat(subject, data); err == nil && (h.Host != hostA || h.Site != DefaultSite) {
			t.Fatalf("it speaks for %s %s", h.Site, h.Host)
		}
	})
}

func BenchmarkEncode50VMs(b *testing.B) { benchmarkEncode(b, 50) }

func BenchmarkEncode1000VMs(b *testing.B) { benchmarkEncode(b, 1000) }

func benchmarkEncode(b *testing.B, vms int) {
	o := withVMs(b, vms)
	var size int
	for b.Loop() {
		msg, err := encode(o)
		if err != nil {
			b.Fatal(err)
		}
		size = len(msg.Data)
	}
	b.ReportMetric(float64(size), "bytes/doc")
}

func BenchmarkDecode1000VMs(b *testing.B) {
	msg, err := encode(withVMs(b, 1000))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Decode(msg.Subject, msg.Header, msg.Data); err != nil {
			b.Fatal(err)
		}
	}
}

// withVMs is a document with VMs of some 500 bytes.
func withVMs(tb testing.TB, n int) *inventory.Observation {
	tb.Helper()
	o := observation(tb, 1, 1)
	vcpus := 2
	memory, size := 4*inventory.GiB, 20*inventory.GiB
	for i := range n {
		id := uuid.NewSHA1(hostA, []byte{byte(i), byte(i >> 8)})
		o.VMs = append(o.VMs, inventory.VM{UUID: id, Name: fmt.Sprintf("web-%04d", i), State: inventory.StateRunning, RawState: "running (booted)",
			VCPUs: &vcpus, Memory: &memory, Machine: "q35", RawMachine: "pc-q35-7.2",
			NICs: []inventory.NIC{{MAC: inventory.MAC{0x52, 0x54, 0, id[0], id[1], id[2]}, Model: "virtio", Attachment: "bridge", Bridge: "br0"}},
			Disks: []inventory.Disk{{Target: "vda", Bus: "virtio", Device: "disk", Serial: id.String()[:20], SourceType: "file",
				Source: "/var/lib/libvirt/images/" + id.String() + ".qcow2", Format: "qcow2", Capacity: &size}}})
	}
	if err := o.Seal(); err != nil {
		tb.Fatal(err)
	}
	return o
}
