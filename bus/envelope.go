package bus

import (
	"encoding/json"
	"fmt"

	"github.com/klauspost/compress/zstd"
	"github.com/nats-io/nats.go"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/inventory/plainjson"
)

const (
	headerEncoding = "Content-Encoding"
	encodingZstd   = "zstd"
	// headerIncarnation tells which start of which agent wrote a document, so
	// that a lost acknowledgement can be told from a clone's document.
	headerIncarnation = "Avstem-Incarnation"

	// plainLimit is the size above which a document is compressed. Below it,
	// `nats sub` shows what is said.
	plainLimit = 64 << 10
	// MaxDecoded is the largest document that is written or read: 50,000 VMs of
	// 640 bytes. A few kilobytes of zstd can claim any size.
	MaxDecoded = 32 << 20
)

// TooLargeError says that a document does not fit a message. It is refused and
// never cut.
type TooLargeError struct {
	Subject     string
	Size, Limit int64
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("publish on %s: the document is %d bytes and the limit is %d: raise max_payload on the NATS server", e.Subject, e.Size, e.Limit)
}

// encode writes a document as a message on its subject.
func encode(o *inventory.Observation) (*nats.Msg, error) {
	subject, err := ObservedSubject(Key{o.Site, o.Host, o.Source})
	if err != nil {
		return nil, fmt.Errorf("publish observation: %w", err)
	}
	data, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("publish on %s: encode: %w", subject, err)
	}
	if len(data) > MaxDecoded {
		return nil, &TooLargeError{Subject: subject, Size: int64(len(data)), Limit: MaxDecoded}
	}
	msg := nats.NewMsg(subject)
	msg.Data = data
	if len(data) > plainLimit {
		if msg.Data, err = compress(data); err != nil {
			return nil, fmt.Errorf("publish on %s: compress: %w", subject, err)
		}
		msg.Header.Set(headerEncoding, encodingZstd)
	}
	return msg, nil
}

// compress makes an encoder each time: a document of this size is published
// when it changed or each ten minutes, and an encoder that is kept holds
// megabytes for the life of the agent.
func compress(data []byte) ([]byte, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(512<<10))
	if err != nil {
		return nil, err
	}
	defer enc.Close()
	return enc.EncodeAll(data, nil), nil
}

// Decoder reads messages of AVSTEM_OBSERVED one after another. Documents that it gave
// share what is equal in them, so they are only to be read. It is not for several
// goroutines at once.
type Decoder struct {
	plain    *plainjson.Decoder[inventory.Observation] // nil where nothing is to be shared
	zstd     *zstd.Decoder                             // made when first needed
	unpacked []byte                                    // what was decompressed last, for its room
}

// mostUnpacked is how much of that room is kept.
const mostUnpacked = 1 << 20

// NewDecoder makes one, which is to be closed.
func NewDecoder() *Decoder {
	limits := plainjson.Limits{Depth: inventory.MaxDepth, Elements: inventory.MaxElements}
	return &Decoder{plain: plainjson.New[inventory.Observation](limits, alike...)}
}

// alike are the parts of documents that many have in common.
var alike = []string{"capabilities", "runtime", "image", "manager", "backing", "trunks", "portVLANs"}

// Close gives back what it keeps.
func (d *Decoder) Close() {
	if d.zstd != nil {
		d.zstd.Close()
	}
	*d = Decoder{}
}

// Decode reads a message. It refuses what is not the document of the subject's own
// site, host and source, what is larger than [MaxDecoded] when decompressed, what has
// more elements or depth than any real document ([inventory.CheckShape]), and a schema
// that it doesn't know.
func (d *Decoder) Decode(subject string, header nats.Header, data []byte) (*inventory.Observation, error) {
	key, err := ParseObservedSubject(subject)
	if err != nil {
		return nil, fmt.Errorf("read observation: %w", err)
	}
	o, err := d.decodeBody(header, data)
	if err != nil {
		return nil, fmt.Errorf("read observation on %s: %w", subject, err)
	}
	if claimed := (Key{o.Site, o.Host, o.Source}); claimed != key {
		return nil, fmt.Errorf("read observation on %s: it claims to be %s of host %s in site %q: a host can only speak for itself",
			subject, o.Source, o.Host, o.Site)
	}
	return o, nil
}

// Decode reads one message, as a [Decoder] does, into memory of its own.
func Decode(subject string, header nats.Header, data []byte) (*inventory.Observation, error) {
	d := new(Decoder)
	defer d.Close()
	return d.Decode(subject, header, data)
}

func (d *Decoder) decodeBody(header nats.Header, data []byte) (*inventory.Observation, error) {
	switch encoding := header.Get(headerEncoding); encoding {
	case "":
	case encodingZstd:
		var err error
		if data, err = d.decompress(data); err != nil {
			return nil, fmt.Errorf("decompress: %w", err)
		}
	default:
		return nil, fmt.Errorf("%s %q is not known: upgrade avstem", headerEncoding, encoding)
	}
	if len(data) > MaxDecoded {
		return nil, fmt.Errorf("it is %d bytes and the limit is %d", len(data), MaxDecoded)
	}
	if d.plain != nil {
		if o, plain := d.plain.Decode(data); plain {
			return o, inventory.CheckSchema(o.Schema)
		}
	}
	return decodeAny(data)
}

// decodeAny reads a document that isn't written as avstem writes it, or isn't to be
// read at all.
func decodeAny(data []byte) (*inventory.Observation, error) {
	// A few kilobytes of zstd can be eleven million empty VMs, which would be
	// gigabytes in memory.
	if err := inventory.CheckShape(data); err != nil {
		return nil, err
	}
	o := new(inventory.Observation)
	err := json.Unmarshal(data, o)
	if err != nil && o.Schema == "" {
		// A newer document may have changed the type of a field that stands
		// before its schema: say that, and not which field.
		var head struct {
			Schema string `json:"schema"`
		}
		if json.Unmarshal(data, &head) == nil {
			o.Schema = head.Schema
		}
	}
	if o.Schema != "" || err == nil {
		if unknown := inventory.CheckSchema(o.Schema); unknown != nil {
			return nil, unknown
		}
	}
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	return o, nil
}

// decompress gives what holds until the next call.
func (d *Decoder) decompress(data []byte) ([]byte, error) {
	if d.zstd == nil {
		dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxMemory(MaxDecoded), zstd.WithDecoderMaxWindow(MaxDecoded))
		if err != nil {
			return nil, err
		}
		d.zstd = dec
	}
	text, err := d.zstd.DecodeAll(data, d.unpacked[:0])
	if d.unpacked = text; cap(text) > mostUnpacked {
		d.unpacked = nil
	}
	return text, err
}
